"""Figures of originals of single parts, for tests to compare with."""
