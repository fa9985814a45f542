import numpy as np
import pytest

from flchain.learning.aggregation import Aggregate, compute_initial_state, compute_next_state
from flchain.learning.data import load_digits
from flchain.learning.export import get_model_arrays
from flchain.learning.personalisation import (
    build_personal_trainer,
    evaluate_shared,
    keep_local_layers,
)
from flchain.learning.presets import load_preset
from flchain.learning.strategies import DEFAULTS, STRATEGIES, ClientTask, get_strategy
from flchain.learning.training import get_trainer
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import compute_policy_digest, decode_policy, encode_policy

LOCAL = ["fc2.weight", "fc2.bias"]
LAST = slice(-330, None)
"""Where the digits model has its last layer."""


def make_policy(name="fedavg"):
    strategy = {"name": name, "parameters": DEFAULTS[name]}
    return load_preset(
        "digits",
        {"model.local_layers": LOCAL, "strategy": strategy, "training.local_epochs": 4},
    )


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_local_layers__any_strategy__leave_nothing_in_the_update(name):
    policy = make_policy(name)
    trainer = build_personal_trainer(get_trainer(policy.model), policy.model, {})
    state = compute_initial_state(policy)
    update = get_strategy(policy).train(ClientTask(state, load_digits(0, 160), policy, trainer, 1))
    for section in set(update.sections) - {"steps"}:
        assert not update.sections[section][LAST].any()
        assert update.sections[section][:-330].any()
    kept = keep_local_layers(trainer)
    assert sorted(kept) == ["local/fc2.bias", "local/fc2.weight"]
    assert not np.array_equal(
        kept["local/fc2.weight"], get_model_arrays(state, policy)["fc2.weight"].ravel()
    )


def test_local_layers__next_round__goes_on_from_its_own():
    policy = make_policy()
    arrays = get_model_arrays(compute_initial_state(policy), policy)
    data = load_digits(0, 160)
    first = build_personal_trainer(get_trainer(policy.model), policy.model, {})
    before = first.evaluate(arrays, data).accuracy
    state = compute_initial_state(policy)
    get_strategy(policy).train(ClientTask(state, data, policy, first, 1))
    again = build_personal_trainer(
        get_trainer(policy.model), policy.model, keep_local_layers(first)
    )
    assert again.evaluate(arrays, data).accuracy > before + 0.2
    assert np.array_equal(again.predict(arrays, data.inputs), first.predict(arrays, data.inputs))


def test_local_layers__update_that_moves_them__moves_only_the_rest():
    policy = make_policy()
    state = compute_initial_state(policy)
    aggregate = Aggregate({"delta": np.full(policy.model.parameters, 1 << 17)}, (4,))
    moved = compute_next_state(state, aggregate, policy).sections["params"]
    change = moved - state.sections["params"]
    assert not change[LAST].any()
    assert (change[:-330] > 0).all()


def test_evaluate_shared__untrained_last_layer__is_fitted_first():
    policy = make_policy()
    trainer = get_trainer(policy.model)
    arrays, data = get_model_arrays(compute_initial_state(policy), policy), load_digits(0, 600)
    fitted = evaluate_shared(trainer, arrays, data, policy, 3)
    assert fitted.samples == 300
    assert fitted.accuracy > trainer.evaluate(arrays, data).accuracy + 0.3
    assert fitted == evaluate_shared(trainer, arrays, data, policy, 3)
    plain = load_preset("digits")
    assert evaluate_shared(trainer, arrays, data, plain, 3) == trainer.evaluate(arrays, data)


def test_policy__optional_keys__are_read_back_and_change_the_digest():
    plain = load_preset("digits")
    assert b"local_layers" not in encode_policy(plain)
    assert b"cohort" not in encode_policy(plain)
    for overrides in ({"model.local_layers": LOCAL}, {"cohort_bps": 2_500}):
        policy = load_preset("digits", overrides)
        assert decode_policy(encode_policy(policy)) == policy
        assert compute_policy_digest(policy) != compute_policy_digest(plain)


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ({"model.local_layers": []}, "model.local_layers is"),
        ({"model.local_layers": ["fc2.bias", "fc2.weight"]}, "in the order of model.layers"),
        ({"model.local_layers": ["fc2.bias", "fc2.bias"]}, "fewer than all"),
        ({"model.local_layers": ["fc3.bias"]}, "an array of layer names"),
        ({"model.local_layers": "fc2.bias"}, "an array of layer names"),
        (
            {"model.local_layers": ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]},
            "fewer than all",
        ),
        ({"cohort_bps": 10_000}, "an integer from 1 to 9999"),
        ({"cohort_bps": 0}, "an integer from 1 to 9999"),
    ],
)
def test_policy__bad_optional_key__is_refused_by_name(overrides, error):
    with pytest.raises(ConfigError, match=error):
        load_preset("digits", overrides)
