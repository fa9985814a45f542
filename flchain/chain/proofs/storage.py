"""Every storage slot that the contracts have written, and what each must hold.

The slots follow the declarations in `contracts/`: a test compares the whole with the storage
roots of a real chain. A slot that is not listed here must hold zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flchain.chain.contracts import flatten, get_function
from flchain.chain.memory import MemoryLedger
from flchain.chain.proofs.draw_traces import Weights
from flchain.chain.proofs.layout import encode_text, locate, locate_items, pack
from flchain.chain.proofs.masked_storage import list_masked
from flchain.chain.proofs.slots import Slot, Slots
from flchain.chain.proofs.traces import Pending, Traces
from flchain.chain.spec.committees import pack_committee
from flchain.chain.spec.state import Book, State
from flchain.protocol.eip712 import TOKEN_NAME
from flchain.protocol.records import Ballot
from flchain.protocol.types import Role, RoundId, TaskId, Version

_TOKEN_SYMBOL = "FLC"  # noqa: S105 - a token's symbol, no secret
_ABSENCES = 3
_INLINE_CLAIMS = 64
_CLAIMS_PER_WORD = 256
_COUNT_SHIFT = 240

# RoundManager: `_book` is at slot 2, after EIP-712's two strings.
_TASK_COUNT, _PAGES = 2, 3
# AgentRegistry, after EIP-712's two strings.
_NONCES, _AGENTS, _KEYS, _ALLOWED, _GUARDIANS, _RECOVERIES = 2, 3, 4, 5, 6, 7
# ModelRegistry.
_LATEST, _DIGESTS = 0, 1
# RewardDistributor.
_BUDGETS, _DISTRIBUTIONS, _CLAIMED = 0, 1, 2
# ChainSeeds.
_SEEDS, _LAST_SEEDS = 0, 1
# LocalToken: ERC20's five, EIP-712's two strings, Nonces.
_BALANCES, _ALLOWANCES, _SUPPLY, _NAME, _SYMBOL, _TOKEN_NONCES = 0, 1, 2, 3, 4, 7

# Members of `Page`, in slots from its start.
_TASK, _STATUS, _ROUND, _SUBMISSIONS, _BALLOT, _PROPOSAL = 0, 6, 7, 8, 9, 10
_ABSENCE, _PROPOSERS, _POPULATIONS, _MEMBERS, _COUNTERS, _ATTESTED, _REJECTS = (
    *(14, 17, 18, 19, 20),
    *(21, 22),
)
_TERMS, _DRAW, _SEED, _COMMITTEE, _WEIGHTS = 23, 24, 25, 26, 27
_SEATS, _DRAW_KEYS, _HOLDERS, _OFFENCES, _AUDITS = 28, 29, 30, 31, 32
_TERMS_TYPES = ("uint96", "uint96", "uint32", "uint32")
_POPULATION_TYPES = ("uint16", "uint32", "uint16", "uint32", "uint16", "uint64")
_ABSENCE_TYPES = ("uint32", "uint64")
_WEIGHTS_TYPES = ("uint40", "uint32", "uint40", "uint32", "uint40", "uint40")
_BALLOT_BYTES = (
    *("cast", "approvals", "worse", "missing", "top_reject", "reject_kinds"),
    *("attempt", "start_rank", "rank", "is_live", "is_extended"),
)
"""Members of a ballot's word from the lowest byte, one byte each; two times and places follow."""
_BALLOT_TIMES = ("vote_close", "opened_at")
_TIME_BITS = 40


@dataclass(frozen=True)
class Remembered:
    """What the rules make of all calls: the state, its traces, and what only events tell.

    `supply` is the token's, `rounds` names the round that made each model version.
    """

    state: State
    traces: Traces
    supply: int
    rounds: Mapping[tuple[TaskId, Version], RoundId]


def compute_storage(contract: str, remembered: Remembered) -> Slots:
    """Return the slots of one contract of the suite."""
    state, traces = remembered.state, remembered.traces
    # No record depends on the time.
    ledger = MemoryLedger(state.config, lambda: 0)
    ledger.state = state
    lists = {
        "AgentRegistry": lambda: _list_agents(state),
        "RoundManager": lambda: _list_tasks(ledger, traces),
        "ModelRegistry": lambda: _list_versions(remembered),
        "RewardDistributor": lambda: _list_rewards(ledger),
        "ChainSeeds": lambda: _list_seeds(state),
        "MaskedRounds": lambda: list_masked(state, traces.masked),
        "LocalToken": lambda: _list_tokens(state, remembered.supply),
    }
    return dict(lists[contract]())


def _list_agents(state: State) -> Iterator[tuple[int, Slot]]:
    for (contract, account), nonce in state.nonces.items():
        if contract == state.config.addresses.agent_registry:
            yield locate(_NONCES, account), Slot(nonce, f"nonces[{account}]")
    for account, agent in state.agents.items():
        words = _pack_record("AgentRegistry", "getAgent", agent)
        yield from _spread(locate(_AGENTS, account), words, f"agents[{account}]")
    for digest, holder in state.keys.items():
        (word,) = pack(("address", "bool"), (holder.agent, holder.is_proven))
        yield locate(_KEYS, digest), Slot(word, f"keys[{digest.hex()}]")
    for account in state.allowed:
        yield locate(_ALLOWED, account), Slot(1, f"isAllowed[{account}]")
    for account, guardian in state.guardians.items():
        yield locate(_GUARDIANS, account), Slot(int(guardian, 16), f"getGuardian[{account}]")
    for account, pending in state.recoveries.items():
        recovery = (int.from_bytes(pending.keys_digest, "big"), int(pending.executable_from))
        yield from _spread(locate(_RECOVERIES, account), recovery, f"recoveries[{account}]")


def _list_seeds(state: State) -> Iterator[tuple[int, Slot]]:
    for draw, seed in state.seeds.items():
        value = int.from_bytes(seed, "big")
        yield locate(_SEEDS, draw), Slot(value, f"seeds[{draw.hex()}]")
    for task_id, seed in state.last_seeds.items():
        value = int.from_bytes(seed, "big")
        yield locate(_LAST_SEEDS, task_id), Slot(value, f"last[{task_id}]", task_id)


def _list_versions(remembered: Remembered) -> Iterator[tuple[int, Slot]]:
    for task_id, digests in remembered.state.versions.items():
        newest = len(digests) - 1
        yield locate(_LATEST, task_id), Slot(newest, f"latest[{task_id}]", task_id)
        for version, digest in enumerate(digests):
            value = int.from_bytes(digest, "big")
            number = remembered.rounds.get((task_id, Version(version)))
            name = f"digests[{task_id}][{version}]"
            yield locate(_DIGESTS, task_id, version), Slot(value, name, task_id, number)


def _list_rewards(ledger: MemoryLedger) -> Iterator[tuple[int, Slot]]:
    state = ledger.state
    for task_id, budget in state.budgets.items():
        words = _pack_record("RewardDistributor", "getBudget", budget)
        yield from _spread(locate(_BUDGETS, task_id), words, f"budgets[{task_id}]", task_id)
    for task_id, number in state.distributions:
        record = ledger.get_distribution(task_id, number)
        words = _pack_record("RewardDistributor", "getDistribution", record)
        at, name = locate(_DISTRIBUTIONS, task_id, number), f"distributions[{task_id}][{number}]"
        yield from _spread(at, words, name, task_id, number)
    for (task_id, number, word), bits in _collect_claims(state).items():
        name = f"claimed[{task_id}][{number}][{word}]"
        yield locate(_CLAIMED, task_id, number, word), Slot(bits, name, task_id, number)


def _collect_claims(state: State) -> Mapping[tuple[TaskId, RoundId, int], int]:
    """Return the bitmaps of paid leaves beyond those that a distribution holds itself."""
    words: dict[tuple[TaskId, RoundId, int], int] = {}
    for task_id, number, index in state.claimed:
        if index >= _INLINE_CLAIMS:
            key = (task_id, number, index // _CLAIMS_PER_WORD)
            words[key] = words.get(key, 0) | 1 << index % _CLAIMS_PER_WORD
    return words


def _list_tokens(state: State, supply: int) -> Iterator[tuple[int, Slot]]:
    yield _SUPPLY, Slot(supply, "totalSupply")
    yield _NAME, Slot(encode_text(TOKEN_NAME), "name")
    yield _SYMBOL, Slot(encode_text(_TOKEN_SYMBOL), "symbol")
    for account, balance in state.token.balances.items():
        yield locate(_BALANCES, account), Slot(balance, f"balances[{account}]")
    for (owner, spender), value in state.token.allowances.items():
        name = f"allowances[{owner}][{spender}]"
        yield locate(_ALLOWANCES, owner, spender), Slot(value, name)
    for (contract, account), nonce in state.nonces.items():
        if contract == state.config.addresses.token:
            yield locate(_TOKEN_NONCES, account), Slot(nonce, f"nonces[{account}]")


def _list_tasks(ledger: MemoryLedger, traces: Traces) -> Iterator[tuple[int, Slot]]:
    yield _TASK_COUNT, Slot(len(ledger.state.books), "taskCount")
    for task_id, book in ledger.state.books.items():
        page = locate(_PAGES, task_id)
        for at, slot in _list_page(ledger, task_id, book, traces):
            yield page + at, slot
        yield from _list_members(page, task_id, book)
        yield from _list_populations(page, task_id, book, traces)
        yield from _list_traces(page, task_id, traces)
        yield from _list_draws(page, task_id, book, traces)


def _list_page(
    ledger: MemoryLedger, task_id: TaskId, book: Book, traces: Traces
) -> Iterator[tuple[int, Slot]]:
    """Yield the fixed part of a task's page, in slots from its start."""
    number = book.round.round or None
    records = {
        _TASK: ("getTask", book.task, None),
        _STATUS: ("getTaskStatus", ledger.get_task_status(task_id), None),
        # The number of attesters is kept with the counters.
        _ROUND: ("getRound", book.round, number),
        _PROPOSAL: ("getProposal", book.proposal, number),
    }
    for at, (function, record, place) in records.items():
        words = _pack_record("RoundManager", function, record)
        name = f"pages[{task_id}].{function.removeprefix('get').lower()}"
        yield from _spread(at, words, name, task_id, place)
    chained = book.submissions.count << _COUNT_SHIFT | book.submissions.commitment
    yield _SUBMISSIONS, Slot(chained, f"pages[{task_id}].submissions", task_id, number)
    stored = replace(ledger.get_ballot(task_id), is_live=task_id in traces.voting)
    ballot = _pack_ballot(stored)
    yield _BALLOT, Slot(ballot, f"pages[{task_id}].ballot", task_id, number)
    task = book.task
    copied = (task.round_reserve, task.proposal_bond, task.claim_delay, task.claim_window)
    (word,) = pack(_TERMS_TYPES, copied)
    yield _TERMS, Slot(word, f"pages[{task_id}].terms", task_id)
    for age, absence in enumerate(reversed(book.absences[-_ABSENCES:])):
        seats = sum(1 << seat for seat in absence.heard)
        (word,) = pack(_ABSENCE_TYPES, (absence.epoch, seats))
        yield _ABSENCE + age, Slot(word, f"pages[{task_id}].absences[{age}]", task_id)


def _list_members(page: int, task_id: TaskId, book: Book) -> Iterator[tuple[int, Slot]]:
    first, count = locate_items(page + _PROPOSERS), len(book.proposers)
    yield page + _PROPOSERS, Slot(count, f"pages[{task_id}].proposers.length", task_id)
    for place, account in enumerate(book.proposers):
        name = f"pages[{task_id}].proposers[{place}]"
        yield first + place, Slot(int(account, 16), name, task_id)
    for account, member in book.members.items():
        (word,) = _pack_record("RoundManager", "getMember", member)
        name = f"pages[{task_id}].members[{account}]"
        yield locate(page + _MEMBERS, account), Slot(word, name, task_id)


def _list_populations(
    page: int, task_id: TaskId, book: Book, traces: Traces
) -> Iterator[tuple[int, Slot]]:
    for role in Role:
        stored = traces.populations.get((task_id, int(role)), Pending())
        seats = sum(
            1 << member.place
            for member in book.members.values()
            if member.role == role == Role.VALIDATOR and not member.left_at
        )
        counts = (stored.active, stored.epoch_a, stored.count_a, stored.epoch_b, stored.count_b)
        (word,) = pack(_POPULATION_TYPES, (*counts, seats))
        name = f"pages[{task_id}].populations[{role.name}]"
        yield locate(page + _POPULATIONS, int(role)), Slot(word, name, task_id)


def _list_traces(page: int, task_id: TaskId, traces: Traces) -> Iterator[tuple[int, Slot]]:
    for (owner, group), word in traces.counters.items():
        if owner == task_id:
            name = f"pages[{task_id}].counters[{group}]"
            yield locate(page + _COUNTERS, group), Slot(word, name, task_id)
    for (owner, validator, number), word in traces.attested.items():
        if owner == task_id:
            name = f"pages[{task_id}].attested[{validator}][{number}]"
            yield locate(page + _ATTESTED, validator, number), Slot(word, name, task_id)
    for (owner, kind), word in traces.rejects.items():
        if owner == task_id:
            name = f"pages[{task_id}].rejects[{kind}]"
            yield locate(page + _REJECTS, kind), Slot(word, name, task_id)


def _list_draws(
    page: int, task_id: TaskId, book: Book, traces: Traces
) -> Iterator[tuple[int, Slot]]:
    name, number = f"pages[{task_id}]", book.draw.round or None
    (word,) = _pack_record("RoundManager", "getDraw", book.draw)
    yield page + _DRAW, Slot(word, f"{name}.draw", task_id, number)
    seed = int.from_bytes(book.seed, "big")
    yield page + _SEED, Slot(seed, f"{name}.seed", task_id, number)
    committee = pack_committee(book.committee)
    yield page + _COMMITTEE, Slot(committee, f"{name}.committee", task_id, number)
    weights = traces.draws.weights.get(task_id, Weights())
    (word,) = pack(_WEIGHTS_TYPES, flatten(weights))
    yield page + _WEIGHTS, Slot(word, f"{name}.weights", task_id)
    for place, known in book.draw_keys.items():
        (word,) = _pack_record("RoundManager", "getDrawKey", known)
        yield locate(page + _DRAW_KEYS, place), Slot(word, f"{name}.drawKeys[{place}]", task_id)
    for place, holder in book.holders.items():
        slot = Slot(int(holder, 16), f"{name}.holders[{place}]", task_id)
        yield locate(page + _HOLDERS, place), slot
    for offence in book.offences:
        slot = Slot(1, f"{name}.offences[{offence.hex()}]", task_id)
        yield locate(page + _OFFENCES, offence), slot
    yield from _list_draw_traces(page, task_id, traces)


def _list_draw_traces(page: int, task_id: TaskId, traces: Traces) -> Iterator[tuple[int, Slot]]:
    for (owner, group), word in traces.draws.seats.items():
        if owner == task_id:
            name = f"pages[{task_id}].seats[{group}]"
            yield locate(page + _SEATS, group), Slot(word, name, task_id)
    for (owner, finding), word in traces.draws.audits.items():
        if owner == task_id:
            name = f"pages[{task_id}].audits[{finding.hex()}]"
            yield locate(page + _AUDITS, finding), Slot(word, name, task_id)


def _pack_ballot(ballot: Ballot) -> int:
    word, shift = 0, 0
    for name in _BALLOT_BYTES:
        word |= int(getattr(ballot, name)) << shift
        shift += 8
    for name in _BALLOT_TIMES:
        word |= int(getattr(ballot, name)) << shift
        shift += _TIME_BITS
    return word | ballot.voted << shift


def _pack_record(contract: str, function: str, record: Any) -> list[int]:
    """Return the words of the struct that a view of the contract returns, maybe with others."""
    kind = get_function(contract, function).outputs[0]
    return pack(kind.strip("()").split(","), flatten(record))


def _spread(
    at: int,
    words: Sequence[int],
    name: str,
    task_id: TaskId | None = None,
    number: RoundId | None = None,
) -> Iterator[tuple[int, Slot]]:
    for place, word in enumerate(words):
        suffix = f", word {place}" if len(words) > 1 else ""
        yield at + place, Slot(word, f"{name}{suffix}", task_id, number)
