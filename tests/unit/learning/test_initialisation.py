import math
from dataclasses import replace

import numpy as np
import pytest

from flchain.learning.aggregation import compute_initial_state
from flchain.learning.initialisation import compute_initial_parameters
from flchain.learning.parameters import to_float
from flchain.learning.presets import get_preset_text, load_preset
from flchain.learning.schemas import compute_state_digest
from flchain.protocol.errors import ConfigError

GOLDEN = {
    "digits": "88b3b29c1706e173df94bc0c7eadb6d2229e4db81a565c27881e7458a3f4cdda",
    "mnist": "84692a6bba6eae191613bee1880e7418dbfeb2ee21dcbe7a1b800fdb6fabb440",
}


def test_initial_state__shipped_policies__never_change():
    """These digests may only change together with the format's version."""
    digests = {
        name: compute_state_digest(compute_initial_state(policy), policy).hex()
        for name, policy in ((name, load_preset(name)) for name in ("digits", "mnist"))
    }
    assert digests == GOLDEN


def test_initial_parameters__each_layer__fills_its_interval_evenly():
    policy = load_preset("mnist")
    weights = to_float(compute_initial_parameters(policy.model, policy.seed))
    fc1 = weights[144 + 16 + 4608 + 32 :][: 64 * 1568]
    bound = math.sqrt(6 / 1568)
    assert np.abs(fc1).max() <= bound
    assert fc1.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert abs(fc1.mean()) < 0.01 * bound


def test_initial_parameters__biases__are_zero():
    policy = load_preset("digits")
    assert not compute_initial_parameters(policy.model, policy.seed)[-10:].any()


def test_initial_parameters__other_seed_or_layer__share_nothing():
    policy = load_preset("digits")
    first = compute_initial_parameters(policy.model, "00" * 32)
    second = compute_initial_parameters(policy.model, "01" + "00" * 31)
    assert (first == second).sum() == 42
    layer = policy.model.layers[0]
    twins = replace(policy.model, layers=(layer, replace(layer, name="fc9.weight")))
    values = compute_initial_parameters(twins, "00" * 32)
    assert not (values[: layer.size] == values[layer.size :]).any()


def test_preset__unknown_name__lists_the_known_ones():
    with pytest.raises(ConfigError, match="choose one of digits, mnist"):
        get_preset_text("imagenet")
