"""What an agent's compression keeps between rounds, in the agent's journal.

A round's entry is written before its update is. An update that is made again after a crash
starts from the entry of the round before, so nothing is ever added twice or lost.
"""

from collections.abc import Mapping

from flchain.learning.compression import Memory, decode_memories, encode_memories
from flchain.learning.payloads import PayloadSchema
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import RoundId
from flchain.roles.context import Context

_KEPT = 2


def load_memories(context: Context, number: RoundId, schema: PayloadSchema) -> dict[str, Memory]:
    """Return what the newest round before `number` left; nothing if its entry is damaged."""
    earlier = [name for name in _list_entries(context) if name < _name_entry(context, number)]
    data = context.journal.read(earlier[-1]) if earlier else None
    if data is None:
        return {}
    try:
        return decode_memories(data, tuple(name for name, _ in schema.sections))
    except EncodingError:
        return {}  # what was not sent is lost; training goes on without it


def save_memories(context: Context, number: RoundId, memories: Mapping[str, Memory]) -> None:
    """Keep what round `number` leaves, and of the earlier rounds the newest alone."""
    context.journal.write(_name_entry(context, number), encode_memories(memories))
    for name in _list_entries(context)[:-_KEPT]:
        context.journal.delete(name)


def _list_entries(context: Context) -> list[str]:
    prefix = _name_entries(context)
    return [name for name in context.journal.names() if name.startswith(prefix)]


def _name_entries(context: Context) -> str:
    """Return what this task's entries begin with; round 0 stands for the task."""
    return f"memory-{context.get_round_key(RoundId(0))[:8].hex()}-"


def _name_entry(context: Context, number: RoundId) -> str:
    return f"{_name_entries(context)}{number:08d}"
