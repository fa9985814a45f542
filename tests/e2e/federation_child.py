"""A validator in a process of its own: `python federation_child.py '{"url": …}'`.

It shares nothing with the test but the node's address and the block folder. It ends when the
given number of rounds is over.
"""

import json
import sys
from pathlib import Path

from flchain.chain.address_book import load_address_book
from flchain.chain.ethereum import EthereumLedger
from flchain.chain.rpc import HttpRpc
from flchain.crypto.signing import LocalSigner
from flchain.learning.data.digits import load_digits
from flchain.learning.training import DenseTrainer
from flchain.protocol.types import TaskId
from flchain.roles.context import Context
from flchain.roles.daemon import run_role
from flchain.roles.observation import Watch
from flchain.roles.terms import load_terms
from flchain.roles.upkeep import is_over
from flchain.roles.validator import Validator
from flchain.storage.disk import DiskStore
from tests.e2e import federation


def main() -> None:
    options = json.loads(sys.argv[1])
    ledger = EthereumLedger(HttpRpc(options["url"]), load_address_book(Path(options["book"])))
    store = DiskStore(Path(options["store"]), durable=False)
    task_id, signer = TaskId(options["task_id"]), LocalSigner(bytes.fromhex(options["key"]))
    terms = load_terms(ledger, store, task_id)
    context = Context("validator", ledger, store, signer, task_id)
    held_out = load_digits(*options["rows"])
    validator = Validator(context, terms, DenseTrainer(terms.policy.model.layers), held_out)
    print("ready", flush=True)
    run_role(
        validator,
        Watch(ledger, task_id),
        until=lambda seen: is_over(seen, options["rounds"]),
        idle=federation.wait,
        on_error=lambda error: print(error, file=sys.stderr),
    )


if __name__ == "__main__":
    main()
