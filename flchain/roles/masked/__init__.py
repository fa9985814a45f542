"""Secure mode: what agents, validators and whoever keeps a task going do in a masked round.

`past` reads a round's masked part off the chain, `blobs` and `rosters` what its digests stand for.
`vault` keeps an agent's secrets, `participant` makes its records, `posting` brings them onto the
chain; `offers` are those that a relayer takes there. `checking` acts for the validator, `relaying`
and `tending` for everybody who moves a round on; `unmasking` gives the sum.
"""
