# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
"""The digests equal those of eth-account's own EIP-712 encoder."""

import re
from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data

from flchain.protocol import eip712
from flchain.protocol.eip712 import Domain, compute_domain_separator, compute_signing_digest
from flchain.protocol.records import Vote
from flchain.protocol.types import Digest, Phase, Reason, Verdict

CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
ACCOUNT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
DOMAIN = Domain(31337, CONTRACT)
KEY, DIGEST, OTHER = (bytes([byte]) * 32 for byte in (1, 2, 3))
DEADLINE = 1_800_000_000
VOTE = Vote(DIGEST, Verdict.WRONG, Reason.WRONG_SET, OTHER, 9_000, KEY)
CASES: dict[str, tuple[Digest, list[Any]]] = {
    eip712.REGISTRATION: (
        eip712.hash_registration(3, 10**20, DIGEST, DEADLINE),
        [3, 10**20, DIGEST, DEADLINE],
    ),
    eip712.STAKE_INCREASE: (eip712.hash_stake_increase(7, 1, DEADLINE), [7, 1, DEADLINE]),
    eip712.UNBONDING: (eip712.hash_unbonding(DIGEST, DEADLINE), [DIGEST, DEADLINE]),
    eip712.ENROLMENT: (eip712.hash_enrolment(5, 2, 4, DEADLINE), [5, 2, 4, DEADLINE]),
    eip712.LEAVE: (eip712.hash_leave(5, 4, DEADLINE), [5, 4, DEADLINE]),
    eip712.ENDORSEMENT: (
        eip712.hash_endorsement(5, DIGEST, OTHER, DEADLINE),
        [5, DIGEST, OTHER, DEADLINE],
    ),
    eip712.UPDATE: (eip712.hash_update(KEY, DIGEST, 9, DEADLINE), [KEY, DIGEST, 9, DEADLINE]),
    eip712.ATTESTATION: (eip712.hash_attestation(KEY, (5, 2**223)), [KEY, [5, 2**223]]),
    eip712.VOTE: (
        eip712.hash_vote(KEY, 1, VOTE),
        [KEY, 1, DIGEST, 3, 1, OTHER, 9_000, KEY],
    ),
    eip712.SCORES: (eip712.hash_scores(KEY, DIGEST), [KEY, DIGEST]),
    eip712.RECORD: (
        eip712.hash_record(KEY, Phase.SUBMIT, OTHER, DIGEST),
        [KEY, 4, OTHER, DIGEST],
    ),
    eip712.MASKED_ATTESTATION: (
        eip712.hash_masked_attestation(KEY, Phase.CHECK, OTHER, (5, 2**223)),
        [KEY, 3, OTHER, [5, 2**223]],
    ),
    eip712.PERMIT: (
        eip712.hash_permit(ACCOUNT, CONTRACT, 5, 0, DEADLINE),
        [ACCOUNT, CONTRACT, 5, 0, DEADLINE],
    ),
}


def encode_reference(kind, values, domain=DOMAIN):
    name, _, members = kind.rstrip(")").partition("(")
    fields = [dict(zip(("type", "name"), m.split(" "), strict=True)) for m in members.split(",")]
    data = {
        "name": domain.name,
        "version": domain.version,
        "chainId": domain.chain_id,
        "verifyingContract": domain.contract,
    }
    message = {field["name"]: value for field, value in zip(fields, values, strict=True)}
    return encode_typed_data(data, {name: fields}, message)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.partition("(")[0])
def test_signing_digest__each_type__is_the_reference_encoders(kind):
    struct_hash, values = CASES[kind]
    reference = encode_reference(kind, values)
    assert bytes(compute_domain_separator(DOMAIN)) == reference.header
    assert bytes(struct_hash) == reference.body
    assert bytes(compute_signing_digest(DOMAIN, struct_hash)) == _hash_eip191_message(reference)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.partition("(")[0])
def test_struct_hash__each_value_changed__differs(kind):
    _, values = CASES[kind]
    here = encode_reference(kind, values).body
    for place, value in enumerate(values):
        changed = list(values)
        if isinstance(value, bytes):
            changed[place] = bytes(32)
        elif isinstance(value, str):
            changed[place] = "0x" + "11" * 20
        else:
            changed[place] = value[:1] if isinstance(value, list) else value + 1
        assert encode_reference(kind, changed).body != here


def test_types__every_hash_function__has_a_case():
    functions = [name for name in vars(eip712) if re.match("hash_", name)]
    assert len(functions) == len(CASES)


@pytest.mark.parametrize(
    "other",
    [
        Domain(1, CONTRACT),
        Domain(31337, ACCOUNT),
        Domain(31337, CONTRACT, name="flchain local token"),
        Domain(31337, CONTRACT, version="2"),
    ],
)
def test_domain_separator__other_domain__differs(other):
    assert compute_domain_separator(other) != compute_domain_separator(DOMAIN)


def test_attestation__empty_or_split_bitmap__differs():
    hashes = {eip712.hash_attestation(KEY, bitmap) for bitmap in [(), (0,), (0, 0), (1,), (1, 0)]}
    assert len(hashes) == 5
