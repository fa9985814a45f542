#!/usr/bin/env python
r"""An agent's node: trains on its own rows in every round, submits by digest, claims.

    export FLCHAIN_RPC=http://127.0.0.1:8545 FLCHAIN_ADDRESSES=deployment.json \
        FLCHAIN_STORE=file:store FLCHAIN_KEYSTORE=agent.json FLCHAIN_PASSWORD_FILE=password
    python scripts/run_agent.py digits:0-300

The account must be registered and enrolled (`flchain agent register`, then `enrol`).
Copy this to train with a `Trainer` of your own.
"""

import sys

from flchain.cli.failures import run_guarded_function
from flchain.cli.nodes import PATIENCE, NodeOptions, open_node, run_node
from flchain.cli.options import read_settings
from flchain.cli.sources import load_rows
from flchain.learning.training import get_trainer
from flchain.protocol.types import Role
from flchain.roles.agent import Agent


def main(source: str) -> None:
    """Run until the task's last round."""
    settings = read_settings({})
    rows = load_rows(source, settings.mnist)
    with open_node(settings, "agent", Role.AGENT, NodeOptions()) as node:
        trainer = get_trainer(node.terms.policy.model)
        upkeep = node.build_upkeep(PATIENCE)
        run_node(node, Agent(node.context, node.terms, trainer, rows, upkeep))


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(f"usage: {sys.argv[0]} SOURCE, such as digits:0-300 or rows.npz")
    sys.exit(run_guarded_function(lambda: main(sys.argv[1])))
