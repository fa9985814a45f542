"""The summary of a federation: a JSON document, and the tables made from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flchain.cli.draws import Holding, list_proofs
from flchain.cli.rules import NO_NOISE, Noise
from flchain.cli.tally import PhaseClock, Tally
from flchain.learning.evaluation import Evaluation
from flchain.protocol.errors import FlchainError
from flchain.protocol.events import ModelPublished
from flchain.protocol.manifest import decode_manifest
from flchain.protocol.records import Task
from flchain.protocol.types import Address, Digest, Outcome, Version, Wei
from flchain.roles.archive import Archive
from flchain.roles.history import RoundPast, TaskPast, compute_waited
from flchain.roles.masked.inputs import fetch_groups
from flchain.storage.base import ContentStore
from flchain.storage.cid import cid_from_digest

FORMAT = "flchain-summary-v1"
_DIGITS = 3


@dataclass(frozen=True)
class Outline:
    """What was run."""

    command: str
    ledger: str
    dataset: str
    agents: int
    validators: int
    rounds: int
    alpha: float
    seed: int
    strategy: str
    is_multiprocess: bool
    aggregator: str = "weighted-mean"
    byzantine: int = 0
    attack: str = ""
    attackers: int = 0
    mode: str = "plain"
    groups: int = 1
    """Masked sums of a round, at most."""
    killed: int = 0
    """Agents that are killed in the middle of the run."""
    contribution: str = "participation"
    compression: str = "none"
    noise: Noise = NO_NOISE


@dataclass(frozen=True)
class Results:
    """Everything that a summary is made from. `seconds` are those of the stages."""

    past: TaskPast
    scores: Mapping[Version, Evaluation]
    tally: Tally
    clock: PhaseClock
    seconds: Mapping[str, float]
    rewards: Mapping[Address, Wei]
    disk_bytes: int
    holders: Sequence[Holding]
    task: Task


def build_summary(outline: Outline, results: Results, store: ContentStore) -> dict[str, Any]:
    """Return the document; amounts of money are decimal strings in wei."""
    past = results.past
    rows = [_build_round(number, results, store) for number in sorted(past.rounds)]
    newest = max(past.versions, default=Version(0))
    last = results.scores.get(newest)
    digest = past.versions[newest].state_digest if past.versions else Digest(b"")
    return {
        "format": FORMAT,
        "run": asdict(outline),
        "final_accuracy": last.accuracy if last else None,
        "final_loss": last.loss if last else None,
        "final_version": newest,
        "final_state_digest": digest.hex(),
        "model_cid": _find_model_cid(store, digest) if digest else None,
        "rounds": rows,
        "seconds": {name: round(value, _DIGITS) for name, value in results.seconds.items()},
        "seconds_by_phase": _round_all(results.clock.sum_phases()),
        "seconds_by_activity": _round_all(results.tally.seconds),
        "gas": {name: _build_gas(use) for name, use in sorted(results.tally.gas.items())},
        "rewards": {account: str(amount) for account, amount in sorted(results.rewards.items())},
        "totals": _build_totals(results),
    }


def _build_round(number: int, results: Results, store: ContentStore) -> dict[str, Any]:
    past = next(item for key, item in results.past.rounds.items() if key == number)
    version = _find_version(results.past, past)
    score = results.scores.get(version.version) if version else None
    seconds = _round_all(results.clock.rounds.get(past.opened.round, {}))
    return {
        "round": number,
        "outcome": past.outcome.name,
        "version": version.version if version else None,
        "accuracy": score.accuracy if score else None,
        "loss": round(score.loss, 6) if score else None,
        "participants": len(past.submissions),
        "members": past.opened.members,
        "validators": past.opened.validators,
        "attesters": len(past.attested),
        "votes": len(past.votes),
        "seats": past.seats,
        "draw": list_proofs(past, results.holders),
        "proposals": len(past.proposals),
        "groups": _list_groups(past, store),
        "seconds": {**seconds, "total": round(sum(seconds.values()), _DIGITS)},
        "state_digest": version.state_digest.hex() if version else None,
        "model_cid": _find_model_cid(store, version.state_digest) if version else None,
    }


def _list_groups(past: RoundPast, store: ContentStore) -> list[dict[str, Any]]:
    """Return what became of each group of a masked round; nothing where there was one sum."""
    if past.masked is None or not past.proposals:
        return []
    try:
        groups = fetch_groups(Archive(store), past.final_proposal.content.aggregate_root)
    except FlchainError:
        return []
    return [
        {
            "agents": len(group.agents),
            "survivors": len(group.survivors),
            "weight": group.weight,
            "fault": group.fault,
        }
        for group in groups
    ]


def _find_version(past: TaskPast, item: RoundPast) -> ModelPublished | None:
    if item.outcome is not Outcome.FINALIZED:
        return None
    versions = past.versions.values()
    return next((version for version in versions if version.round == item.opened.round), None)


def _find_model_cid(store: ContentStore, digest: Digest) -> str:
    """Return the CID of the payload behind a state's manifest."""
    return decode_manifest(store.get_block(cid_from_digest(digest))).cid


def _build_gas(use: Any) -> dict[str, int]:
    return {
        "count": use.count,
        "total": use.total,
        "least": use.least,
        "mean": use.total // use.count,
        "most": use.most,
        "most_after_round_1": use.later,
    }


def _build_totals(results: Results) -> dict[str, Any]:
    rounds = results.past.rounds.values()
    return {
        "rounds": len(rounds),
        "finalized": sum(item.outcome is Outcome.FINALIZED for item in rounds),
        "updates": sum(len(item.submissions) for item in rounds),
        "votes": sum(len(item.votes) for item in rounds),
        "transactions": sum(use.count for use in results.tally.gas.values()),
        "gas": results.tally.total_gas,
        "rewards_wei": str(sum(results.rewards.values())),
        "disk_bytes": results.disk_bytes,
        "seconds": round(sum(results.seconds.values()), _DIGITS),
        "waited_seconds": sum(compute_waited(results.task, item) for item in rounds),
    }


def _round_all(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in values.items()}
