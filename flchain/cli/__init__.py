"""The command line: the edge, where options, environment, clock and screen are read."""
