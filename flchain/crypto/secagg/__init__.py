"""Secure aggregation: the sum of many vectors, and none of them.

The order of a round: `parameters`, `keys`, `roster` with its `graph`, `shares` and `complaints`,
`weights` and `masking`, `releases`, `unmasking`. `docs/secagg.md` says why, and what is promised.
Nothing here does input or output, reads a clock or draws a random number: seeds are arguments, and
the rule that a secret masks one vector, and a holder releases once, is the caller's to keep across
restarts.
"""
