"""Schedules of the learning rate in 0.x, and the schedulers of 1.x."""
