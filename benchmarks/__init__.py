"""What writes the repository's own pages: times and results."""
