"""A journal keeps what was written, or says why it could not."""

from pathlib import Path

import pytest

from flchain.protocol.errors import AdapterError
from flchain.roles.journal import DiskJournal, Journal, MemoryJournal


@pytest.fixture(params=["memory", "disk"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    return MemoryJournal() if request.param == "memory" else DiskJournal(tmp_path / "journal")


def test_write__new_name__is_read_back(journal: Journal) -> None:
    journal.write("update-1", b"bytes")
    assert journal.read("update-1") == b"bytes"


def test_write__known_name__replaces(journal: Journal) -> None:
    journal.write("update-1", b"old")
    journal.write("update-1", b"new")
    assert journal.read("update-1") == b"new"
    assert list(journal.names()) == ["update-1"]


def test_read__unknown_name__is_none(journal: Journal) -> None:
    assert journal.read("update-9") is None


def test_delete__then_names__are_sorted_without_it(journal: Journal) -> None:
    for name in ("b", "a", "c"):
        journal.write(name, b"x")
    journal.delete("b")
    journal.delete("b")
    assert list(journal.names()) == ["a", "c"]


def test_disk_journal__opened_again__holds_what_was_written(tmp_path: Path) -> None:
    DiskJournal(tmp_path).write("update-1", b"bytes")
    assert DiskJournal(tmp_path).read("update-1") == b"bytes"


def test_disk_journal__draft_of_a_crashed_write__is_not_listed(tmp_path: Path) -> None:
    journal = DiskJournal(tmp_path)
    (tmp_path / ".update-1.4711").write_bytes(b"half")
    assert list(journal.names()) == []


def test_disk_journal__folder_is_a_file__says_so(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(AdapterError, match="taken"):
        DiskJournal(tmp_path / "taken")


def test_disk_journal__write_fails__keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = DiskJournal(tmp_path)
    journal.write("update-1", b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(AdapterError, match=r"No space left.*nothing was sent"):
        journal.write("update-1", b"new")
    monkeypatch.undo()
    assert journal.read("update-1") == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["update-1"]
