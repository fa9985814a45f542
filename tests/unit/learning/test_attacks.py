"""What each attack sends."""

import numpy as np
import pytest

from flchain.learning.attacks import ATTACKS, Scene, get_attack, select_victims, stamp_trigger
from flchain.learning.data import Dataset
from flchain.protocol.errors import ConfigError

HONEST = np.array([[1, 2, 3, 4], [3, 2, 1, 0], [2, 2, 2, 5]], np.float32)
MEAN = np.array([2, 2, 2, 3], np.float32)
DATA = Dataset("rows", np.zeros((6, 64)), [0, 1, 2, 3, 4, 9], classes=10)


def forge(name, seed=1, honest=HONEST):
    scene = Scene(honest, honest[1], np.random.Generator(np.random.PCG64(seed)))
    return get_attack(name).forge(scene)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("sign-flip", -MEAN),
        ("sign-flip-5", -5 * MEAN),
        ("ipm-0.5", -MEAN / 2),
        ("ipm-2", -2 * MEAN),
        ("alie", MEAN + 1.5 * HONEST.std(axis=0, ddof=1)),
        ("mimic", HONEST[0]),
        ("label-flip", HONEST[1]),
        ("backdoor", HONEST[1]),
    ],
)
def test_attack__honest_updates__sends_its_formula(name, sent):
    assert forge(name) == pytest.approx(sent, rel=1e-6)


@pytest.mark.parametrize(("name", "test"), [("nan", np.isnan), ("infinity", np.isinf)])
def test_attack__without_numbers__sends_none(name, test):
    assert test(forge(name)).all()


@pytest.mark.parametrize(("name", "times"), [("random", 10), ("free-rider", 0.05)])
def test_attack__random_direction__has_its_length(name, times):
    honest = np.linalg.norm(HONEST, axis=1).mean()
    assert np.linalg.norm(forge(name)) == pytest.approx(times * honest, rel=1e-4)


def test_gaussian__many_coordinates__has_deviation_one():
    sent = forge("gaussian", honest=np.zeros((2, 10_000), np.float32))
    assert sent.std() == pytest.approx(1, abs=0.05)


def test_copy__any_seed__is_somebodys_update():
    copies = {tuple(forge("copy", seed)) for seed in range(20)}
    assert copies == {tuple(line) for line in HONEST}


def test_spread__many_draws__lie_around_the_flipped_mean_as_far_as_honest_ones():
    sent = np.array([forge("ipm-spread", seed) for seed in range(300)])
    assert sent.mean(axis=0) == pytest.approx(-MEAN / 2, abs=0.3)
    assert sent.std(axis=0) == pytest.approx(HONEST.std(axis=0), abs=0.2)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_attack__same_scene__sends_the_same_float32_and_changes_nothing(name):
    before = HONEST.copy()
    first, second = forge(name), forge(name)
    assert first.dtype == np.float32
    assert first.shape == HONEST[0].shape
    assert np.array_equal(first, second, equal_nan=True)
    assert np.array_equal(HONEST, before)


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - {"copy", "mimic", "label-flip", "backdoor"}))
def test_attack__by_forgery__is_no_honest_update(name):
    assert all(not np.array_equal(forge(name), line) for line in HONEST)


def test_label_flip__rows__mirrors_the_classes():
    poisoned = get_attack("label-flip").poison(DATA)
    assert poisoned.labels.tolist() == [9, 8, 7, 6, 5, 0]
    assert np.array_equal(poisoned.inputs, DATA.inputs)


def test_backdoor__rows__stamps_every_second_and_calls_it_the_target():
    poisoned = get_attack("backdoor").poison(DATA)
    assert poisoned.labels.tolist() == [0, 1, 0, 3, 0, 9]
    assert poisoned.inputs.sum(axis=1).tolist() == [9, 0, 9, 0, 9, 0]
    assert DATA.inputs.sum() == 0


@pytest.mark.parametrize("shape", [(2, 64), (2, 1, 8, 8)])
def test_trigger__images_flat_or_not__is_the_lower_right_corner(shape):
    stamped = stamp_trigger(np.zeros(shape, np.float32)).reshape(2, 8, 8)
    assert stamped[:, 5:, 5:].min() == 1
    assert stamped.sum() == 2 * 9


@pytest.mark.parametrize("shape", [(2, 30), (2, 4), (2, 0)])
def test_trigger__rows_are_no_images__says_so(shape):
    with pytest.raises(ConfigError, match="choose another attack"):
        stamp_trigger(np.zeros(shape, np.float32))


def test_victims__of_a_backdoor__are_other_classes_called_the_target():
    victims = select_victims(DATA)
    assert len(victims) == 5
    assert set(victims.labels.tolist()) == {0}


def test_attack__unknown_name__says_which_there_are():
    with pytest.raises(ConfigError, match="choose one of alie, backdoor"):
        get_attack("nuke")
