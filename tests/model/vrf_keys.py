"""VRF keys of the actors, and proofs with them, right or deliberately wrong.

Every actor has as many keys as it likes, all derived from its name. Proofs are deterministic, so
that they are kept.
"""

import hashlib
from dataclasses import replace
from functools import cache, lru_cache

from flchain.chain.spec.state import State
from flchain.crypto.vrf import SecretKey, get_key_words, load_secret_key
from flchain.crypto.vrf_hints import KEY_HASH_SIZE, hash_key
from flchain.protocol.records import VrfKey, VrfProof
from flchain.protocol.sortition import possession_message
from flchain.protocol.types import Address, Digest
from flchain.roles.drawing import build_proof
from tests.model.actors import NAME_OF, Scene

Proven = tuple[VrfKey, VrfProof]
WRONG = 0.1
"""How often a proof is another key's, over another message, or changed."""
LARGEST = 2**256 - 1
NUMBERS = [name for name in VrfProof.__slots__ if name != "roots"]
_OWNERS: dict[bytes, tuple[str, int]] = {}
"""Whose key, and which of its keys, has these first 20 bytes of its digest."""


@cache
def derive_key(name: str, number: int) -> tuple[SecretKey, Digest]:
    """Return one of an actor's secret keys and the digest of its public key."""
    secret = load_secret_key(hashlib.sha256(f"{name} {number}".encode()).digest())
    digest = hash_key(VrfKey(*get_key_words(secret.public_key)))
    _OWNERS[digest[:KEY_HASH_SIZE]] = (name, number)
    return secret, digest


def find_new_key(state: State, actor: Address) -> tuple[str, int]:
    """Return the first of an actor's keys that it may prove, also if another squats on it."""
    name, number = NAME_OF[actor], 0
    while (holder := state.keys.get(derive_key(name, number)[1])) is not None:
        if not holder.is_proven and holder.agent != actor:
            break
        number += 1
    return name, number


def find_owner(key_hash: bytes) -> tuple[str, int] | None:
    """Return which key a task has on record; None for a digest that belongs to no key."""
    return _OWNERS.get(key_hash)


@lru_cache(maxsize=4096)
def prove(owner: tuple[str, int], message: Digest) -> Proven:
    """Return a key and its proof over a message."""
    return build_proof(derive_key(*owner)[0], message)


def prove_possession(scene: Scene, agent: Address, owner: tuple[str, int]) -> Proven:
    """Return what registers a key for `agent`, mostly right."""
    config = scene.state.config
    registry = config.addresses.agent_registry
    message = possession_message(config.chain_id, registry, agent)
    return disturb(scene, owner, message)


def disturb(scene: Scene, owner: tuple[str, int], message: Digest) -> Proven:
    """Return a proof, sometimes one that does not verify."""
    proven = prove(owner, message)
    if scene.rng.random() >= WRONG:
        return proven
    return scene.rng.choice([swap_key, change_message, change_proof, change_key])(
        scene, owner, message
    )


def swap_key(scene: Scene, owner: tuple[str, int], message: Digest) -> Proven:
    """Return a sound proof of somebody else."""
    return prove((NAME_OF[scene.pick_actor("v")], owner[1]), message)


def change_message(scene: Scene, owner: tuple[str, int], message: Digest) -> Proven:
    """Return a sound proof over another message."""
    return prove(owner, Digest(hashlib.sha256(message).digest()))


def change_proof(scene: Scene, owner: tuple[str, int], message: Digest) -> Proven:
    """Return a proof with one field changed."""
    key, proof = prove(owner, message)
    if scene.rng.random() < 0.15:
        roots = scene.rng.choice([(*proof.roots, 5), proof.roots[:-1], (3,) * 256])
        return key, replace(proof, roots=roots)
    name = scene.rng.choice(NUMBERS)
    value = scene.rng.choice([getattr(proof, name) ^ 1, 0, LARGEST])
    return key, replace(proof, **{name: value})


def change_key(scene: Scene, owner: tuple[str, int], message: Digest) -> Proven:
    """Return a proof under a key that nobody has, or that is none."""
    key, proof = prove(owner, message)
    odd = [replace(key, parity=1 - key.parity), replace(key, parity=2), VrfKey(0, 0)]
    return scene.rng.choice([*odd, VrfKey(LARGEST, 1)]), proof
