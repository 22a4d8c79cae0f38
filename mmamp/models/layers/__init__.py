"""What the networks of several papers are made of."""
