"""The same job as a federation in memory: every role, one validator, one process and thread."""

import json
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from job import build_policy, read_folder

from flchain.learning.data import Dataset
from flchain.protocol.params import LOCAL
from flchain.roles.archive import Archive
from flchain.roles.context import Notice
from flchain.roles.observation import Watch
from flchain.roles.simulation import (
    Scenario,
    SimulatedClock,
    build_federation,
    build_memory_ledger,
    derive_cast,
    derive_mnemonic,
    found_federation,
    is_everybody_active,
)
from flchain.roles.upkeep import is_over
from flchain.storage.memory import make_memory_store

SEED = 7


def main() -> None:
    """Run the job's rounds and print one line for each, then the times."""
    settings, arrays = read_folder(Path(sys.argv[1]))
    scenario = build_scenario(settings, arrays)
    cast = derive_cast(derive_mnemonic(SEED), settings["clients"], 1)
    clock = SimulatedClock()
    ledger, store = build_memory_ledger(cast, LOCAL, clock), make_memory_store(clock)
    task_id = found_federation(ledger, store, cast, scenario)
    while not is_everybody_active(ledger, task_id, cast):
        clock.advance()
    notices: list[Notice] = []

    def report(notice: Notice) -> None:
        notices.append(notice)
        if notice.action == "evaluate":
            accuracy = notice.values["accuracy"]
            line = {"round": int(notice.round), "accuracy": accuracy, "time": time.time()}
            print(json.dumps(line), flush=True)

    federation = build_federation(
        ledger, store, cast, scenario, task_id, report=report, archive=Archive(store)
    )
    federation.validators[0].endorse()
    watch, marks = Watch(ledger, task_id), {}
    while not is_over(seen := watch.observe(), scenario.rounds):
        marks.setdefault(int(seen.round.round), time.perf_counter())
        acted = [federation.batching.tick(seen)] if federation.batching else []
        acted += [role.tick(seen) for role in federation.roles]
        if not any(acted):
            clock.advance()
    marks[scenario.rounds + 1] = time.perf_counter()
    print_beside(settings, notices, marks)


def print_beside(settings: dict, notices: list[Notice], marks: dict[int, float]) -> None:
    """Print the median seconds for each client and round outside training and evaluation."""
    found = []
    for number in range(1, settings["rounds"] + 1):
        spent = marks[number + 1] - marks[number]
        aside = [n for n in notices if n.round == number and n.action in {"train", "evaluate"}]
        found.append((spent - sum(n.seconds for n in aside)) / settings["cohort"])
    print(json.dumps({"beside": sorted(found)[len(found) // 2]}), flush=True)


def build_scenario(settings: dict, arrays: dict) -> Scenario:
    """Return the federation of a job."""
    bounds = settings["bounds"]
    shares = tuple(
        Dataset("mnist", arrays["inputs"][a:b], arrays["labels"][a:b], 10)
        for a, b in pairwise(bounds)
    )
    test = Dataset("mnist", arrays["test_inputs"], arrays["test_labels"], 10)
    schedule = replace(LOCAL.schedule, min_validators=1)
    return Scenario(
        policy=build_policy(settings),
        preset=replace(LOCAL, schedule=schedule),
        rounds=settings["rounds"],
        shares=shares,
        held_out=(test,),
        is_batched=settings["is_batched"],
    )


if __name__ == "__main__":
    main()
