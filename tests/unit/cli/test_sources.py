"""Data sources: what can be named, and how it is split."""

import numpy as np
import pytest

from flchain.cli.sources import (
    PLANS,
    build_dataset,
    find_mnist,
    load_rows,
    name_runs,
    parse_share,
    split_evenly,
    split_shares,
    take_share,
    verify_rows,
)
from flchain.learning.data import Dataset
from flchain.learning.presets import load_preset
from flchain.learning.training import get_trainer
from flchain.protocol.errors import ConfigError


def provide():
    return build_dataset("mine", np.zeros((4, 2)), np.array([0, 1, 2, 1]))


def provide_nonsense():
    return [1, 2, 3]


def test_rows__digits_with_range__those_rows():
    rows = load_rows("digits:100-150")
    assert (rows.name, len(rows), rows.inputs.shape[1]) == ("digits", 50, 64)
    assert np.array_equal(rows.labels, load_rows("digits").labels[100:150])


def test_rows__npz__round_trip(tmp_path):
    path = tmp_path / "rows.npz"
    np.savez(path, inputs=np.ones((3, 2), np.float64), labels=np.array([2, 0, 1], np.int32))
    rows = load_rows(str(path))
    assert (rows.inputs.dtype, rows.labels.dtype, rows.classes) == (np.float32, np.int64, 3)


def test_rows__python_function__is_called():
    assert len(load_rows(f"{__name__}:provide")) == 4


@pytest.mark.parametrize(
    "source",
    [
        "nothing",
        "digits:5",
        "missing.npz",
        "no_such_module:load",
        f"{__name__}:no_such_function",
        f"{__name__}:provide_nonsense",
    ],
)
def test_rows__wrong_source__one_line_that_names_it(source):
    with pytest.raises(ConfigError, match=source.replace(".", r"\.")) as caught:
        load_rows(source)
    assert "\n" not in str(caught.value)


def test_rows__npz_without_labels__is_refused(tmp_path):
    path = tmp_path / "rows.npz"
    np.savez(path, inputs=np.ones((3, 2)))
    with pytest.raises(ConfigError, match="arrays inputs and labels"):
        load_rows(str(path))


def test_rows__npz_with_pickled_objects__is_refused(tmp_path):
    path = tmp_path / "rows.npz"
    np.savez(path, inputs=np.array([{}], object), labels=np.array([0]))
    with pytest.raises(ConfigError, match="arrays inputs and labels"):
        load_rows(str(path))


@pytest.mark.parametrize("labels", [np.array([]), np.array([0.5]), np.zeros((2, 2), int)])
def test_dataset__labels_are_no_row_of_numbers__is_refused(labels):
    with pytest.raises(ConfigError, match="labels"):
        build_dataset("mine", np.zeros((len(labels), 1)), labels)


def test_shares__one_by_one_or_together__the_same_rows():
    rows = load_rows("digits:0-400")
    together = split_shares(rows, 4, 0.5, 7)
    assert sum(len(part) for part in together) == len(rows)
    for index in range(4):
        alone = take_share(rows, parse_share(f"{index + 1}/4", 0.5, 7))
        assert np.array_equal(alone.inputs, together[index].inputs)


def test_shares__other_seed__other_rows():
    rows = load_rows("digits:0-400")
    first, second = (split_shares(rows, 4, 0.5, seed)[0] for seed in (7, 8))
    assert first.inputs.shape != second.inputs.shape or not np.array_equal(
        first.inputs, second.inputs
    )


@pytest.mark.parametrize("text", ["", "3", "0/4", "3/0", "a/b", "-1/4", "1/4/2"])
def test_share__malformed__is_refused(text):
    with pytest.raises(ConfigError, match="not of the form 3/10"):
        parse_share(text, 0.5, 7)


def test_share__beyond_the_last__is_refused():
    with pytest.raises(ConfigError, match="5/4"):
        take_share(load_rows("digits:0-100"), parse_share("5/4", 0.5, 7))


def test_runs__named_and_split__the_same_rows():
    source = "digits:1200-1500"
    split = split_evenly(load_rows(source), 7)
    named = [load_rows(name) for name in name_runs(source, 7)]
    assert [len(part) for part in split] == [len(part) for part in named]
    for ours, theirs in zip(split, named, strict=True):
        assert np.array_equal(ours.inputs, theirs.inputs)


@pytest.mark.parametrize("plan", PLANS.values())
def test_plan__agents_validators_and_test__share_no_row(plan):
    named: list[tuple[str, int, int]] = []
    for source in (plan.agents, plan.validators, plan.test):
        name, _, rows = source.partition(":")
        start, _, stop = rows.partition("-")
        named.append((name, int(start), int(stop)))
    for index, (name, start, stop) in enumerate(named):
        for other, begin, end in named[index + 1 :]:
            assert name != other or stop <= begin or end <= start


def test_mnist__named_folder__wins(tmp_path):
    assert find_mnist(tmp_path) == tmp_path


def test_mnist__named_folder_is_missing__is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--mnist"):
        find_mnist(tmp_path / "missing")


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), float("inf"), 1e300])
def test_shares__alpha_is_no_skew__is_refused(alpha):
    with pytest.raises(ConfigError, match="alpha"):
        split_shares(load_rows("digits:0-400"), 4, alpha, 7)


@pytest.mark.parametrize("alpha", [1e-300, 1e6])
def test_shares__extreme_alpha__every_row_once(alpha):
    parts = split_shares(load_rows("digits:0-400"), 4, alpha, 7)
    assert sum(len(part) for part in parts) == 400


def test_dataset__is_what_the_learning_layer_takes():
    assert isinstance(provide(), Dataset)


def check(inputs, labels):
    policy = load_preset("digits")
    rows = build_dataset("mine", np.asarray(inputs, np.float32), np.asarray(labels))
    verify_rows(rows, get_trainer(policy.model), policy)


def test_rows__that_the_model_takes__are_accepted():
    check(np.zeros((3, 64)), [0, 1, 9])


def test_rows__of_another_shape__are_refused():
    with pytest.raises(ConfigError, match=r"does not take inputs of shape \(63,\)"):
        check(np.zeros((3, 63)), [0, 1, 2])


def test_rows__label_beyond_the_classes__are_refused():
    with pytest.raises(ConfigError, match="label 10 is beyond the 10 classes"):
        check(np.zeros((1, 64)), [10])


def test_rows__with_nan__are_refused():
    with pytest.raises(ConfigError, match="NaN"):
        check(np.full((1, 64), np.nan), [1])


def test_rows__none__are_refused():
    policy = load_preset("digits")
    rows = load_rows("digits:5-5")
    with pytest.raises(ConfigError, match="no rows"):
        verify_rows(rows, get_trainer(policy.model), policy)
