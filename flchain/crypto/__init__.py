"""Pure functions over keys, signatures and trees: no I/O, no clock, no global randomness."""
