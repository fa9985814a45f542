"""Training, quantised updates and their exact integer aggregation.

Floats live on the agent's side only. From `quantisation` on everything is an integer, and
whatever a vote binds is computed by `+ - *`, floor division and `math.isqrt`, so that every
machine gets the same bytes. Importing this package imports no torch.
"""
