"""Gas of every action on Anvil, against its limit and against the committed file.

`python tools/update_gas.py` measures again and writes the file.
"""

import json
from pathlib import Path

import pytest

from tests.e2e.gas_chain import start_gas_chain
from tests.e2e.gas_draws import DRAWS, measure_draws
from tests.e2e.gas_masked import measure_masked
from tests.e2e.gas_scenes import measure_gas
from tests.e2e.gas_table import (
    BLOCK_LIMIT,
    FILE,
    LIMITS,
    MISSED,
    TWINS,
    build_document,
    format_draws,
    format_table,
    get_excesses,
    get_missing,
    get_rises,
    get_target,
    load_gas,
    load_verifier_gas,
)

pytestmark = pytest.mark.anvil

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "build" / "test-results" / "gas.json"


def read_compiler():
    """Return what the contracts are compiled with, as forge is told."""
    text = (ROOT / "foundry.toml").read_text()
    lines = [line.partition("=") for line in text.splitlines() if "=" in line]
    settings = {key.strip(): value.strip().strip('"') for key, _, value in lines}
    package = json.loads((ROOT / "package.json").read_text())
    return {
        "solc": package["dependencies"]["solc"],
        "runs": int(settings["optimizer_runs"]),
        "via_ir": settings["via_ir"] == "true",
        "evm": settings["evm_version"],
    }


@pytest.fixture(scope="module")
def gas(tmp_path_factory):
    """Every action's gas, measured once; also left where the updating tool finds it."""
    measured = load_verifier_gas()
    for measure in (measure_gas, measure_draws, measure_masked):
        chain = start_gas_chain(tmp_path_factory.mktemp("gas"))
        chain.enrich(chain.sponsor)
        try:
            measured |= measure(chain)
        finally:
            chain.devnet.stop()
    measured = dict(sorted(measured.items()))
    MEASURED.parent.mkdir(parents=True, exist_ok=True)
    MEASURED.write_text(build_document(read_compiler(), measured))
    return measured


@pytest.fixture(scope="module")
def committed():
    return load_gas() if FILE.exists() else {"compiler": {}, "gas": {}}


def test_gas__every_action__below_its_limit(gas, committed):
    print("\n" + format_table(gas, committed["gas"]))
    assert LIMITS.keys() | TWINS.keys() <= gas.keys()
    assert get_excesses(gas) == {}


def test_gas__every_draw__beside_other_verifiers(gas):
    print("\n" + format_draws(gas))
    assert {f"proveSeats: c = {seats}, 1 proof" for seats in DRAWS} <= gas.keys()
    assert all(gas[f"proveSeats: c = {seats}, 10 proofs"] < 10 * 151_000 for seats in (9, 21, 32))


def test_missed__every_row__is_above_its_target_and_no_slacker_than_measured(gas):
    for label, bound in MISSED.items():
        assert get_target(label, gas) < gas[label] == bound, f"{label}: take it off, or set it anew"


def test_gas__every_function__measured(gas):
    assert get_missing(gas) == []


def test_gas__against_committed_file__nothing_dearer_or_missing(gas, committed):
    assert committed["compiler"] == read_compiler()
    assert get_rises(gas, committed["gas"]) == {}, "if it must be: python tools/update_gas.py"
    assert gas.keys() == committed["gas"].keys()


def test_gas__any_action__fits_a_block(gas):
    assert max(gas.values()) < BLOCK_LIMIT


def test_missing__action_left_out__named():
    labels = {label: 1 for label in load_gas()["gas"] if not label.startswith(("settle", "reveal"))}
    assert get_missing(labels) == ["reveal", "settle"]


def test_excesses__one_gas_above_a_limit__named():
    gas = dict.fromkeys(load_gas()["gas"], 1)
    assert get_excesses(gas) == {}
    draw = "proveSeats: c = 7, 2 proofs"
    assert get_excesses(gas | {draw: 115_001}) == {draw: (115_001, 115_000)}
    assert get_excesses(gas | {"submit": 38_001}) == {"submit": (38_001, 38_000)}
    label = "submit: last of the round"
    assert get_excesses(gas | {label: 42_001}) == {label: (42_001, 42_000)}
    label = "attest: last of the round"
    assert get_excesses(gas | {label: 47_501}) == {label: (47_501, 47_500)}
    assert get_excesses(gas | {"enrolWithSig": 12_002}) == {"enrolWithSig": (12_002, 12_001)}


def test_rises__one_gas_more_than_committed__named():
    committed = load_gas()["gas"]
    assert get_rises(committed, committed) == {}
    dearer = committed | {"vote": committed["vote"] + 1}
    assert get_rises(dearer, committed) == {"vote": (committed["vote"] + 1, committed["vote"])}
