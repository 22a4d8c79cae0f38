"""Weights of other codebases, read into mmamp's networks and written back."""
