"""What stands in for the iterator of MMEngine's loops."""
