#!/usr/bin/env python
"""A federation in one process and in memory, built from its parts.

    python scripts/demo.py [ROUNDS]

Four agents train on scikit-learn's digits, three validators check. `flchain demo` does the same
over Anvil with live progress; this script shows which pieces that takes, for you to exchange.
"""

import sys

from flchain.cli.failures import run_guarded_function
from flchain.cli.sources import load_rows, split_evenly, split_shares
from flchain.learning.data import Dataset
from flchain.learning.export import get_model_arrays
from flchain.learning.presets import load_preset
from flchain.learning.training import get_trainer
from flchain.protocol.params import LOCAL
from flchain.roles.archive import Archive
from flchain.roles.assembly import fetch_state
from flchain.roles.daemon import run_federation
from flchain.roles.observation import Observation, Watch
from flchain.roles.simulation import (
    Federation,
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
from flchain.storage.memory import make_memory_store

SEED = 7
AGENTS = 4
VALIDATORS = 3


def main(rounds: int) -> None:
    """Run a federation and print the accuracy of every version."""
    scenario = Scenario(
        policy=load_preset("digits", {"seed": f"{SEED:064x}"}),
        preset=LOCAL,
        rounds=rounds,
        shares=split_shares(load_rows("digits:0-1200"), AGENTS, alpha=0.5, seed=SEED),
        held_out=split_evenly(load_rows("digits:1200-1500"), VALIDATORS),
    )
    cast = derive_cast(derive_mnemonic(SEED), AGENTS, VALIDATORS)
    clock = SimulatedClock()
    ledger = build_memory_ledger(cast, LOCAL, clock)
    store = make_memory_store(clock)
    task_id = found_federation(ledger, store, cast, scenario)
    while not is_everybody_active(ledger, task_id, cast):
        clock.advance()
    federation = build_federation(ledger, store, cast, scenario, task_id)
    for validator in federation.validators:
        validator.endorse()
    seen = run_federation(
        federation.roles,
        Watch(ledger, task_id),
        until=lambda look: is_over(look, rounds),
        idle=lambda _: clock.advance(),
    )
    show(seen, store, federation, load_rows("digits:1500-1797"))


def show(seen: Observation, store: ContentStore, federation: Federation, test: Dataset) -> None:
    """Print the accuracy of each version on rows that nobody trained on."""
    policy = federation.terms.policy
    trainer = get_trainer(policy.model)
    for version, published in seen.past.versions.items():
        state = fetch_state(Archive(store), published.state_digest, federation.terms)
        score = trainer.evaluate(get_model_arrays(state, policy), test)
        digest = published.state_digest.hex()
        print(f"version {version}: accuracy {score.accuracy:.4f}, digest {digest}")


if __name__ == "__main__":
    given = sys.argv[1] if sys.argv[1:] else "3"
    if not given.isdecimal() or not int(given):
        sys.exit(f"usage: {sys.argv[0]} [ROUNDS], a whole number from 1")
    sys.exit(run_guarded_function(lambda: main(int(given))))
