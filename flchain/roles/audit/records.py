"""The record of a round that a proposer published, against the true one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from eth_utils.address import is_checksum_address

from flchain.protocol.canonical import decode_canonical
from flchain.protocol.errors import AdapterError, EncodingError, ProofError
from flchain.protocol.rewards import Reward
from flchain.protocol.types import Address, Digest, Version, Wei
from flchain.roles.archive import Archive
from flchain.roles.execution import FORMAT, MAX_RECORD_SIZE, RoundResult

_AMOUNT_BITS = 96
_AMOUNT_DIGITS = 29


@dataclass(frozen=True)
class UpdateRow:
    """What a record says of one update: declared weight, and what it counted for."""

    agent: str
    digest: str
    weight: int
    counted: int

    def __str__(self) -> str:
        return f"{self.agent}'s {self.digest[:16]}, declared {self.weight}, counted {self.counted}"


@dataclass(frozen=True)
class RoundRecord:
    """The document behind a proposal's aggregate root."""

    round_key: str
    parent_state: str
    updates: tuple[UpdateRow, ...]
    aggregate: Digest
    rewards: tuple[tuple[str, str], ...]

    @classmethod
    def of_result(cls, result: RoundResult) -> "RoundRecord":
        """Return the record of a result that was computed here."""
        return decode_record(result.record.payload)

    def get_rewards(self) -> tuple[Reward, ...]:
        """Return the rewards that the record lists."""
        return tuple(
            Reward(index, Address(account), Wei(int(amount)))
            for index, (account, amount) in enumerate(self.rewards)
        )


def fetch_record(archive: Archive, digest: Digest) -> RoundRecord | str:
    """Return the record behind an aggregate root, or why it can't be read."""
    try:
        return decode_record(archive.fetch(digest, max_size=MAX_RECORD_SIZE, kind="report"))
    except (AdapterError, EncodingError, ProofError) as error:
        return f"the voted one can't be read: {error}"


def decode_record(payload: bytes) -> RoundRecord:
    """Read an untrusted record. Raises EncodingError if it is malformed."""
    match decode_canonical(payload, max_size=MAX_RECORD_SIZE):
        case {
            "format": str(kind),
            "round_key": str(key),
            "parent_state": str(parent),
            "updates": list(updates),
            "aggregate": str(aggregate),
            "rewards": list(rewards),
        } if kind == FORMAT:
            return RoundRecord(
                round_key=key,
                parent_state=parent,
                updates=tuple(_decode_update(row) for row in updates),
                aggregate=_decode_digest(aggregate),
                rewards=tuple(_decode_reward(row) for row in rewards),
            )
    raise EncodingError(f"round record: not a {FORMAT} document")


def explain_record(
    found: RoundRecord,
    expected: RoundRecord,
    versions: Mapping[Version, Digest],
    parent: Version,
) -> Iterator[tuple[str, str]]:
    """Yield what differs between two records, the sum and the rewards apart."""
    if found.round_key != expected.round_key:
        yield "record", f"it is of the round with key {found.round_key}"
    if found.parent_state != expected.parent_state:
        names = {digest.hex(): f"version {version}" for version, digest in versions.items()}
        name = names.get(found.parent_state, f"state {found.parent_state}, which is no version")
        yield "parent", f"the result builds on {name}, the round's parent is version {parent}"
    yield from _explain_updates(found.updates, expected.updates)


def _explain_updates(
    found: tuple[UpdateRow, ...], expected: tuple[UpdateRow, ...]
) -> Iterator[tuple[str, str]]:
    rows = list(enumerate(zip_longest(found, expected)))
    wrong = [(index, got, due) for index, (got, due) in rows if got != due]
    if (swap := _find_swap(wrong)) is not None:
        first, second = swap
        yield f"updates {first} and {second}", "they are swapped"
        return
    for index, got, due in wrong:
        yield (
            f"update {index}",
            f"the result takes {got or 'nothing'}, should be {due or 'nothing'}",
        )


def _find_swap(
    wrong: list[tuple[int, UpdateRow | None, UpdateRow | None]],
) -> tuple[int, int] | None:
    """Return the two places whose rows, or whose digests alone, were exchanged."""
    match wrong:
        case [
            (first, UpdateRow() as a, UpdateRow() as b),
            (second, UpdateRow() as c, UpdateRow() as d),
        ]:
            if (a, c) == (d, b) or (a.digest, c.digest) == (d.digest, b.digest):
                return first, second
    return None


def _decode_update(row: Any) -> UpdateRow:
    match row:
        case [str(agent), str(digest), int(weight), int(counted)]:
            return UpdateRow(agent, digest, weight, counted)
    raise EncodingError("round record: an update is not [agent, digest, weight, counted]")


def _decode_reward(row: Any) -> tuple[str, str]:
    match row:
        case [str(account), str(amount)] if _is_reward(account, amount):
            return account, amount
    raise EncodingError("round record: a reward is not [account, amount]")


def _is_reward(account: str, amount: str) -> bool:
    is_short = amount.isascii() and amount.isdecimal() and len(amount) <= _AMOUNT_DIGITS
    return is_short and int(amount) < 1 << _AMOUNT_BITS and is_checksum_address(account)


def _decode_digest(text: str) -> Digest:
    try:
        return Digest(bytes.fromhex(text))
    except ValueError as error:
        raise EncodingError(f"round record: {text[:70]!r} is no digest") from error
