"""Random commands that know the state: most are plausible, many are not.

`draw_command` takes every decision from the scene's seeded generator, so a seed gives one
sequence. Two thirds of the commands push the scene towards a finalised round.
"""

from flchain.chain.spec import rounds
from flchain.chain.spec.masked_clock import get_masked_book, is_masked
from flchain.chain.spec.state import Book
from flchain.protocol.calls import Call
from flchain.protocol.types import Address, Phase
from tests.model.actors import KNOWN_HASHES, NAME_OF, UNBONDING, Command, Scene
from tests.model.disturbances import draw_disturbance
from tests.model.progress import draw_progress
from tests.model.signed import sign_call

PROGRESS = 0.66
SIGNED = 0.3
"""How often a call travels as its signed twin."""


def draw_command(scene: Scene) -> Command:
    """Return the next command of a sequence and who sends it."""
    draw = draw_progress if scene.rng.random() < PROGRESS else draw_disturbance
    while (command := draw(scene)) is None:
        draw = draw_disturbance
    return relay(scene, *command)


def relay(scene: Scene, sender: Address, call: Call) -> Command:
    """Sometimes let somebody else send the signed twin of a call."""
    if sender in NAME_OF and scene.rng.random() < SIGNED:
        twin = sign_call(scene, call, sender)
        if twin is not None:
            return scene.pick_actor(), twin
    return sender, call


def draw_blocks(scene: Scene) -> int:
    """Return how many empty blocks come before the next command.

    Mostly none; often one while a draw waits for a block's hash, and rarely so many that the hash
    is lost.
    """
    task_id = scene.pick_task()
    is_waiting = rounds.get_phase(scene.state, task_id, scene.now) == Phase.SEAT
    if is_waiting and not scene.get_book(task_id).draw.is_seeded:
        return scene.rng.choices([0, 1, KNOWN_HASHES + 4], [600, 400, 15])[0]
    return int(scene.rng.random() < 0.01)


def draw_pause(scene: Scene) -> int:
    """Return how many seconds pass before the next command.

    Often until a masked phase opens, else mostly none or few; now and then to the edge of a
    window, and rarely, mostly between rounds, until stake may leave.
    """
    openings = _get_openings(scene)
    return min(openings) if openings and scene.rng.random() < 0.3 else _draw_other_pause(scene)


def _draw_other_pause(scene: Scene) -> int:
    draw = scene.rng.random()
    phase = rounds.get_phase(scene.state, scene.pick_task(), scene.now)
    if phase == Phase.SEAT and draw < 0.2:
        return _get_wait(scene)
    if phase in {Phase.NONE, Phase.ENDED} and draw < 0.1 and (due := _get_recoveries(scene)):
        return max(max(due) - scene.time - scene.rng.choice([0, 0, 1]), 0)
    if draw < 0.9:
        return scene.rng.choice([0, 0, 1, 1, 2])
    if draw < 0.95:
        return _get_wait(scene)
    is_idle = phase in {Phase.NONE, Phase.ENDED}
    if draw < (0.98 if is_idle else 0.952):
        return scene.rng.choice([70, 130, UNBONDING, UNBONDING])
    return scene.rng.choice([3, 5, 11, 21])


def _get_openings(scene: Scene) -> list[int]:
    """Return in how many seconds masked phases open that have not."""
    books = scene.state.books.items()
    opens = [get_masked_book(scene.state, task_id).opens_at for task_id, b in books if is_masked(b)]
    return [time - scene.time for time in opens if time > scene.time]


def _get_wait(scene: Scene) -> int:
    """Return the seconds to the close of the current window, or one less."""
    task_id = scene.pick_task()
    book = scene.get_book(task_id)
    if is_masked(book):
        if scene.rng.random() < 0.7:
            # Six windows in a row would hardly ever be used otherwise.
            return 1
        wait = get_masked_book(scene.state, task_id).closes_at - scene.time
        return max(wait - scene.rng.choice([0, 0, 0, 1]), 0)
    edges = {
        Phase.SUBMIT: book.round.submit_close,
        Phase.ATTEST: book.round.attest_close,
        Phase.PROPOSE: scene.time + book.task.propose_window,
        Phase.SEAT: _get_stage_end(scene, book),
        Phase.VOTE: book.ballot.vote_close,
        Phase.ENDED: book.next_open_at,
    }
    phase = rounds.get_phase(scene.state, task_id, scene.now)
    wait = edges.get(phase, 0) - scene.time
    return min(wait - scene.rng.choice([0, 0, 1]), 200) if wait > 0 else 10


def _get_recoveries(scene: Scene) -> list[int]:
    """Return when the announced keys may be put into force."""
    return [pending.executable_from for pending in scene.state.recoveries.values()]


def _get_stage_end(scene: Scene, book: Book) -> int:
    """Return when the next beacon's turn or the next stage of SEAT begins."""
    draw, window = book.draw, book.task.seat_window
    start = draw.seeded_at if draw.is_seeded else draw.proposed_at
    return scene.time + window - (scene.time - start) % window if window else 0
