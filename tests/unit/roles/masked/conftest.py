"""Proofs that follow from the same secrets are made once for all federations."""

from functools import cache

import pytest

from flchain.crypto.secagg.keys import prove_keys
from flchain.crypto.secagg.weights import commit_weight
from flchain.roles.masked import participant

prove_once, commit_once = cache(prove_keys), cache(commit_weight)


@pytest.fixture(autouse=True)
def _prove_once(monkeypatch):
    monkeypatch.setattr(participant, "prove_keys", prove_once)
    monkeypatch.setattr(participant, "commit_weight", commit_once)
