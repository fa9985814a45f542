import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from flchain.learning.aggregation import (
    Submission,
    aggregate_updates,
    check_rules,
    compute_initial_state,
    compute_next_state,
    compute_step,
    compute_weight,
    encode_aggregate,
    is_valid_update,
    verify_update,
)
from flchain.learning.integers import centre, clip_norm, divide_half_up
from flchain.learning.parameters import QuantizedUpdate, State
from flchain.learning.presets import load_preset
from flchain.learning.schemas import compute_state_digest, encode_update
from flchain.protocol.errors import AdapterError, ConfigError, EncodingError
from flchain.protocol.policy import load_policy_file

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "aggregation.json").read_text())
KEY = bytes.fromhex(VECTORS["round_key"])
SECURE = {
    "mode": "secure",
    "max_agents": 8,
    "min_agents": 4,
    "min_survivors": 4,
    "masking": {"threshold": 3, "max_corrupt": 1},
}
GROUPED = SECURE | {"masking": {"threshold": 3, "max_corrupt": 1, "groups": 2}}


def load_vector_policy(**overrides):
    return load_policy_file(json.dumps(VECTORS["policy"]), overrides)


def load_state(sections):
    return State({name: np.array(values, np.int64) for name, values in sections.items()})


def load_submissions(vector):
    return [
        Submission(item["agent"], item["weight"], partial(bytes.fromhex, item["hex"]))
        for item in vector["updates"]
    ]


def to_lists(sections):
    return {name: section.tolist() for name, section in sections.items()}


def make_blob(policy, agent, samples=5, delta=1):
    update = QuantizedUpdate({"delta": np.full(6, delta, np.int32)}, {"samples": samples})
    return encode_update(update, policy, round_key=KEY, agent=agent)


@pytest.mark.parametrize("vector", VECTORS["cases"], ids=lambda v: v["description"])
def test_aggregation__vector__gives_its_sums_step_and_state(vector):
    policy = load_vector_policy(strategy=vector["strategy"])
    start = load_state(vector["state"])
    aggregate = aggregate_updates(load_submissions(vector), policy, KEY)
    state = compute_next_state(start, aggregate, policy)
    encoded = encode_aggregate(aggregate, policy)
    assert list(aggregate.weights) == vector["weights"]
    assert to_lists(aggregate.sections) == vector["sums"]
    assert to_lists(compute_step(aggregate, policy)) == vector["step"]
    assert to_lists(state.sections) == vector["next_state"]
    assert compute_state_digest(state, policy).hex() == vector["state_digest"]
    assert hashlib.sha256(encoded).hexdigest() == vector["aggregate_digest"]


@pytest.mark.parametrize("vector", VECTORS["cases"], ids=lambda v: v["description"])
def test_validity__vector__agrees_with_its_weights(vector):
    policy = load_vector_policy(strategy=vector["strategy"])
    for item, weight in zip(vector["updates"], vector["weights"], strict=True):
        data = bytes.fromhex(item["hex"])
        fields = {"round_key": KEY, "agent": item["agent"], "weight": item["weight"]}
        assert is_valid_update(data, policy, **fields) == (weight > 0)


def test_initial_state__vector_policy__is_the_first_state_of_the_vectors():
    policy = load_vector_policy()
    assert to_lists(compute_initial_state(policy).sections) == VECTORS["cases"][0]["state"]


@pytest.mark.parametrize("vector", VECTORS["clip"], ids=lambda v: v["description"])
def test_clip_norm__vector__matches(vector):
    clipped = clip_norm(np.array(vector["vector"], np.int64), vector["limit"])
    assert clipped.tolist() == vector["clipped"]


@pytest.mark.parametrize(("total", "centred"), VECTORS["centre"])
def test_centre__vector__matches(total, centred):
    assert centre(np.array([total], np.int64)).tolist() == [centred]


@pytest.mark.parametrize(("numerator", "divisor", "quotient"), VECTORS["divide_half_up"])
def test_divide_half_up__vector__matches(numerator, divisor, quotient):
    assert divide_half_up(np.array([numerator], np.int64), divisor).tolist() == [quotient]


@pytest.mark.parametrize(("samples", "weight"), [(1, 1), (10, 1), (11, 2), (79, 8), (10**9, 8)])
def test_weight__samples__is_the_bucket_rounded_up_within_w_max(samples, weight):
    assert compute_weight(samples, load_vector_policy()) == weight


def test_verify_update__undeclared_weight__says_which():
    policy = load_vector_policy()
    data = make_blob(policy, "0x" + "01" * 20)
    with pytest.raises(EncodingError, match="give weight 1, recorded is 2"):
        verify_update(data, policy, round_key=KEY, agent="0x" + "01" * 20, weight=2)


def test_aggregate__missing_bytes__passes_the_stores_error_on():
    def read():
        raise AdapterError("block not found")

    with pytest.raises(AdapterError, match="block not found"):
        aggregate_updates([Submission("0x" + "01" * 20, 1, read)], load_vector_policy(), KEY)


def test_aggregate__more_updates_than_the_policy_allows__is_refused():
    policy = load_vector_policy()
    submissions = [Submission(f"0x{i:040x}", 1, bytes) for i in range(5)]
    with pytest.raises(ConfigError, match="5 updates, the policy allows 4"):
        aggregate_updates(submissions, policy, KEY)


def test_aggregate__all_valid__reads_each_update_once():
    policy = load_vector_policy()
    reads = []

    def read(agent):
        reads.append(agent)
        return make_blob(policy, agent)

    agents = [f"0x{i:040x}" for i in range(4)]
    aggregate_updates([Submission(a, 1, partial(read, a)) for a in agents], policy, KEY)
    assert reads == agents


def test_aggregate__huge_weight_on_chain__costs_nothing():
    policy = load_vector_policy()
    submission = Submission("0x" + "01" * 20, 2**256 - 1, bytes)
    assert aggregate_updates([submission], policy, KEY).weights == (0,)


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ({"strategy.name": "fedmagic"}, "choose one of fedadagrad, fedadam, fedavg"),
        ({"strategy.parameters": {"mu": 1}}, "remove 'mu'"),
        ({"strategy.name": "mimelite"}, "add 'beta_micros'"),
        (
            {"strategy": {"name": "mimelite", "parameters": {"beta_micros": 10**6}}},
            "integer from 0 to 999999",
        ),
        ({"aggregator.name": "mode"}, "choose weighted-mean or one of bulyan, centred-clipping"),
        ({"aggregator.parameters": {"f": 1}}, "has no parameters"),
        (
            SECURE | {"aggregator": {"name": "median", "parameters": {"f": 1}}},
            "median needs single updates.*weighted-mean, masking.groups above 1, or mode plain",
        ),
        (
            SECURE | {"aggregator": {"name": "scores/median", "parameters": {}}},
            "scores/median needs single updates, which mode secure hides; choose weighted-mean, or",
        ),
        (
            GROUPED | {"aggregator": {"name": "median", "parameters": {"f": 1}}},
            "f = 1 among 2 groups; raise masking.groups to 3 or lower f",
        ),
        (
            GROUPED | {"aggregator": {"name": "krum", "parameters": {}}},
            "add 'f'",
        ),
        (
            SECURE | {"rewards.contribution": "shapley"},
            "shapley needs single updates.*leave rewards.contribution out",
        ),
    ],
)
def test_rules__policy_this_version_cannot_run__names_the_way_out(overrides, error):
    with pytest.raises(ConfigError, match=error):
        check_rules(load_vector_policy(**overrides))


@pytest.mark.parametrize("preset", ["digits", "mnist"])
def test_rules__shipped_presets__can_be_run(preset):
    check_rules(load_preset(preset))
