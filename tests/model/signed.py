"""Signed twins of the calls, right or deliberately wrong."""

from flchain.chain.spec.agents import get_agent
from flchain.chain.spec.signatures import get_nonce
from flchain.chain.spec.state import get_round_key
from flchain.chain.spec.tasks import get_member
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
    config, deadline = scene.state.config, draw_deadline(scene)
    registry, manager = config.addresses.agent_registry, config.addresses.round_manager
    record = get_agent(scene.state, signer)
    match call:
        case calls.Register(roles, stake, keys):
            signed = hash_registration(roles, stake, keys, deadline)
            signature = sign(scene, signer, registry, signed)
            return calls.RegisterWithSig(signer, roles, stake, keys, deadline, signature)
        case calls.IncreaseStake(amount):
            nonce = get_nonce(scene.state, registry, signer)
            signature = sign(scene, signer, registry, hash_stake_increase(amount, nonce, deadline))
            return calls.IncreaseStakeWithSig(signer, amount, deadline, signature)
        case calls.BeginUnbonding():
            signed = hash_unbonding(record.keys_digest, deadline)
            signature = sign(scene, signer, registry, signed)
            return calls.BeginUnbondingWithSig(signer, deadline, signature)
        case calls.Enrol(task_id, role):
            nonce = get_member(scene.state, task_id, signer).nonce
            signed = hash_enrolment(task_id, role, nonce, deadline)
            signature = sign(scene, signer, manager, signed)
            return calls.EnrolWithSig(signer, task_id, role, deadline, signature)
        case calls.LeaveTask(task_id):
            nonce = get_member(scene.state, task_id, signer).nonce
            signature = sign(scene, signer, manager, hash_leave(task_id, nonce, deadline))
            return calls.LeaveTaskWithSig(signer, task_id, deadline, signature)
        case calls.Endorse(task_id, policy, initial):
            signed = hash_endorsement(task_id, policy, initial, deadline)
            signature = sign(scene, signer, manager, signed)
            return calls.EndorseWithSig(signer, task_id, policy, initial, deadline, signature)
        case calls.Submit(task_id, number, digest, weight):
            key = get_round_key(config, task_id, number)
            signature = sign(scene, signer, manager, hash_update(key, digest, weight, deadline))
            return calls.SubmitWithSig(signer, task_id, number, digest, weight, deadline, signature)
        case _:
            return None


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
    return SignedVote(
        validator, vote, sign(scene, validator, manager, hash_vote(key, attempt, vote))
    )


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
