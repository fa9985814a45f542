#!/usr/bin/env python
r"""A validator's node: endorses the task, executes every round again, votes, claims.

    export FLCHAIN_RPC=http://127.0.0.1:8545 FLCHAIN_ADDRESSES=deployment.json \
        FLCHAIN_STORE=file:store FLCHAIN_KEYSTORE=validator.json FLCHAIN_PASSWORD_FILE=password
    python scripts/run_validator.py digits:1200-1300

The account must be registered and enrolled (`flchain validator register`, then `enrol`).
Copy this to judge models by a measure of your own.
"""

import sys

from flchain.cli.failures import run_guarded_function
from flchain.cli.nodes import PATIENCE, NodeOptions, open_node, run_node
from flchain.cli.options import read_settings
from flchain.cli.sources import load_rows
from flchain.learning.training import get_trainer
from flchain.protocol.types import Role
from flchain.roles.validator import Validator


def main(source: str) -> None:
    """Endorse if that is still to be done, then run until the task's last round."""
    settings = read_settings({})
    rows = load_rows(source, settings.mnist)
    with open_node(settings, "validator", Role.VALIDATOR, NodeOptions()) as node:
        trainer = get_trainer(node.terms.policy.model)
        upkeep = node.build_upkeep(PATIENCE)
        validator = Validator(node.context, node.terms, trainer, rows, upkeep)
        if not node.has_endorsed:
            validator.endorse()
        run_node(node, validator)


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(f"usage: {sys.argv[0]} SOURCE, such as digits:1200-1300 or rows.npz")
    sys.exit(run_guarded_function(lambda: main(sys.argv[1])))
