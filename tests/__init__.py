"""The tests, folder by folder as the package is."""
