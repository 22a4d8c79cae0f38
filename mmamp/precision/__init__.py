"""Which dtype runs where: the tables of dtypes and of devices."""
