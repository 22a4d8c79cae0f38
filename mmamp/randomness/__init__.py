"""Random numbers as a function of where the run is."""
