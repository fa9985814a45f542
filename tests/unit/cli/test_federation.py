"""A federation in memory, from the first account to the summary."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from flchain.cli import federation as federation_module
from flchain.cli import plans
from flchain.cli.federation import Progress, Venue, found, play, run_here, sum_rewards
from flchain.cli.plans import Choice, build_plan, choose
from flchain.cli.runs import create_run
from flchain.cli.screen import Screen
from flchain.cli.tables import format_amount, print_summary
from flchain.cli.venues import open_memory_venue
from flchain.config import Settings
from flchain.learning.strategies import DEFAULTS
from flchain.protocol.errors import ConfigError
from flchain.protocol.types import Role
from flchain.roles.simulation import derive_cast, derive_mnemonic

CHOICE = Choice(
    agents=4,
    validators=3,
    rounds=2,
    seed=7,
    alpha=0.5,
    strategy="fedavg",
    dataset="digits",
    ledger="memory",
)


def run(tmp_path, choice=CHOICE):
    settings = Settings(tmp_path)
    outline, _ = choose(choice, settings, "simulate")
    plan = build_plan(outline, settings, is_batched=choice.is_batched)
    folder = create_run(tmp_path, "20260101-000000")
    console = Console(file=io.StringIO(), width=100)
    with (
        Screen(console, choice.rounds) as screen,
        open_memory_venue(plan, folder, is_stored=False) as venue,
    ):
        progress = Progress(screen)
        task_id = found(plan, venue, progress)
        document = play(plan, venue, task_id, progress, run_here)
        check_ledger(venue, task_id, document)
    return document, console.file.getvalue()


def check_ledger(venue: Venue, task_id, document):
    """The summary says what the ledger says."""
    ledger = venue.ledger
    assert int(document["totals"]["rewards_wei"]) == sum(sum_rewards(ledger, task_id).values())
    newest = ledger.get_latest_version(task_id)
    assert document["final_version"] == newest
    assert document["final_state_digest"] == ledger.get_state_digest(task_id, newest).hex()
    for account, amount in document["rewards"].items():
        assert ledger.get_balance(account) == int(amount)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run(tmp_path_factory.mktemp("federation"))


def test_federation__two_rounds__both_final_and_the_model_learns(result):
    document, _ = result
    rows = document["rounds"]
    assert [row["outcome"] for row in rows] == ["FINALIZED", "FINALIZED"]
    assert [row["version"] for row in rows] == [1, 2]
    assert rows[1]["loss"] < rows[0]["loss"]
    assert document["final_accuracy"] == rows[1]["accuracy"] > 0.3


def test_summary__document__everything_that_is_promised(result):
    document, _ = result
    assert json.loads(json.dumps(document)) == document
    for row in document["rounds"]:
        assert row["participants"] == row["members"] == 4
        assert {"submit", "attest", "vote", "total"} <= set(row["seconds"])
        assert row["model_cid"].startswith("baf")
    assert document["model_cid"] == document["rounds"][-1]["model_cid"]
    assert document["totals"]["updates"] == 8
    assert document["seconds_by_phase"]["submit"] > 0
    assert set(document["seconds"]) == {"setup", "rounds", "claims"}


def test_summary__every_member__is_paid(result):
    document, _ = result
    cast = derive_cast(derive_mnemonic(7), 4, 3)
    paid = {signer.address for signer, role in cast.members if role is not Role.PROPOSER}
    assert set(document["rewards"]) == paid


def test_screen__not_a_terminal__one_line_for_each_round(result):
    _, text = result
    lines = text.strip().splitlines()
    assert [line.split()[:2] for line in lines] == [["round", "1"], ["round", "2"]]


def test_tables__summary__accuracy_digest_and_hints(result):
    document, _ = result
    console = Console(file=io.StringIO(), width=80)
    print_summary(console, document, ["flchain verify --all"])
    text = console.file.getvalue()
    assert f"{document['final_accuracy']:.4f}" in text
    assert document["final_state_digest"] in text
    assert "flchain verify --all" in text
    assert max(map(len, text.splitlines())) <= 100


def test_tables__round_in_groups__says_how_many_counted(result):
    document = json.loads(json.dumps(result[0]))
    group = {"agents": 5, "survivors": 5, "weight": 9, "fault": ""}
    document["rounds"][1]["groups"] = [group, group | {"weight": 0, "fault": "WeightSumMismatch"}]
    console = Console(file=io.StringIO(), width=80)
    print_summary(console, document, [])
    text = console.file.getvalue()
    assert "groups       round 2: 1 of 2 counted (WeightSumMismatch)" in text
    assert "round 1: " not in text


def test_federation__groups_and_a_robust_rule__are_in_the_summary(tmp_path):
    grouped = replace(CHOICE, agents=12, rounds=1, mode="secure", groups=3, aggregator="median")
    document, _ = run(tmp_path, replace(grouped, attack="sign-flip-5", attackers=1))
    (row,) = document["rounds"]
    assert row["outcome"] == "FINALIZED"
    assert [group["survivors"] for group in row["groups"]] == [4, 4, 4]
    console = Console(file=io.StringIO(), width=80)
    print_summary(console, document, [])
    assert "mode secure in 3 groups" in console.file.getvalue()
    assert "round 1: 3 of 3 counted" in console.file.getvalue()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"groups": 2}, "add --mode secure"),
        ({"groups": 2, "mode": "plain"}, "add --mode secure"),
        ({"groups": 2, "mode": "secure", "agents": 5}, "2 groups of 3 take 6 agents"),
    ],
)
def test_choice__groups_that_cannot_be__are_refused(tmp_path, changes, error):
    with pytest.raises(ConfigError, match=error):
        choose(replace(CHOICE, **changes), Settings(tmp_path), "simulate")


def test_plan__rule_that_needs_more_groups__is_refused(tmp_path):
    choice = replace(CHOICE, agents=12, mode="secure", groups=2, aggregator="median", byzantine=1)
    outline, _ = choose(choice, Settings(tmp_path), "simulate")
    with pytest.raises(ConfigError, match=r"raise masking\.groups to 3"):
        build_plan(outline, Settings(tmp_path))


def test_federation__same_seed_other_number_of_threads__same_digest(result, tmp_path, monkeypatch):
    assert federation_module.WORKERS == 2
    monkeypatch.setattr(federation_module, "WORKERS", 1)
    again, _ = run(tmp_path)
    assert again["final_state_digest"] == result[0]["final_state_digest"]
    assert [row["loss"] for row in again["rounds"]] == [row["loss"] for row in result[0]["rounds"]]


def test_federation__other_seed__other_digest(result, tmp_path):
    other, _ = run(tmp_path, replace(CHOICE, seed=8))
    assert other["final_state_digest"] != result[0]["final_state_digest"]


@pytest.mark.parametrize("strategy", sorted(set(DEFAULTS) - {"fedavg"}))
def test_federation__any_strategy__runs_to_the_end(tmp_path, strategy):
    document, _ = run(tmp_path, replace(CHOICE, strategy=strategy, agents=2, validators=1))
    assert document["totals"]["finalized"] == 2


def test_federation__attack_and_robust_rule__is_in_the_summary_and_repeats(tmp_path):
    choice = replace(
        CHOICE, aggregator="crowds/median", attack="ipm-2", attackers=1, strategy="fedavgm"
    )
    document, _ = run(tmp_path / "first", choice)
    again, _ = run(tmp_path / "second", choice)
    named = ("aggregator", "byzantine", "attack", "attackers")
    assert [document["run"][name] for name in named] == ["crowds/median", 1, "ipm-2", 1]
    assert document["totals"]["finalized"] == 2
    assert document["final_state_digest"] == again["final_state_digest"]
    honest, _ = run(tmp_path / "third", replace(choice, attack="", attackers=0, byzantine=1))
    assert honest["final_state_digest"] != document["final_state_digest"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"aggregator": "krum", "byzantine": 1}, "add agents, lower --byzantine"),
        ({"aggregator": "mode"}, "choose weighted-mean or one of"),
        ({"attackers": 1}, "attackers need an --attack"),
        ({"attack": "alie", "attackers": 4}, "an honest agent besides them"),
        ({"attack": "nuke", "attackers": 1}, "no attack 'nuke'"),
        ({"byzantine": 1}, "weighted-mean withstands no bad update"),
        ({"attack": "alie"}, "nobody attacks with alie: add --attackers"),
    ],
)
def test_choice__rule_or_attack_that_cannot_be__names_the_way_out(tmp_path, changes, error):
    with pytest.raises(ConfigError, match=error):
        run(tmp_path, replace(CHOICE, **changes))


TASK = """
import numpy as np
from flchain.learning.data import Dataset, load_digits
from flchain.learning.task import LearningTask
from flchain.learning.training.numpy_model import NumpyModel

TRAIN, TEST = load_digits(0, 300), load_digits(1_700)


def score(parameters, inputs):
    return inputs @ parameters["fc1.weight"].T + parameters["fc1.bias"]


def fail(parameters, inputs, labels):
    raise ValueError("a fault of the model")


def fit(parameters, inputs, labels):
    return 1.0, {name: np.zeros_like(array) for name, array in parameters.items()}


def build(gradient):
    zeros = {"fc1.weight": np.zeros((10, 64)), "fc1.bias": np.zeros(10)}
    return lambda: NumpyModel(zeros, score, gradient)


def spoil(rows):
    inputs = rows.inputs if len(rows) > 90 else rows.inputs * np.nan
    return Dataset(rows.name, inputs, rows.labels, rows.classes)


def leave():
    raise SystemExit(3)


failing = LearningTask("t", build(fail), TRAIN, TEST)
fitting = LearningTask("t", build(fit), TRAIN, TEST, sites=["a", "b", "c", "d"] * 75)
spoiling = LearningTask("t", build(fit), TRAIN, TEST, spoil)
"""
"""Tasks of a user, with what goes wrong in them."""


@pytest.fixture
def user(tmp_path, monkeypatch):
    """The name of a module of the user's in the working folder."""
    name = f"user_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(TASK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def run_task(tmp_path, task, **changes):
    return run(
        tmp_path, replace(CHOICE, **({"dataset": None, "task": task, "rounds": 1} | changes))
    )


@pytest.mark.parametrize(
    "changes",
    [{"mode": "plain"}, {"mode": "secure"}, {"attack": "sign-flip", "attackers": 1}],
    ids=str,
)
def test_task__training_raises__agents_stay_out_and_the_run_ends(tmp_path, user, changes):
    document, screen = run_task(tmp_path, f"{user}:failing", **changes)
    assert document["totals"]["finalized"] == 0
    assert screen.count("ValueError: a fault of the model") == 4


def test_task__sites_in_a_list__are_shares(tmp_path, user):
    document, _ = run_task(tmp_path, f"{user}:fitting")
    assert document["rounds"][0]["participants"] == 4


@pytest.mark.parametrize(
    ("task", "changes", "error"),
    [
        ("fitting", {"is_batched": True}, "leave out --batched"),
        ("fitting", {"dataset": "digits"}, "leave out --task or --dataset"),
        ("spoiling", {}, "hold NaN or infinity"),
        ("leave", {}, "SystemExit: 3"),
    ],
)
def test_task__what_cannot_be__is_refused(tmp_path, user, task, changes, error):
    with pytest.raises(ConfigError, match=error):
        run_task(tmp_path, f"{user}:{task}", **changes)


@pytest.mark.parametrize("task", ["", "mine"])
def test_task__without_an_object__is_refused(tmp_path, task):
    with pytest.raises(ConfigError, match="not of the form MODULE:OBJECT"):
        run_task(tmp_path, task)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (66, 2)])
def test_federation__few_or_many_members__policy_fits(tmp_path, size):
    agents, validators = size
    choice = replace(CHOICE, agents=agents, validators=validators, rounds=1)
    document, _ = run(tmp_path, choice)
    assert document["rounds"][0]["participants"] == agents
    assert document["totals"]["finalized"] == 1


@pytest.mark.parametrize("name", ["agents", "validators", "rounds"])
def test_choice__nobody_or_nothing__is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="at least 1"):
        choose(replace(CHOICE, **{name: 0}), Settings(tmp_path), "demo")


def test_choice__processes_without_a_chain__is_refused(tmp_path):
    choice = replace(CHOICE, is_multiprocess=True)
    with pytest.raises(ConfigError):
        choose(choice, Settings(tmp_path), "demo")


def test_choice__named_anvil_is_missing__is_refused(tmp_path):
    settings = Settings(tmp_path, anvil=tmp_path / "anvil")
    with pytest.raises(ConfigError, match="Anvil"):
        choose(replace(CHOICE, ledger=None), settings, "demo")


def test_choice__named_mnist_is_missing__is_refused(tmp_path):
    settings = Settings(tmp_path, mnist=tmp_path / "missing")
    with pytest.raises(ConfigError, match="--mnist"):
        choose(replace(CHOICE, dataset=None), settings, "demo")


def test_choice__nothing_installed__digits_in_memory_and_says_so(tmp_path, monkeypatch):
    def find_nothing(_configured):
        raise ConfigError("none")

    monkeypatch.setattr("flchain.cli.plans.find_anvil", find_nothing)
    monkeypatch.setattr("flchain.cli.plans.find_mnist", lambda _configured: None)
    choice = replace(CHOICE, ledger=None, dataset=None)
    outline, missing = choose(choice, Settings(tmp_path), "demo")
    assert (outline.ledger, outline.dataset) == ("memory", "digits")
    assert len(missing) == 2


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (0, "0"),
        (10**18, "1"),
        (1234567 * 10**18, "1,234,567"),
        (15 * 10**17, "1.5"),
        (10**12, "0.000001"),
        (2999999999999999999000, "2,999.999999"),
    ],
)
def test_amount__in_wei__whole_tokens(wei, text):
    assert format_amount(wei) == text


def test_federation__with_and_without_a_drawn_committee__the_same_model(tmp_path, monkeypatch):
    choice = replace(CHOICE, validators=7)
    drawn, _ = run(tmp_path / "drawn", choice)
    schedule = replace(plans.LOCAL.schedule, committee=0, seat_window=0)
    monkeypatch.setattr(plans, "LOCAL", replace(plans.LOCAL, schedule=schedule))
    everybody, _ = run(tmp_path / "everybody", choice)
    assert [row["seats"] for row in drawn["rounds"]] == [5, 5]
    for row in drawn["rounds"]:
        assert sum(proof["seats"] for proof in row["draw"]) == 5
        scores = [proof["score"] for proof in row["draw"]]
        assert scores == sorted(scores)
    console = Console(file=io.StringIO(), width=100)
    print_summary(console, drawn, [])
    text = console.file.getvalue()
    assert "Draw of round 2" in text
    assert all(proof["validator"] in text for proof in drawn["rounds"][-1]["draw"])
    assert [row["draw"] for row in everybody["rounds"]] == [[], []]
    assert [row["seats"] for row in everybody["rounds"]] == [7, 7]
    assert drawn["final_state_digest"] == everybody["final_state_digest"]
