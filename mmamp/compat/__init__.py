"""Private names and version branches of the hosts."""
