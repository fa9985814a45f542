import os
import sqlite3

import pytest

from flchain.storage.base import Pin
from flchain.storage.cid import compute_raw_cid
from flchain.storage.errors import StoreLocked, StoreUnusable
from flchain.storage.pins import MAX_NAME, PinTable

A, B = compute_raw_cid(b"a"), compute_raw_cid(b"b")


@pytest.fixture
def table(tmp_path):
    opened = PinTable(tmp_path / "pins.sqlite", timeout=0.05)
    yield opened
    opened.close()


def test_add__repeated__counts_once(table):
    table.add("name", A)
    table.add("name", A)
    assert list(table.iterate()) == [Pin("name", A)]
    assert table.is_pinned(A)
    assert not table.is_pinned(B)


@pytest.mark.parametrize("name", ["", "x" * (MAX_NAME + 1)])
def test_add__bad_name__is_refused(table, name):
    with pytest.raises(StoreUnusable, match="characters"):
        table.add(name, A)


@pytest.mark.parametrize("name", ["x'; DROP TABLE pins; --", "%", "_", "ä/€", "*?[a]"])
def test_iterate__odd_names__are_matched_literally(table, name):
    table.add(name, A)
    table.add("other", B)
    assert list(table.iterate(name)) == [Pin(name, A)]
    assert list(table.iterate(name[:1] + "zz")) == []


def test_get_sole_cids__shared_and_own__returns_own(table):
    table.add("a", A)
    table.add("a", B)
    table.add("b", B)
    assert table.get_sole_cids("a") == (A,)
    assert table.get_sole_cids("b") == ()


def test_table__written_by_another__says_busy(table, tmp_path):
    other = sqlite3.connect(tmp_path / "pins.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked, match="busy"):
        table.add("name", A)
    other.close()
    table.add("name", A)


def test_table__after_a_fork__opens_its_own_connection(table):
    table.add("parent", A)
    child = os.fork()
    if child == 0:
        parents, is_own = table._connection, False
        try:
            table.add("child", B)
            is_own = table._connection is not parents
        finally:
            os._exit(0 if is_own else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert {pin.name for pin in table.iterate()} == {"child", "parent"}


def test_publication__states__are_remembered(table):
    assert table.get_publication(A) is None
    table.add_publication(A)
    assert table.get_publication(A) == (None, False)
    table.set_foreign(A, is_foreign=False)
    table.set_foreign(A, is_foreign=True)
    assert table.get_publication(A) == (False, False)
    assert table.get_unconfirmed() == (A,)
    table.confirm_publication(A)
    table.add_publication(A)
    assert table.get_publication(A) == (False, True)
    assert table.get_unconfirmed() == ()
