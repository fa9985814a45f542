"""Run folders: found by time, never shared, written in full."""

import json

import pytest

from flchain.cli.runs import (
    RunRecord,
    create_run,
    find_newest,
    find_newest_store,
    find_runs,
    load_run,
    save_record,
    write_json,
)
from flchain.protocol.errors import ConfigError

RECORD = RunRecord("demo", "anvil", 31337, {"token": "0x0"}, task=1)


def test_run__same_second__two_folders(tmp_path):
    assert create_run(tmp_path, "20260101-000000") != create_run(tmp_path, "20260101-000000")


def test_run__before_its_record__is_not_found(tmp_path):
    create_run(tmp_path, "20260101-000000")
    assert find_runs(tmp_path) == []


def test_run__record__round_trip(tmp_path):
    run = save_record(create_run(tmp_path, "20260101-000000"), RECORD)
    assert load_run(run.folder).record == RECORD


def test_newest__later_run_in_memory__the_chain_before_it(tmp_path):
    older = save_record(create_run(tmp_path, "20260101-000000"), RECORD)
    memory = RunRecord("simulate", "memory", 1337, {})
    save_record(create_run(tmp_path, "20260102-000000"), memory)
    assert find_newest(tmp_path).folder == older.folder


def test_newest__nothing_saved__says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="flchain demo"):
        find_newest(tmp_path)


def test_newest_store__devnet_without_content_yet__where_it_will_be(tmp_path):
    run = save_record(create_run(tmp_path, "20260101-000000"), RECORD)
    assert find_newest_store(tmp_path) == run.store


def test_newest_store__only_in_memory__says_what_to_do(tmp_path):
    record = RunRecord("simulate", "memory", 1337, {})
    save_record(create_run(tmp_path, "20260101-000000"), record)
    with pytest.raises(ConfigError, match="--store"):
        find_newest_store(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"kind": 1, "unknown": 2}'])
def test_run__damaged_record__names_the_file(tmp_path, text):
    run = create_run(tmp_path, "20260101-000000")
    (run.folder / "run.json").write_text(text)
    with pytest.raises(ConfigError, match=r"run\.json"):
        load_run(run.folder)


def test_newest__damaged_record_beside_it__found_and_a_note_says_how_to_mend(tmp_path, capsys):
    sound = save_record(create_run(tmp_path, "20260102-000000"), RECORD)
    for stamp in ("20260101-000000", "20260103-000000"):
        (create_run(tmp_path, stamp).folder / "run.json").write_text("{")
    assert find_newest(tmp_path).folder == sound.folder
    assert find_newest_store(tmp_path) == sound.store
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 4
    assert all("deployment.json" in note and "remove" not in note for note in notes)


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": "other"}'])
def test_newest__only_a_damaged_record__says_what_to_do(tmp_path, text, capsys):
    (create_run(tmp_path, "20260101-000000").folder / "run.json").write_text(text)
    with pytest.raises(ConfigError, match="flchain demo"):
        find_newest(tmp_path)
    assert "run.json" in capsys.readouterr().err


def test_run__folder_cannot_be_made__names_the_option(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--data-dir"):
        create_run(tmp_path / "file", "20260101-000000")


def test_json__folder_is_missing__is_made(tmp_path):
    write_json(tmp_path / "a" / "b.json", {"x": 1})
    assert json.loads((tmp_path / "a" / "b.json").read_text()) == {"x": 1}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]
