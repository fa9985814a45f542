"""A round's record is untrusted: what is not a list of payments is refused in one line."""

import pytest

from flchain.protocol.canonical import CanonicalValue, encode_canonical
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Digest
from flchain.roles.archive import Archive, seal_payload
from flchain.roles.execution import FORMAT, fetch_rewards
from flchain.storage.memory import make_memory_store

ACCOUNT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def publish(document: CanonicalValue) -> tuple[Archive, Digest]:
    archive = Archive(make_memory_store())
    sealed = seal_payload(encode_canonical(document), kind="report", dtype="json")
    return archive, archive.publish(sealed, "pin")


def test_fetch_rewards__well_formed__gives_them_in_order() -> None:
    rows = [[ACCOUNT, "7"], [ACCOUNT, str(2**96 - 1)]]
    archive, digest = publish({"format": FORMAT, "rewards": rows})
    found = [(r.index, r.account, r.amount) for r in fetch_rewards(archive, digest)]
    assert found == [(0, ACCOUNT, 7), (1, ACCOUNT, 2**96 - 1)]


@pytest.mark.parametrize(
    "row",
    [
        [ACCOUNT],
        [ACCOUNT, 7],
        [ACCOUNT, "-7"],
        [ACCOUNT, "\u0667"],
        [ACCOUNT, "9" * 30],
        ["somebody", "7"],
        [ACCOUNT.lower(), "7"],
        "7",
    ],
)
def test_fetch_rewards__malformed_row__is_refused(row: CanonicalValue) -> None:
    archive, digest = publish({"format": FORMAT, "rewards": [row]})
    with pytest.raises(EncodingError, match="reward 0"):
        fetch_rewards(archive, digest)


@pytest.mark.parametrize("document", [[], {"format": "other"}, {"format": FORMAT, "rewards": 1}])
def test_fetch_rewards__no_record__is_refused(document: CanonicalValue) -> None:
    archive, digest = publish(document)
    with pytest.raises(EncodingError, match="round record"):
        fetch_rewards(archive, digest)
