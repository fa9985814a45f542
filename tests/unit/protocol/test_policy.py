import hashlib
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.policy import (
    ARCHITECTURES,
    Layer,
    MaskingSpec,
    PrivacySpec,
    RuleSpec,
    compute_policy_digest,
    compute_shift,
    decode_policy,
    encode_policy,
    get_task_scalars,
    load_policy_file,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "policy.json").read_text())
DOCUMENT = VECTORS["valid"][0]["document"]

FILE = """
mode = "plain"
seed = "000000000000000000000000000000000000000000000000000000000000002a"
max_agents = 64
min_agents = 3
min_survivors = 2
max_share_bps = 3000
round_reserve = "1000000000000000000000"
retention_rounds = 100

[model]
architecture = "softmax-digits-v1"
[data]
dataset = "digits"
[training]
optimizer = "sgd"
local_epochs = 1
batch_size = 32
learning_rate = "0.03"
momentum = "0.9"
[update]
coordinate_bound = "0.5"
clip = "8"
bucket = 32
w_max = 64
[strategy]
name = "fedavg"
[aggregator]
name = "weighted-mean"
[rewards]
validator_share_bps = 2000
participation_bps = 1000
[quality]
tolerance_bps = 200
[privacy]
mechanism = "none"
"""


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda v: v["description"])
def test_policy__valid_vector__decodes_and_encodes_to_the_same_bytes(vector):
    document = vector["document"].encode()
    policy = decode_policy(document)
    assert encode_policy(policy) == document
    assert compute_policy_digest(policy).hex() == vector["digest"]
    assert hashlib.sha256(document).hexdigest() == vector["digest"]


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda v: v["description"])
def test_policy__invalid_vector__is_refused_by_key(vector):
    (old, new), document = vector["replace"], VECTORS["valid"][vector.get("of", 0)]["document"]
    assert document.count(old) == 1
    with pytest.raises(EncodingError) as caught:
        decode_policy(document.replace(old, new).encode())
    message = str(caught.value)
    assert vector["error"] in message
    assert "\n" not in message


def test_encode__record_with_a_value_out_of_range__is_refused():
    policy = decode_policy(DOCUMENT.encode())
    with pytest.raises(EncodingError, match="retention_rounds"):
        encode_policy(replace(policy, retention_rounds=0))


def test_encode__rule_parameters_out_of_order__are_refused():
    policy = load_policy_file(FILE)
    rule = RuleSpec("other", (("b", 1), ("a", 2)))
    with pytest.raises(EncodingError, match="sorted"):
        encode_policy(replace(policy, strategy=rule))


def test_task_scalars__any_policy__repeats_its_numbers():
    scalars = get_task_scalars(load_policy_file(FILE))
    assert (scalars.max_agents, scalars.min_agents, scalars.min_survivors) == (64, 3, 2)
    assert (scalars.w_max, scalars.coordinate_bound) == (64, 2**18)
    assert (scalars.max_share_bps, scalars.round_reserve) == (3000, 10**21)


def test_task_scalars__modes__have_masking_in_secure_mode_alone():
    plain, secure = (decode_policy(each["document"].encode()) for each in VECTORS["valid"][:2])
    assert not plain.is_secure
    assert (get_task_scalars(plain).threshold, get_task_scalars(plain).max_corrupt) == (0, 0)
    assert secure.is_secure
    assert (get_task_scalars(secure).threshold, get_task_scalars(secure).max_corrupt) == (5, 2)


SECURE_FILE = FILE.replace('mode = "plain"\n', "").replace("min_survivors = 2", "min_survivors = 6")
SECURE_FILE = SECURE_FILE.replace("min_agents = 3", "min_agents = 6")


@pytest.mark.parametrize("given", ["", "[masking]\ngroups = 1\n"])
def test_file__one_group__is_the_policy_without_a_choice(given):
    policy = load_policy_file(SECURE_FILE + given)
    assert policy.masking == MaskingSpec(threshold=5, max_corrupt=2)
    assert b"groups" not in encode_policy(policy)


def test_file__groups_alone__keep_the_usual_masking():
    policy = load_policy_file(SECURE_FILE + "[masking]\ngroups = 3\n")
    assert policy.masking == MaskingSpec(threshold=5, max_corrupt=2, groups=3)
    assert policy == load_policy_file(SECURE_FILE, {"masking.groups": 3})
    assert decode_policy(encode_policy(policy)) == policy
    full = "[masking]\nthreshold = 4\nmax_corrupt = 1\ngroups = 1\n"
    assert load_policy_file(SECURE_FILE + full).masking == MaskingSpec(4, 1)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("groups = 0", "masking.groups is 0"),
        ("groups = 65", "masking.groups is 65"),
        ("groups = 11", "max_agents of at least 66"),
        ("groups = 2\nthreshold = 5", "masking.max_corrupt is missing"),
        ("threshold = 5", "masking.max_corrupt is missing"),
        ("", "masking.max_corrupt is missing|masking.threshold is missing"),
    ],
)
def test_file__masking_that_cannot_be__is_refused(given, error):
    with pytest.raises(ConfigError, match=error):
        load_policy_file(f"{SECURE_FILE}[masking]\n{given}\n")


def test_architectures__mnist_network__has_the_published_size():
    assert sum(layer.size for layer in ARCHITECTURES["cnn-mnist-v1"]) == 105_866


def test_file__toml__gives_fixed_point_numbers():
    policy = load_policy_file(FILE)
    assert policy.training.learning_rate_micros == 30_000
    assert policy.training.momentum_micros == 900_000
    assert (policy.update.shift, policy.update.coordinate_bound) == (19, 2**18)
    assert policy.update.clip == 8 << 19
    assert policy.model.parameters == 650
    assert decode_policy(encode_policy(policy)) == policy


def test_file__json_with_the_same_values__gives_the_same_policy():
    assert load_policy_file(json.dumps(tomllib.loads(FILE))) == load_policy_file(FILE)


def test_file__own_layers_and_shift__are_kept():
    text = FILE.replace("softmax-digits-v1", "own-v1").replace(
        "w_max = 64", "w_max = 64\nshift = 16"
    )
    text += '[[model.layers]]\nname = "w"\nshape = [3, 2]\n'
    text = text.replace("[[model.layers]]", "[[model.layers]]")
    policy = load_policy_file(text)
    assert policy.model.layers == (Layer("w", (3, 2)),)
    assert policy.model.parameters == 6
    assert (policy.update.shift, policy.update.coordinate_bound) == (16, 2**15)


def test_file__overrides__replace_by_full_key():
    policy = load_policy_file(FILE, {"training.local_epochs": 5, "seed": "11" * 32})
    assert (policy.training.local_epochs, policy.seed) == (5, "11" * 32)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('learning_rate = "0.03"', "learning_rate = 0.03", "training.learning_rate is 0.03"),
        ('learning_rate = "0.03"', "learning_rate = nan", "training.learning_rate is nan"),
        ('learning_rate = "0.03"', 'learning_rate = "0.0000001"', "training.learning_rate"),
        ('learning_rate = "0.03"', 'learning_rate = "3e-2"', "training.learning_rate"),
        ('learning_rate = "0.03"', 'learning_rate = "-0.03"', "training.learning_rate"),
        ('learning_rate = "0.03"', 'learning_rate = "0,03"', "training.learning_rate"),
        ('learning_rate = "0.03"', 'learning_rate = "0"', "training.learning_rate"),
        ('learning_rate = "0.03"', "learning_rate_micros = 30000", "learning_rate is missing"),
        ('momentum = "0.9"', 'momentum = "1"', "training.momentum"),
        ('coordinate_bound = "0.5"', "coordinate_bound = 262144", "update.coordinate_bound"),
        ("batch_size = 32", "batch_size = true", "training.batch_size is true"),
        ("batch_size = 32", "batch_size = 32.0", "training.batch_size is 32.0"),
        ("batch_size = 32", "batchsize = 32", "training.batch_size is missing"),
        ("batch_size = 32", "batch_size = 32\nworkers = 2", "training.workers is not a known key"),
        ("batch_size = 32", "batch_size = 32\nbatch_size = 33", "not valid TOML"),
        ("retention_rounds = 100", "retention_rounds = 2026-01-01", "retention_rounds"),
        ("softmax-digits-v1", "resnet", "model.architecture is not one of"),
        ('mode = "plain"', 'mode = "plain"\nformat = "flchain-policy-v9"', "format"),
        ("max_agents = 64", "", "max_agents is missing"),
        ("w_max = 64", 'w_max = "64"', "update.w_max is '64'"),
        ("w_max = 64", "w_max = 64\nshift = 25", "2^31"),
        ("w_max = 64", "w_max = 255\nshift = 19", "2^31"),
        ('clip = "8"', 'clip = "0.00001"', "update.clip is lost in rounding"),
        ("min_survivors = 2", "min_survivors = 4", "min_survivors <= min_agents"),
        ('mechanism = "none"', 'mechanism = "gauss"', "privacy.mechanism"),
        ('mechanism = "none"', 'mechanism = "gaussian"', "privacy.epsilon is missing"),
        ('mechanism = "none"', 'mechanism = "gaussian"\nepsilon = 1', "privacy.epsilon"),
        ('mechanism = "none"', 'mechanism = "none"\n[compression]', "compression.name"),
        ("[data]", "[[data]]", "data must be a table"),
        ("[update]", "[[update]]", "update must be a table"),
    ],
)
def test_file__wrong_or_ambiguous__gives_one_line_naming_the_key(old, new, error):
    assert FILE.count(old) == 1
    with pytest.raises(ConfigError) as caught:
        load_policy_file(FILE.replace(old, new))
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "error"),
    [({"mode.a": 1}, "mode must be a table"), ({"strategy.parameters": {"1": 1}}, "not a valid")],
)
def test_file__impossible_override__is_a_config_error(overrides, error):
    with pytest.raises(ConfigError, match=error):
        load_policy_file(FILE, overrides)


def test_file__parameters_of_a_rule__are_read_by_name():
    policy = load_policy_file(FILE, {"strategy.parameters": {"b": 2, "a": 1}})
    assert policy.strategy == RuleSpec("fedavg", (("a", 1), ("b", 2)))
    assert policy.strategy.get("b") == 2


def test_file__more_values_than_an_index_can_hold__is_a_config_error():
    layers = [{"name": "w", "shape": [2**16, 2**16]}]
    with pytest.raises(ConfigError, match="at most 2\\^31 - 1"):
        load_policy_file(FILE, {"model": {"architecture": "own", "layers": layers}})


@pytest.mark.parametrize(
    "text",
    ["", "{", "{}", "[1", '{"mode":"plain","mode":"plain"}', "\x00", "{" * 90_000, " " * 300_000],
)
def test_file__no_policy_at_all__is_a_config_error(text):
    with pytest.raises(ConfigError) as caught:
        load_policy_file(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("n_max", "w_max", "bound_micros", "shift"),
    [
        (10, 255, 1_000_000, 19),
        (64, 64, 500_000, 19),
        (64, 255, 1_000_000, 17),
        (16, 128, 1_000_000, 19),
        (1, 1, 1, 30),
        (1024, 255, 1_999_999, 12),
    ],
)
def test_shift__capacity__is_the_largest_that_fits(n_max, w_max, bound_micros, shift):
    assert compute_shift(n_max, w_max, bound_micros) == shift


def test_shift__too_many_agents__names_the_way_out():
    with pytest.raises(ConfigError, match="lower max_agents"):
        compute_shift(1024, 255, 2_100_000)


@pytest.mark.parametrize("arguments", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_shift__nothing_to_divide_by__is_a_config_error(arguments):
    with pytest.raises(ConfigError, match="positive"):
        compute_shift(*arguments)


NOISE = """
mechanism = "gaussian"
epsilon = "8"
clip = "0.5"
noise_multiplier = "1.5"
delta_inverse = 100000
"""


def test_file__noise__is_in_quantised_units_and_millionths():
    policy = load_policy_file(FILE.replace('mechanism = "none"', NOISE))
    assert policy.privacy == PrivacySpec("gaussian", 2**18, 1_500_000, 100_000, 8_000_000)
    assert decode_policy(encode_policy(policy)) == policy


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace", "skellam", "none"])
def test_file__epsilon_of_zero__is_no_noise(mechanism):
    text = FILE.replace('mechanism = "none"', f'mechanism = "{mechanism}"\nepsilon = "0"')
    assert load_policy_file(text) == load_policy_file(FILE)


def test_file__compression_none__is_the_policy_without_the_key():
    text = FILE + '[compression]\nname = "none"\n'
    assert encode_policy(load_policy_file(text)) == encode_policy(load_policy_file(FILE))


def test_file__compression__has_parameters_in_the_document():
    text = FILE + '[compression]\nname = "int8/zlib"\nparameters = { error_feedback = 1 }\n'
    policy = load_policy_file(text)
    assert policy.compression == RuleSpec("int8/zlib", (("error_feedback", 1),))
    assert b'"compression":{"name":"int8/zlib","parameters":{"error_feedback":1}}' in encode_policy(
        policy
    )
    assert decode_policy(encode_policy(policy)) == policy
