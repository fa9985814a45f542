"""Proofs of knowledge in zero knowledge, made non-interactive by Fiat-Shamir.

`claims` says what can be proven about linear relations and `linear` proves it; `bits` and
`ranges` prove what a Pedersen commitment hides. Verifiers are deterministic: two of them never
disagree. Challenges have 128 bits.
"""
