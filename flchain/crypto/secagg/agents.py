"""Agents as bytes and in order; keys for one purpose, round and pair of agents."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from eth_utils.address import is_hex_address

from flchain.crypto.secagg.errors import MalformedMessage
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Address, Digest

AGENT_SIZE = 20
_DOMAIN = b"flchain/secagg/v1/"


@lru_cache(maxsize=8192)
def encode_agent(agent: Address) -> bytes:
    """Return the 20 bytes of an address. Raises EncodingError on anything else."""
    if not is_hex_address(agent) or not agent.startswith("0x"):
        raise EncodingError(f"agent: {agent} is no address")
    return bytes.fromhex(agent[2:])


def sort_agents(agents: Iterable[Address]) -> tuple[Address, ...]:
    """Return the agents in ascending order of their bytes. Raises EncodingError on doubles."""
    ordered = tuple(sorted(agents, key=encode_agent))
    if len(set(map(encode_agent, ordered))) != len(ordered):
        raise EncodingError("agents: one is named twice")
    return ordered


def build_info(purpose: str, round_key: Digest, *agents: Address) -> bytes:
    """Return what binds a key to its purpose, its round and its agents, in this order."""
    return _DOMAIN + purpose.encode() + round_key + b"".join(map(encode_agent, agents))


def derive_key(secret: bytes, info: bytes, size: int) -> bytes:
    """Return `size` bytes by HKDF-SHA-256 (RFC 5869) without salt."""
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(secret)


def find_agent(data: bytes, agents: Mapping[bytes, Address]) -> Address:
    """Return the agent with these 20 bytes. Raises MalformedMessage if it is none of these."""
    agent = agents.get(data)
    if agent is None:
        raise MalformedMessage(
            f"the message names 0x{data.hex()}, who is no neighbour of its sender"
        )
    return agent


def index_agents(agents: Iterable[Address]) -> dict[bytes, Address]:
    """Return the agents by their bytes."""
    return {encode_agent(agent): agent for agent in agents}
