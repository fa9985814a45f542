"""What an agent's strategy keeps between rounds, in the agent's journal.

A round's entry is written before its update is, and counts only once the round has been
finalised with that update in it: what the server's state does not know of, the client forgets.
An update that is made again after a crash starts from the same entry as the first time.
"""

from collections.abc import Iterator

import safetensors.numpy
from safetensors import SafetensorError

from flchain.learning.parameters import NamedArrays
from flchain.protocol.errors import ConfigError
from flchain.protocol.types import Outcome, RoundId
from flchain.roles.context import Context
from flchain.roles.execution import compute_survivors
from flchain.roles.history import TaskPast


def load_memory(context: Context, past: TaskPast, number: RoundId) -> NamedArrays:
    """Return what the newest round before `number` that counted this agent left.

    Raises ConfigError if its entry is damaged: going on without it would do silent harm.
    """
    for earlier in _list_rounds(context):
        if earlier >= number or not _has_counted(context, past, earlier):
            continue
        data = context.journal.read(_name_entry(context, earlier))
        try:
            return safetensors.numpy.load(data or b"")
        except (SafetensorError, ValueError) as error:
            raise ConfigError(
                f"journal entry {_name_entry(context, earlier)} is damaged ({error}); restore it, "
                "or remove it to begin anew"
            ) from error
    return {}


def save_memory(context: Context, past: TaskPast, number: RoundId, memory: NamedArrays) -> None:
    """Keep what round `number` would leave, if there is anything to keep."""
    if not memory:
        return
    context.journal.write(_name_entry(context, number), safetensors.numpy.save(dict(memory)))
    counted = [r for r in _list_rounds(context) if r < number and _has_counted(context, past, r)]
    for earlier in counted[1:]:
        context.journal.delete(_name_entry(context, earlier))


def _has_counted(context: Context, past: TaskPast, number: RoundId) -> bool:
    if number not in past.rounds or past.rounds[number].outcome is not Outcome.FINALIZED:
        return False
    survivors = compute_survivors(past.rounds[number])
    return any(item.agent == context.signer.address for item in survivors)


def _list_rounds(context: Context) -> Iterator[RoundId]:
    """Yield the rounds that have an entry, newest first."""
    prefix = _name_entries(context)
    names = [name for name in context.journal.names() if name.startswith(prefix)]
    return (RoundId(int(name.removeprefix(prefix))) for name in reversed(names))


def _name_entries(context: Context) -> str:
    """Return what this task's entries begin with; round 0 stands for the task."""
    return f"strategy-{context.get_round_key(RoundId(0))[:8].hex()}-"


def _name_entry(context: Context, number: RoundId) -> str:
    return f"{_name_entries(context)}{number:08d}"
