"""Secure mode: what agents, validators and whoever keeps a task going do in a masked round.

`past` reads a round's masked part off the chain, `blobs` and `rosters` what its digests stand for;
`groups` says who is summed up with whom, `standing` who was in failing groups too often.
For an agent, `vault` keeps its secrets, `participant` acts, `views` checks what it was shown, and
`posting` brings what it makes onto the chain. `offers` are what a relayer takes there, `checking`
acts for the validator, `relaying` and `tending` for everybody who moves a round on; `unmasking`
gives the sum.
"""
