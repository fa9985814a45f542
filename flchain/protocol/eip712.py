"""EIP-712 digests of everything that one account signs for another to send.

The types are those of the contracts; a signature binds one chain and one contract through
its `Domain`. A signature works once: it carries a nonce, or something that is accepted once, such
as a keys digest or a round key.
"""

from dataclasses import dataclass
from functools import cache

from eth_utils.crypto import keccak

from flchain.protocol.digests import encode_abi
from flchain.protocol.records import Vote
from flchain.protocol.types import Address, Bitmap, Digest, Phase, TaskId, Timestamp, Wei

DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
REGISTRATION = "Registration(uint8 roles,uint96 stake,bytes32 keysDigest,uint40 deadline)"
STAKE_INCREASE = "StakeIncrease(uint96 amount,uint256 nonce,uint40 deadline)"
UNBONDING = "Unbonding(bytes32 keysDigest,uint40 deadline)"
ENROLMENT = "Enrolment(uint64 taskId,uint8 role,uint256 nonce,uint40 deadline)"
LEAVE = "Leave(uint64 taskId,uint256 nonce,uint40 deadline)"
ENDORSEMENT = "Endorsement(uint64 taskId,bytes32 policyDigest,bytes32 initialState,uint40 deadline)"
UPDATE = "Update(bytes32 roundKey,bytes32 digest,uint8 weight,uint40 deadline)"
ATTESTATION = "Attestation(bytes32 roundKey,uint256[] bitmap)"
VOTE = (
    "Vote(bytes32 roundKey,uint8 attempt,bytes32 proposalId,uint8 verdict,uint8 reason,"
    "bytes32 counterContentId,uint16 quality,bytes32 execTag)"
)
SCORES = "Scores(bytes32 roundKey,bytes32 scoresDigest)"
RECORD = "Record(bytes32 roundKey,uint8 phase,bytes32 anchor,bytes32 digest)"
MASKED_ATTESTATION = (
    "MaskedAttestation(bytes32 roundKey,uint8 phase,bytes32 anchor,uint256[] bitmap)"
)
PERMIT = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
TOKEN_NAME = "flchain local token"  # noqa: S105 - a name, no secret
"""The local token's name, which its EIP-2612 domain holds."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a signature is valid: the contract that checks it, on one chain."""

    chain_id: int
    contract: Address
    name: str = "flchain"
    version: str = "1"


@cache
def compute_domain_separator(domain: Domain) -> Digest:
    """Return the EIP-712 domain separator."""
    texts = (keccak(text=domain.name), keccak(text=domain.version))
    types = ("bytes32", "bytes32", "bytes32", "uint256", "address")
    values = (keccak(text=DOMAIN), *texts, domain.chain_id, domain.contract)
    return Digest(keccak(encode_abi(types, values)))


def compute_signing_digest(domain: Domain, struct_hash: Digest) -> Digest:
    """Return the 32 bytes to sign for a struct hash of this module."""
    return Digest(keccak(b"\x19\x01" + compute_domain_separator(domain) + struct_hash))


def hash_registration(roles: int, stake: Wei, keys_digest: Digest, deadline: Timestamp) -> Digest:
    """Return what `RegisterWithSig` signs; a keys digest works once, so it needs no nonce."""
    return _hash_struct(REGISTRATION, roles, stake, keys_digest, deadline)


def hash_stake_increase(amount: Wei, nonce: int, deadline: Timestamp) -> Digest:
    """Return what `IncreaseStakeWithSig` signs; the nonce is the agent registry's."""
    return _hash_struct(STAKE_INCREASE, amount, nonce, deadline)


def hash_unbonding(keys_digest: Digest, deadline: Timestamp) -> Digest:
    """Return what `BeginUnbondingWithSig` signs: the end of one registration."""
    return _hash_struct(UNBONDING, keys_digest, deadline)


def hash_enrolment(task_id: TaskId, role: int, nonce: int, deadline: Timestamp) -> Digest:
    """Return what `EnrolWithSig` signs; the nonce is the member's in this task."""
    return _hash_struct(ENROLMENT, task_id, role, nonce, deadline)


def hash_leave(task_id: TaskId, nonce: int, deadline: Timestamp) -> Digest:
    """Return what `LeaveTaskWithSig` signs; the nonce is the member's in this task."""
    return _hash_struct(LEAVE, task_id, nonce, deadline)


def hash_endorsement(
    task_id: TaskId, policy_digest: Digest, initial_state: Digest, deadline: Timestamp
) -> Digest:
    """Return what `EndorseWithSig` signs; an endorsement counts once, so it has no nonce."""
    return _hash_struct(ENDORSEMENT, task_id, policy_digest, initial_state, deadline)


def hash_update(key: Digest, digest: Digest, weight: int, deadline: Timestamp) -> Digest:
    """Return what `SubmitWithSig` signs; `key` is the round key."""
    return _hash_struct(UPDATE, key, digest, weight, deadline)


def hash_attestation(key: Digest, bitmap: Bitmap) -> Digest:
    """Return what a `SignedAttestation` signs; `key` is the round key."""
    packed = b"".join(word.to_bytes(32, "big") for word in bitmap)
    values = (keccak(text=ATTESTATION), key, keccak(packed))
    return Digest(keccak(b"".join(values)))


def hash_record(key: Digest, phase: Phase, anchor: Digest, digest: Digest) -> Digest:
    """Return what a `SignedRecord` signs; sign once for each round key and phase."""
    return _hash_struct(RECORD, key, phase, anchor, digest)


def hash_masked_attestation(key: Digest, phase: Phase, anchor: Digest, bitmap: Bitmap) -> Digest:
    """Return what a validator signs in CHECK and ATTEST for a bundle of secure mode."""
    packed = b"".join(word.to_bytes(32, "big") for word in bitmap)
    types = ("bytes32", "uint8", "bytes32", "bytes32")
    encoded = encode_abi(types, (key, phase, anchor, keccak(packed)))
    return Digest(keccak(keccak(text=MASKED_ATTESTATION) + encoded))


def hash_vote(key: Digest, attempt: int, vote: Vote) -> Digest:
    """Return what a `SignedVote` signs; `key` is the round key."""
    answer = (vote.verdict, vote.reason, vote.counter_content_id, vote.quality, vote.exec_tag)
    return _hash_struct(VOTE, key, attempt, vote.proposal_id, *answer)


def hash_scores(key: Digest, scores_digest: Digest) -> Digest:
    """Return what a validator's scores of a round sign; the contract is the distributor."""
    return _hash_struct(SCORES, key, scores_digest)


def hash_permit(
    owner: Address, spender: Address, value: Wei, nonce: int, deadline: Timestamp
) -> Digest:
    """Return what an EIP-2612 permit signs, in the token's own domain."""
    return _hash_struct(PERMIT, owner, spender, value, nonce, deadline)


@cache
def _get_members(kind: str) -> tuple[Digest, tuple[str, ...]]:
    """Return the type hash of `kind` and the ABI types of its members."""
    members = kind.partition("(")[2].rstrip(")").split(",")
    return Digest(keccak(text=kind)), tuple(member.split(" ")[0] for member in members)


def _hash_struct(kind: str, *values: object) -> Digest:
    type_hash, types = _get_members(kind)
    return Digest(keccak(type_hash + encode_abi(types, values)))
