"""What the command lines share: ranks, resuming, logging."""
