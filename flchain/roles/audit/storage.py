"""The contracts' whole storage at the head, proven, against what the rules leave in it.

The state root of the head commits to a storage root for each contract. The slots that the rules
give, and no others, must make up exactly that root; if they don't, the slots are proven one by
one to name the one that was altered.
"""

from collections.abc import Iterator

from flchain.chain.contracts import get_contract_names
from flchain.chain.proofs.accounts import (
    fetch_account,
    fetch_code,
    fetch_slots,
    fetch_whole_storage,
    read_slots,
)
from flchain.chain.proofs.code import list_constants, verify_code
from flchain.chain.proofs.slots import Slot, Slots
from flchain.chain.proofs.storage import Remembered, compute_storage
from flchain.chain.proofs.tries import compute_storage_root
from flchain.chain.rpc import Rpc, RpcError
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.types import Address, RoundId, TaskId
from flchain.roles.audit.authenticity import ProvenChain
from flchain.roles.audit.report import Findings

_TOKEN = "LocalToken"  # noqa: S105 - a contract's name, no secret

Difference = tuple[TaskId | None, RoundId | None, str, str]
"""Task and round as far as they are known, the object, and what differs."""


def audit_code(rpc: Rpc, chain: ProvenChain, findings: Findings) -> None:
    """Compare the code of every contract and library with what its creation left."""
    if not chain.accounts:
        findings.noted("code", "not compared: the node gives no proofs of it")
        return
    deployment = chain.replay.deployment
    names = get_contract_names(deployment.config.addresses)
    if deployment.mints is None:
        names.pop(deployment.config.addresses.token)
    names |= {address: name for name, address in deployment.libraries.items()}
    wrong = 0
    for address, name in names.items():
        try:
            account = chain.accounts.get(address) or fetch_account(rpc, chain.head, address)
            code = fetch_code(rpc, chain.head, address, account)
            verify_code(name, code, list_constants(deployment, address))
        except (ProofError, EncodingError, RpcError) as error:
            wrong += 1
            findings.failed(f"code of {name}", str(error))
    if not wrong:
        text = f"{len(names)} contracts and libraries have this version's code"
        findings.passed("code", f"{text} in block {chain.head.number}")


def audit_storage(rpc: Rpc, chain: ProvenChain, task_id: TaskId, findings: Findings) -> None:
    """Compare every slot of every contract of the suite."""
    count, is_right = 0, True
    for address, name in get_contract_names(chain.replay.state.config.addresses).items():
        if name == _TOKEN and chain.replay.deployment.mints is None:
            findings.noted("storage", f"the token at {address} is not flchain's: not looked into")
            continue
        slots = _compute_slots(chain, name)
        count += len(slots)
        for task, number, subject, text in _compare(rpc, chain, address, name, slots):
            is_right = False
            findings.failed(subject, text, number if task in {None, task_id} else None)
    if not is_right:
        return
    if chain.accounts:
        text = f"{count} slots, and no others, make up the storage roots of block"
        findings.passed("storage", f"{text} {chain.head.number}")
    else:
        text = f"{count} slots are as the rules give them, by the node's word: it gives no proofs"
        findings.noted("storage", text)


def _compute_slots(chain: ProvenChain, name: str) -> Slots:
    supply = sum((chain.replay.deployment.mints or {}).values())
    replay = chain.replay
    return compute_storage(
        name, Remembered(replay.state, replay.traces, supply, chain.get_rounds())
    )


def _compare(
    rpc: Rpc, chain: ProvenChain, address: Address, name: str, slots: Slots
) -> Iterator[Difference]:
    """Yield each slot that is another."""
    account = chain.accounts.get(address)
    root = compute_storage_root({at: slot.value for at, slot in slots.items()})
    if account is not None and root == account.storage_root:
        return
    try:
        values, is_whole = _fetch(rpc, chain, address, slots)
    except (ProofError, EncodingError, RpcError) as error:
        yield None, None, f"storage of {name}", f"it is not what the rules leave in it: {error}"
        return
    wrong = [at for at in {**slots, **values} if values.get(at, 0) != _get_value(slots, at)]
    for at in wrong:
        slot = slots.get(at, Slot(0, f"slot {at:#x}, which no call has written"))
        text = f"{at:#x} holds {values.get(at, 0):#x}, the rules give {slot.value:#x}"
        yield slot.task_id, slot.round, f"{name}.{slot.name}", text
    if account is not None and not wrong and not is_whole:
        yield None, None, f"storage of {name}", "something is in a slot that no call has written"


def _fetch(
    rpc: Rpc, chain: ProvenChain, address: Address, slots: Slots
) -> tuple[dict[int, int], bool]:
    """Return what the slots hold, and whether no other slot holds anything."""
    account = chain.accounts.get(address)
    if account is None:
        return read_slots(rpc, chain.head, address, list(slots)), False
    whole = fetch_whole_storage(rpc, address, account.storage_root)
    if whole is not None:
        return whole, True
    return fetch_slots(rpc, chain.head, address, list(slots), account.storage_root), False


def _get_value(slots: Slots, at: int) -> int:
    return slots[at].value if at in slots else 0
