"""Proofs about a chain from what an untrusted node serves: hashes rebuilt, nothing believed.

A header's hash is the keccak-256 of its RLP encoding, and it commits to the block's
transactions, receipts and state through the roots of three Merkle-Patricia tries (Ethereum
Yellow Paper, sections 4.3 and 4.4, and EIPs 1559, 2718, 2930, 4844, 4788, 4895, 7685, 7702).
"""
