"""What is logged, under which names, and how often."""
