"""What writes the repository's own pages: times, results, optimizers."""
