"""Signed twins of the calls, right or deliberately wrong."""

from collections.abc import Callable
from dataclasses import fields

from flchain.chain.spec.agents import get_agent
from flchain.chain.spec.signatures import get_nonce
from flchain.chain.spec.state import get_round_key
from flchain.chain.spec.tasks import get_member
from flchain.crypto.signing import compact_signature
from flchain.protocol import calls
from flchain.protocol.calls import Call
from flchain.protocol.eip712 import (
    TOKEN_NAME,
    Domain,
    compute_signing_digest,
    hash_attestation,
    hash_endorsement,
    hash_enrolment,
    hash_leave,
    hash_permit,
    hash_registration,
    hash_stake_increase,
    hash_unbonding,
    hash_update,
    hash_vote,
)
from flchain.protocol.records import SignedAttestation, SignedVote, Vote
from flchain.protocol.types import (
    Address,
    Bitmap,
    Digest,
    RoundId,
    Signature,
    TaskId,
    Timestamp,
    Wei,
)
from tests.model.actors import NAME_OF, SIGNERS, Scene

WRONG = 0.06
"""How often a signature is somebody else's, late or broken."""


def sign(
    scene: Scene, signer: Address, contract: Address, struct_hash: Digest, *, name: str = "flchain"
) -> Signature:
    """Sign for `signer`, or now and then as somebody else, or with a flipped bit."""
    draw = scene.rng.random()
    author = scene.pick_actor() if draw < WRONG / 2 else signer
    digest = compute_signing_digest(
        Domain(scene.state.config.chain_id, contract, name), struct_hash
    )
    signature = SIGNERS[NAME_OF[author]].sign_digest(digest)
    if WRONG / 2 <= draw < WRONG:
        return Signature(bytes([signature[0] ^ 1]) + signature[1:])
    return signature


def draw_deadline(scene: Scene) -> Timestamp:
    """Return a deadline, sometimes past, sometimes this very second."""
    late = scene.rng.random() < WRONG
    return Timestamp(scene.time + (-1 if late else scene.rng.choice([0, 5, 1000])))


def sign_call(scene: Scene, call: Call, signer: Address) -> Call | None:
    """Return the signed twin of a call that `signer` would send, if it has one."""
    twin = TWINS.get(type(call))
    if twin is None:
        return None
    kind, hash_call = twin
    deadline = draw_deadline(scene)
    addresses = scene.state.config.addresses
    is_bond = call.contract == "AgentRegistry"
    contract = addresses.agent_registry if is_bond else addresses.round_manager
    signature = sign(scene, signer, contract, hash_call(scene, call, signer, deadline))
    arguments = [getattr(call, field.name) for field in fields(call)]
    return kind(signer, *arguments, deadline, signature)


def _hash_stake_increase(
    scene: Scene, call: calls.IncreaseStake, signer: Address, deadline: Timestamp
) -> Digest:
    registry = scene.state.config.addresses.agent_registry
    return hash_stake_increase(call.amount, get_nonce(scene.state, registry, signer), deadline)


def _hash_unbonding(scene: Scene, _: Call, signer: Address, deadline: Timestamp) -> Digest:
    return hash_unbonding(get_agent(scene.state, signer).keys_digest, deadline)


def _hash_enrolment(
    scene: Scene, call: calls.Enrol, signer: Address, deadline: Timestamp
) -> Digest:
    nonce = get_member(scene.state, call.task_id, signer).nonce
    return hash_enrolment(call.task_id, call.role, nonce, deadline)


def _hash_leave(
    scene: Scene, call: calls.LeaveTask, signer: Address, deadline: Timestamp
) -> Digest:
    return hash_leave(call.task_id, get_member(scene.state, call.task_id, signer).nonce, deadline)


def _hash_update(scene: Scene, call: calls.Submit, _: Address, deadline: Timestamp) -> Digest:
    key = get_round_key(scene.state.config, call.task_id, call.round)
    return hash_update(key, call.digest, call.weight, deadline)


TWINS: dict[type[Call], tuple[Callable[..., Call], Callable[..., Digest]]] = {
    calls.Register: (
        calls.RegisterWithSig,
        lambda _scene, call, _signer, deadline: hash_registration(
            call.roles, call.stake, call.keys_digest, deadline
        ),
    ),
    calls.IncreaseStake: (calls.IncreaseStakeWithSig, _hash_stake_increase),
    calls.BeginUnbonding: (calls.BeginUnbondingWithSig, _hash_unbonding),
    calls.Enrol: (calls.EnrolWithSig, _hash_enrolment),
    calls.LeaveTask: (calls.LeaveTaskWithSig, _hash_leave),
    calls.Endorse: (
        calls.EndorseWithSig,
        lambda _scene, call, _signer, deadline: hash_endorsement(
            call.task_id, call.policy_digest, call.initial_state, deadline
        ),
    ),
    calls.Submit: (calls.SubmitWithSig, _hash_update),
}
"""For each call that has one, its signed twin and what is signed."""


def sign_attestation(
    scene: Scene, validator: Address, task_id: TaskId, number: RoundId, bitmap: Bitmap
) -> SignedAttestation:
    key = get_round_key(scene.state.config, task_id, number)
    manager = scene.state.config.addresses.round_manager
    signature = sign(scene, validator, manager, hash_attestation(key, bitmap))
    return SignedAttestation(validator, bitmap, signature)


def sign_vote(
    scene: Scene, validator: Address, task_id: TaskId, number: RoundId, vote: Vote
) -> SignedVote:
    key = get_round_key(scene.state.config, task_id, number)
    manager = scene.state.config.addresses.round_manager
    attempt = scene.get_book(task_id).ballot.attempt
    signature = sign(scene, validator, manager, hash_vote(key, attempt, vote))
    return SignedVote(validator, vote, *compact_signature(signature))


def sign_permit(scene: Scene, owner: Address, spender: Address, value: Wei) -> calls.Permit:
    """Return a permit: right, somebody else's, late, unrecoverable or malleable."""
    token = scene.state.config.addresses.token
    nonce, deadline = get_nonce(scene.state, token, owner), draw_deadline(scene)
    signed = hash_permit(owner, spender, value, nonce, deadline)
    raw = sign(scene, owner, token, signed, name=TOKEN_NAME)
    r, s, v = raw[:32], raw[32:64], raw[64]
    draw = scene.rng.random()
    if draw < 0.05:
        s = b"\xff" * 32
    elif draw < 0.1:
        v = 29
    return calls.Permit(owner, spender, value, deadline, v, r, s)
