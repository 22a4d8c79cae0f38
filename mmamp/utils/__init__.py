"""What is small and has no subject of its own."""
