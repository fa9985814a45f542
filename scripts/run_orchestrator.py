#!/usr/bin/env python
r"""An orchestrator's node: opens rounds, proposes results, settles.

    export FLCHAIN_RPC=http://127.0.0.1:8545 FLCHAIN_ADDRESSES=deployment.json \
        FLCHAIN_STORE=file:store FLCHAIN_KEYSTORE=orchestrator.json FLCHAIN_PASSWORD_FILE=password
    python scripts/run_orchestrator.py

The account must be registered and enrolled (`flchain orchestrator register`, then `enrol`).
It needs neither data nor torch.
"""

import sys

from flchain.cli.failures import run_guarded_function
from flchain.cli.nodes import NodeOptions, open_node, run_node
from flchain.cli.options import read_settings
from flchain.protocol.types import Role, Seconds
from flchain.roles.orchestrator import Orchestrator


def main() -> None:
    """Run until the task's last round."""
    with open_node(read_settings({}), "orchestrator", Role.PROPOSER, NodeOptions()) as node:
        run_node(node, Orchestrator(node.build_upkeep(Seconds(0))), is_paid=False)


if __name__ == "__main__":
    sys.exit(run_guarded_function(main))
