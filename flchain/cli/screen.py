"""What a person sees of a running federation: bars on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from flchain.protocol.calls import Attest, AttestRecords, CastVote, PostRecord, Submit
from flchain.protocol.types import Phase
from flchain.roles.context import Notice
from flchain.roles.observation import Observation

_COUNTED = {
    Attest: (Phase.ATTEST,),
    AttestRecords: (Phase.CHECK, Phase.ATTEST),
    CastVote: (Phase.VOTE,),
    PostRecord: (Phase.JOIN, Phase.SHARES, Phase.SUBMIT, Phase.UNMASK),
    Submit: (Phase.SUBMIT,),
}
_PHASES = {kind.__name__: phases for kind, phases in _COUNTED.items()}


class Screen:
    """One bar for the rounds and one for what is going on in the newest."""

    def __init__(self, console: Console, rounds: int, *, is_quiet: bool = False) -> None:
        """Show nothing yet. `is_quiet` leaves out everything but errors."""
        self.console = console
        self._is_quiet = is_quiet
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=is_quiet or not console.is_terminal,
        )
        self._rounds = self._progress.add_task("rounds", total=rounds, visible=False)
        self._step = self._progress.add_task("", total=1, visible=False)
        self._phase: Phase | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print one line above the bars."""
        if not self._is_quiet:
            self._progress.console.print(text, highlight=False, soft_wrap=True, markup=False)

    @contextmanager
    def step(self, name: str, total: int = 1) -> Iterator["Bar"]:
        """Show a piece of work with `total` parts."""
        self._begin(name, total)
        yield Bar(self._progress, self._step)
        self._progress.update(self._step, visible=False)

    def observe(self, seen: Observation) -> None:
        """Show the phase and how far it is."""
        if seen.round.round == 0:
            return
        done, total = _count(seen)
        name = f"round {seen.round.round}: {seen.phase.name.lower()}"
        if seen.phase is not self._phase:
            self._phase = seen.phase
            self._begin(name, total)
        finished = seen.round.round - (0 if seen.phase is Phase.ENDED else 1)
        self._progress.update(self._step, description=name, completed=done, total=total)
        self._progress.update(self._rounds, completed=finished, visible=True)

    def note(self, notice: Notice) -> None:
        """Move the bar of the phase that a notice belongs to; say what went wrong."""
        if notice.detail:
            self.say(notice.detail)
        if self._phase is not None and self._phase in _PHASES.get(notice.action, ()):
            self._progress.advance(self._step)

    def _begin(self, name: str, total: int) -> None:
        self._progress.reset(self._step, description=name, total=total, visible=True)


class Bar:
    """The bar of one step."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        """Move `task` of `progress`."""
        self._progress = progress
        self._task = task

    def advance(self) -> None:
        """Move on by one part."""
        self._progress.advance(self._task)


def _count(seen: Observation) -> tuple[int, int]:
    """Return how many acted in this phase, and of how many."""
    live, current = seen.live, seen.round
    if current.round == seen.masked.round and Phase.JOIN <= seen.phase <= Phase.UNMASK:
        is_attesting = seen.phase in (Phase.CHECK, Phase.ATTEST)
        masked = seen.masked
        return (
            (masked.attesters, current.validators)
            if is_attesting
            else (masked.count, masked.expected)
        )
    attempt = seen.ballot.attempt
    match seen.phase:
        case Phase.SUBMIT:
            return len(live.submissions), current.members
        case Phase.ATTEST:
            return len(live.attested), current.validators
        case Phase.VOTE:
            return sum(vote.attempt == attempt for vote in live.votes), current.validators
        case _:
            return 0, 1


@contextmanager
def show_progress(*, is_quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function of (label, done, total) that moves a bar on stderr."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn())
    is_hidden = is_quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as progress:
        task = progress.add_task("", total=1)

        def move(label: str, done: int, total: int) -> None:
            progress.update(task, description=label, completed=done, total=total)

        yield move
