"""Noise on every example, through Opacus."""

import itertools
from importlib import import_module

import numpy as np
import pytest

from flchain.learning.data import load_digits
from flchain.learning.initialisation import compute_initial_parameters
from flchain.learning.parameters import to_float, unflatten
from flchain.learning.presets import load_preset
from flchain.learning.privacy import compute_epsilon
from flchain.learning.training import build_plan, get_private_trainer
from flchain.learning.training.base import LocalPlan
from flchain.protocol.errors import ConfigError

POLICY = load_preset("digits")
START = unflatten(
    to_float(compute_initial_parameters(POLICY.model, POLICY.seed)), POLICY.model.layers
)
DATA = load_digits(0, 300)
PLAN = LocalPlan(epochs=8, batch_size=30, learning_rate=0.5, momentum=0.0)


def import_private():
    pytest.importorskip("opacus", reason="Opacus is not installed")
    return import_module("flchain.learning.training.private_trainer")


def make(clip=1.0, multiplier=0.5, first=1):
    import_private()
    numbers = itertools.count(first)
    return get_private_trainer(
        POLICY.model, clip=clip, multiplier=multiplier, draw_secret=lambda _: next(numbers)
    )


def test_private__digits__are_learned_under_noise():
    trainer = make()
    before = trainer.evaluate(START, DATA).accuracy
    result = trainer.train(START, DATA, PLAN, seed=0)
    assert result.samples == 300
    assert trainer.evaluate(result.parameters, DATA).accuracy > before + 0.4


def test_private__public_seed__decides_nothing():
    first, again, other = (
        make(first=place).train(START, DATA, PLAN, seed=seed).parameters["fc1.weight"]
        for place, seed in ((1, 0), (1, 5), (9, 0))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_private__one_row_however_large__moves_the_model_by_at_most_the_clip():
    """Without noise to speak of, a step's length is the clip times the rate."""
    trainer = make(clip=0.01, multiplier=1e-6)
    data = DATA.select([0])
    plan = LocalPlan(epochs=1, batch_size=1, learning_rate=1.0, momentum=0.0)
    result = trainer.train(START, data, plan, seed=0)
    moved = sum(float(np.square(result.parameters[n] - START[n]).sum()) for n in START)
    assert moved**0.5 == pytest.approx(0.01, rel=1e-2)


def test_private__loss__is_that_of_sampled_noise():
    module = import_private()
    loss = module.compute_example_loss(module.ExampleNoise(1.0, 1.0), 300, PLAN)
    assert module.count_steps(300, PLAN) == 80
    spent = compute_epsilon(loss, 1e-5, 80)
    assert 5 < spent < 10
    assert spent > compute_epsilon(loss, 1e-5, 40)


@pytest.mark.parametrize("values", [{"clip": 0.0}, {"multiplier": 0.0}])
def test_private__no_noise_or_no_clip__is_refused(values):
    with pytest.raises(ConfigError, match="above 0"):
        make(**values)


def test_private__strategy_with_its_own_gradient__is_refused():
    plan = build_plan(POLICY.training, gradient_offset=START)
    with pytest.raises(ConfigError, match="fedavg alone"):
        make().train(START, DATA, plan, seed=0)
