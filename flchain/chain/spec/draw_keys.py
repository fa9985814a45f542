"""What a task's validators need to be drawn: key, weight and since when.

Copies of what the registry says, so that a round's weights need no snapshot of it.
"""

from dataclasses import replace

from flchain.chain.spec import agents
from flchain.chain.spec.state import Book, Env, State
from flchain.protocol.events import DrawKeySet, Event
from flchain.protocol.records import DrawKey
from flchain.protocol.reverts import NoDrawKey, NothingToRefresh
from flchain.protocol.types import ZERO_DIGEST, Address, Epoch, Role, TaskId

UNITS = 1000
"""Weight of the stake that a validator needs."""
MAX_WEIGHT = 2**32 - 1
NO_KEY = bytes(20)


def verify_proven_key(state: State, validator: Address) -> None:
    """Raise NoDrawKey unless the validator proved to hold a VRF key."""
    if agents.get_draw_key(state, validator)[0] == ZERO_DIGEST:
        raise NoDrawKey(validator)


def compute_weight(state: State, validator: Address) -> int:
    """Return a validator's stake in thousandths of what is needed; 0 where there is no stake."""
    needed = agents.compute_required_stake(state.config, Role.VALIDATOR)
    stake = agents.get_draw_key(state, validator)[1]
    return min(stake * UNITS // needed, MAX_WEIGHT) if needed else 0


def verify_refresh(state: State, env: Env, book: Book, validator: Address, place: int) -> None:
    """Raise unless the sender may refresh a key.

    Until it counts the validator is not drawn, so others may do it only if the key is another now
    or the weight has fallen.
    """
    verify_proven_key(state, validator)
    known = book.draw_keys[place]
    is_same = agents.get_draw_key(state, validator)[0][:20] == known.key_hash
    is_current = is_same and compute_weight(state, validator) >= known.weight
    if is_current and env.sender != validator:
        raise NothingToRefresh(validator)


def add_key(
    state: State,
    env: Env,
    task_id: TaskId,
    validator: Address,
    place: int,
    *,
    penalties: int = 0,
) -> Event:
    """Copy a validator's key and stake for its place; they count from two epochs later."""
    book = state.books[task_id]
    digest, _ = agents.get_draw_key(state, validator)
    book.draw_keys[place] = DrawKey(
        key_hash=digest[:20],
        weight=compute_weight(state, validator),
        active_from=agents.compute_activation(state.config, env.time),
        penalties=penalties,
    )
    book.holders[place] = validator
    return describe(book, task_id, place)


def remove_key(book: Book, task_id: TaskId, place: int) -> Event:
    """Forget what stands for a place; holder and penalties stay until somebody else takes it."""
    book.draw_keys[place] = replace(
        book.draw_keys[place], key_hash=NO_KEY, weight=0, active_from=Epoch(0)
    )
    return describe(book, task_id, place)


def describe(book: Book, task_id: TaskId, place: int) -> Event:
    """Return the event that says what a place has now."""
    known = book.draw_keys[place]
    return DrawKeySet(
        task_id, book.holders[place], place, known.key_hash, known.weight, known.active_from
    )
