"""Joining and leaving: stake, registration, enrolment, and the way back."""

import hashlib
from itertools import count

from flchain.chain.base import Ledger
from flchain.crypto.signing import Signer
from flchain.crypto.vrf import SecretKey
from flchain.protocol.calls import (
    Approve,
    BeginUnbonding,
    Enrol,
    LeaveTask,
    Register,
    RegisterWithKey,
    RotateKey,
    Withdraw,
)
from flchain.protocol.canonical import encode_canonical
from flchain.protocol.errors import ConfigError
from flchain.protocol.events import AgentRegistered
from flchain.protocol.records import VrfKey, VrfProof
from flchain.protocol.reverts import KeysUsed
from flchain.protocol.sortition import possession_message
from flchain.protocol.types import ZERO_ADDRESS, Address, Digest, Role, TaskId, Wei
from flchain.roles.drawing import build_proof

KEYS_FORMAT = "flchain-keys-v1"
CUSHION = 10
"""A drawn validator stakes this part more than it must."""


def compute_keys_digest(account: str, label: str = "") -> Digest:
    """Return the sha2-256 of an identity's keys document.

    The account key is the only key so far. `label` tells apart several registrations of one
    account over time, since a digest is accepted once.
    """
    document = {"format": KEYS_FORMAT, "account": account.lower(), "label": label}
    return Digest(hashlib.sha256(encode_canonical(document)).digest())


def register(
    ledger: Ledger, signer: Signer, roles: Role, stake: Wei | None = None, label: str | None = None
) -> Wei:
    """Register under `roles` and return the stake; None means what the roles need.

    Without a `label` the keys document gets the first that is free, so that an account may come
    back. Raises ConfigError if the account's tokens do not cover the stake.
    """
    amount = approve_stake(ledger, signer, roles, stake)
    keys = compute_keys_digest(signer.address, label or "")
    try:
        ledger.send(Register(int(roles), amount, keys), signer)
    except KeysUsed:
        if label is not None:
            raise
        free = find_free_keys(ledger, signer.address)
        ledger.send(Register(int(roles), amount, free), signer)
    return amount


def register_with_key(
    ledger: Ledger, signer: Signer, roles: Role, secret: SecretKey, stake: Wei | None = None
) -> Wei:
    """Register with a VRF key, which a validator needs to be drawn; else as `register`.

    Without a `stake` it is a tenth above what the roles need, so that a few silent seats do not
    cost the place at once.
    """
    amount = approve_stake(ledger, signer, roles, stake or compute_cushioned_stake(ledger, roles))
    key, proof = prove_possession(ledger, signer.address, secret)
    ledger.send(RegisterWithKey(int(roles), amount, key, proof), signer)
    return amount


def compute_cushioned_stake(ledger: Ledger, roles: Role) -> Wei:
    """Return the stake that roles need with a tenth on top."""
    needed = ledger.compute_required_stake(int(roles))
    return Wei(needed + needed // CUSHION)


def rotate_key(ledger: Ledger, signer: Signer, secret: SecretKey) -> None:
    """Give the account another VRF key; its tasks go on with the old one until refreshed."""
    ledger.send(RotateKey(*prove_possession(ledger, signer.address, secret)), signer)


def prove_possession(
    ledger: Ledger, account: Address, secret: SecretKey
) -> tuple[VrfKey, VrfProof]:
    """Return a VRF key and the proof that registers it for `account` and nobody else."""
    registry = ledger.addresses.agent_registry
    return build_proof(secret, possession_message(ledger.chain_id, registry, account))


def approve_stake(ledger: Ledger, signer: Signer, roles: Role, stake: Wei | None) -> Wei:
    """Let the registry pull the stake and return it; None means what the roles need."""
    needed = ledger.compute_required_stake(int(roles))
    amount = needed if stake is None else stake
    if amount and ledger.addresses.token != ZERO_ADDRESS:
        held = ledger.get_balance(signer.address)
        if held < amount:
            raise ConfigError(
                f"{signer.address} holds {held} wei of the stake token, {amount} are needed; "
                "send it tokens first"
            )
        ledger.send(Approve(ledger.addresses.agent_registry, amount), signer)
    return amount


def find_free_keys(ledger: Ledger, account: str) -> Digest:
    """Return the first keys digest of an account that nobody has registered.

    Reads all registrations; the labels tried are "", "1", "2" and so on.
    """
    events = [logged.event for logged in ledger.get_events(kinds=(AgentRegistered,))]
    used = {event.keys_digest for event in events if isinstance(event, AgentRegistered)}
    digests = (compute_keys_digest(account, str(number or "")) for number in count())
    return next(digest for digest in digests if digest not in used)


def enrol(ledger: Ledger, signer: Signer, task_id: TaskId, role: Role) -> None:
    """Enrol in a task under one role; it counts from two epochs later."""
    ledger.send(Enrol(task_id, int(role)), signer)


def leave(ledger: Ledger, signer: Signer, task_id: TaskId) -> None:
    """Leave a task; duties in the live round remain."""
    ledger.send(LeaveTask(task_id), signer)


def withdraw(ledger: Ledger, signer: Signer) -> str:
    """Take the next step towards getting the stake back; return what was done."""
    agent = ledger.get_agent(signer.address)
    if agent.unbonding:
        ledger.send(Withdraw(signer.address), signer)
        return f"paid out {agent.unbonding} wei"
    ledger.send(BeginUnbonding(), signer)
    unbonds_at = ledger.get_agent(signer.address).unbonds_at
    return f"unbonding {agent.stake} wei until block time {unbonds_at}; withdraw again after that"
