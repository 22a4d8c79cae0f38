"""Model wrappers for several processes."""
