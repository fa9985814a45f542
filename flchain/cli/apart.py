"""A demo's rounds with each role in a process of its own."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from flchain.cli.casualties import is_killing_time
from flchain.cli.children import Child, Children, ChildSpec
from flchain.cli.federation import Progress, Venue
from flchain.cli.plans import Plan
from flchain.cli.runs import Run
from flchain.cli.session import BOOK
from flchain.cli.sources import PLANS, name_runs
from flchain.crypto.keys import create_keystore, derive_private_key, derive_vrf_secret
from flchain.protocol.digests import compute_quorum
from flchain.protocol.disk_errors import explained
from flchain.protocol.errors import AdapterError
from flchain.protocol.types import TaskId
from flchain.roles.observation import Observation, Watch
from flchain.roles.simulation import derive_mnemonic
from flchain.roles.upkeep import is_over

START_TIMEOUT = 180.0
CLAIM_TIMEOUT = 120.0
_POLL = 0.3
_KEY_ROUNDS = 2
"""Work factor of key files whose keys anybody can derive from the seed."""


class RoundsApart:
    """Starts one process for each role, watches the chain, and ends them."""

    def __init__(self, run: Run, rpc_url: str) -> None:
        """Use a run's folder for keys and logs, and the chain at `rpc_url`."""
        self._run = run
        self._rpc_url = rpc_url

    def __call__(
        self, plan: Plan, venue: Venue, task_id: TaskId, progress: Progress
    ) -> Observation:
        """Run until the last round is over and every process has claimed and ended."""
        specs = list(self._list_children(plan, task_id))
        with Children(self._run.folder / "logs", progress.note) as children:
            with progress.stage("start"), progress.screen.step("starting processes"):
                # The orchestrator last: no round opens before everybody is there.
                children.start(specs[1:])
                children.wait_until_ready(START_TIMEOUT)
                children.start(specs[:1])
            watch = Watch(venue.ledger, task_id)
            with progress.stage("rounds"):
                _watch(plan, watch, progress, children)
            with progress.stage("claims"), progress.screen.step("claiming rewards"):
                children.wait(CLAIM_TIMEOUT)
        return watch.observe()

    def _list_children(self, plan: Plan, task_id: TaskId) -> Iterator[ChildSpec]:
        """Yield the processes: orchestrator, validators, agents."""
        outline, rows = plan.outline, PLANS[plan.outline.dataset]
        password = self._run.folder / "keys" / "password"
        _write_secret(password, secrets.token_hex(16))
        mnemonic = derive_mnemonic(outline.seed)

        def build(name: str, role: str, place: int, *data: str) -> ChildSpec:
            keystore = password.with_name(f"{name}.json")
            key = derive_private_key(mnemonic, place)
            create_keystore(keystore, key, password.read_text(), rounds=_KEY_ROUNDS)
            shared = self._list_shared(plan, task_id, keystore, password)
            return ChildSpec(name, (role, "run", *shared, *data))

        yield build("orchestrator", "orchestrator", 1)
        place = 2
        for index, source in enumerate(name_runs(rows.validators, outline.validators)):
            name = f"validator-{index + 1}"
            vrf = password.with_name(f"{name}-vrf.json")
            secret = derive_vrf_secret(mnemonic, index)
            create_keystore(vrf, secret, password.read_text(), rounds=_KEY_ROUNDS)
            keys = ("--vrf-keystore", str(vrf))
            yield build(name, "validator", place + index, "--data", source, *keys)
        place += outline.validators
        skew = ("--alpha", str(outline.alpha), "--seed", str(outline.seed))
        for index in range(outline.agents):
            share = ("--share", f"{index + 1}/{outline.agents}")
            data = ("--data", rows.agents, *share, *skew)
            yield build(f"agent-{index + 1}", "agent", place + index, *data)

    def _list_shared(
        self, plan: Plan, task_id: TaskId, keystore: Path, password: Path
    ) -> tuple[str, ...]:
        """Return the arguments that every role takes."""
        mnist = plan.settings.mnist
        return (
            *("--rpc", self._rpc_url, "--addresses", str(self._run.folder / BOOK)),
            *("--store", f"file:{self._run.store}", "--data-dir", str(self._run.folder)),
            *("--task", str(task_id), "--rounds", str(plan.outline.rounds)),
            *("--keystore", str(keystore), "--password-file", str(password)),
            *(("--mnist", str(mnist)) if mnist is not None and keystore.stem[0] != "o" else ()),
            *("--json", "--with-parent"),
        )


def _watch(plan: Plan, watch: Watch, progress: Progress, children: Children) -> None:
    """Show what happens until the last round is over; say who ends before."""
    lost: list[Child] = []
    is_spared = not plan.outline.killed
    while True:
        seen = watch.observe()
        progress.observe(seen)
        if is_over(seen, plan.outline.rounds):
            return
        if not is_spared and is_killing_time(seen, plan.outline):
            is_spared = True
            children.kill([f"agent-{plan.outline.agents - n}" for n in range(plan.outline.killed)])
        for child in children.find_ended():
            if child not in lost:
                lost.append(child)
                progress.screen.say(_describe_end(child))
        children.verify_kept()
        verify_enough(plan.scenario.policy.min_survivors, children.all)
        time.sleep(_POLL)


def verify_enough(min_survivors: int, children: Sequence[Child]) -> None:
    """Raise AdapterError if so many processes failed that no round can become final."""
    needs: dict[str, Callable[[int], int]] = {
        "agent": lambda _: min_survivors,
        "validator": compute_quorum,
    }
    for role, compute_needed in needs.items():
        members = [child for child in children if child.spec.arguments[0] == role]
        failed = [child for child in members if child.exit_code]
        left, needed = len(members) - len(failed), compute_needed(len(members))
        if failed and left < needed:
            raise AdapterError(
                f"{left} of {len(members)} {role}s are left, a round needs {needed}; "
                f"{_describe_end(failed[0])}"
            )


def _describe_end(child: Child) -> str:
    return f"{child.spec.name} ended (exit {child.exit_code}): {child.get_complaint()}"


def _write_secret(path: Path, text: str) -> None:
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
