import gzip
import hashlib
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flchain.learning.aggregation import check_rules
from flchain.learning.compression import (
    ADAPTIVE,
    CHOICES,
    DeviceProfile,
    Frame,
    Memory,
    check_compression,
    choose_compression,
    decode_memories,
    encode_memories,
    get_scheme,
    is_linear,
)
from flchain.learning.compression.coders import CODERS
from flchain.learning.compression.devices import COSTS
from flchain.learning.compression.powersgd import compute_factors, plan_block
from flchain.learning.compression.sparse import choose_places
from flchain.learning.initialisation import compute_initial_parameters
from flchain.learning.schemas import decode_update
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.policy import NO_COMPRESSION, Layer, RuleSpec
from tests.unit.learning.schemes import (
    AGENT,
    BASE,
    HAS_ZSTD,
    KEY,
    LOSSLESS,
    LOSSY,
    RULES,
    SIZE,
    compress,
    decompress,
    make_policy,
    make_rule,
    make_update,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "compression.json").read_text())
START = 8 + 32 + 8 + 4


def name(rule):
    return rule.name


def get_data(payload):
    return payload[START:]


def wrap(data, policy):
    """Return an update whose one section is `data`."""
    payload = compress(make_update(), policy).payload
    return payload[: START - 4] + len(data).to_bytes(4, "little") + data


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda v: v["description"])
def test_decode__valid_vector__gives_the_same_integers(vector):
    rule = RuleSpec(vector["rule"]["name"], tuple(vector["rule"]["parameters"].items()))
    if rule.name.endswith("zstd") and not HAS_ZSTD:
        pytest.skip("zstandard is not installed")
    found = decompress(bytes.fromhex(vector["payload"]), make_policy(rule)).sections["delta"]
    assert found.tolist() == vector["delta"]
    assert hashlib.sha256(found.astype("<i4").tobytes()).hexdigest() == vector["digest"]


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda v: v["description"])
def test_decode__invalid_vector__is_refused(vector):
    rule = RuleSpec(vector["rule"]["name"], tuple(vector["rule"]["parameters"].items()))
    with pytest.raises(EncodingError, match=vector["error"]):
        decompress(bytes.fromhex(vector["payload"]), make_policy(rule))


@pytest.mark.parametrize("rule", LOSSLESS, ids=name)
def test_lossless__any_update__comes_back(rule):
    update, policy = make_update(), make_policy(rule)
    payload = compress(update, policy).payload
    found = decompress(payload, policy)
    assert np.array_equal(found.sections["delta"], update.sections["delta"])
    assert found.scalars == {"samples": 9}
    assert len(payload) < 4 * SIZE


@pytest.mark.parametrize("rule", LOSSY, ids=name)
def test_lossy__smooth_update__is_close_and_smaller(rule):
    policy = make_policy(rule)
    update = make_update()
    payload = compress(update, policy).payload
    delta = decompress(payload, policy).sections["delta"].astype(float)
    wanted = update.sections["delta"].astype(float)
    assert len(payload) < 2.4 * SIZE
    assert np.linalg.norm(delta - wanted) < np.linalg.norm(wanted)


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_decode_update__compressed__passes_the_same_checks(rule):
    policy = make_policy(rule)
    payload = compress(make_update(), policy).payload
    update = decode_update(payload, policy, round_key=KEY, agent=AGENT)
    assert int(np.abs(update.sections["delta"]).max()) <= policy.update.coordinate_bound
    for changes in ({"round_key": bytes(32)}, {"agent": "0x" + "0b" * 20}):
        expected = {"round_key": KEY, "agent": AGENT} | changes
        with pytest.raises(EncodingError, match="another round, agent"):
            decode_update(payload, policy, **expected)


def test_decode_update__no_samples__is_refused():
    policy = make_policy(make_rule("int8"))
    payload = compress(make_update(samples=0), policy).payload
    with pytest.raises(EncodingError, match="samples is 0"):
        decode_update(payload, policy, round_key=KEY, agent=AGENT)


def test_decode__other_parameters_of_the_rule__is_refused():
    payload = compress(make_update(), make_policy(make_rule("powersgd"))).payload
    with pytest.raises(EncodingError, match="compression rule"):
        decompress(payload, make_policy(make_rule("powersgd", rank=3)))


def test_decode__plain_update_under_a_rule_and_the_reverse__are_refused():
    policy = make_policy(make_rule("int8"))
    payload = compress(make_update(), policy).payload
    with pytest.raises(EncodingError, match="do not begin"):
        decode_update(payload, BASE, round_key=KEY, agent=AGENT)
    with pytest.raises(EncodingError, match="do not begin"):
        decode_update(b"flchain\x01" + payload[8:], policy, round_key=KEY, agent=AGENT)


def test_decode__overshooting_levels__are_cut_at_bound_and_clip():
    """A decoder never gives what an uncompressed update could not hold."""
    rule = make_rule("int8")
    policy = make_policy(rule)
    steps = b"".join((2**30).to_bytes(4, "little") for _ in policy.model.layers)
    found = decode_update(
        wrap(steps + b"\x7f" * SIZE, policy), policy, round_key=KEY, agent=AGENT
    ).sections["delta"]
    squared = sum(int(value) ** 2 for value in found)
    assert int(found.max()) <= policy.update.coordinate_bound
    assert 0.99 * policy.update.clip**2 < squared <= policy.update.clip**2


@pytest.mark.parametrize("coder", [c for c in CODERS if c and (HAS_ZSTD or c != "zstd")])
@pytest.mark.parametrize("size", [4 * SIZE + 1, 4 * SIZE - 1, 50_000_000])
def test_decode__stream_of_another_length__is_refused_without_being_held(coder, size):
    policy = make_policy(RuleSpec(coder))
    bomb = CODERS[coder].encode(bytes(size)) if size < 1e6 else make_bomb(coder, size)
    with pytest.raises(EncodingError, match=r"exactly|claims"):
        decompress(wrap(bomb, policy), policy)


def make_bomb(coder, size):
    if coder == "zstd":
        return CODERS["zstd"].encode(bytes(size))
    packed = zlib.compress(bytes(size), 1)
    return packed if coder == "zlib" else gzip.compress(bytes(size), 1)


@pytest.mark.parametrize(
    ("coder", "spoil"),
    [
        ("zlib", lambda data: data + b"\0"),
        ("gzip", lambda data: data + data),
        ("zlib", lambda data: data[:-1]),
        ("gzip", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        ("zlib", lambda data: b""),
        ("gzip", lambda data: zlib.compress(bytes(4 * SIZE))),
    ],
)
def test_decode__spoilt_stream__is_refused(coder, spoil):
    policy = make_policy(RuleSpec(coder))
    data = get_data(compress(make_update(), policy).payload)
    with pytest.raises(EncodingError):
        decompress(wrap(spoil(data), policy), policy)


def test_zstd__not_installed__says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(ConfigError, match=r"flchain\[zstd\]"):
        check_compression(RuleSpec("zstd"), "plain")


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (RuleSpec("rar"), "choose one of none, adaptive, int8"),
        (RuleSpec("int8/rar"), "choose one of"),
        (RuleSpec("int8"), "add 'error_feedback'"),
        (RuleSpec("zlib", (("level", 9),)), "remove 'level'"),
        (make_rule("powersgd", rank=33), "rank is 33; write an integer from 1 to 32"),
        (RuleSpec(ADAPTIVE, (("x", 1),)), "leave them out"),
    ],
)
def test_rules__unknown_rule_or_parameter__is_a_config_error(rule, error):
    with pytest.raises(ConfigError, match=error):
        check_rules(make_policy(rule))


def test_secure_mode__rule_that_does_not_commute__is_refused():
    for rule in (make_rule("powersgd"), make_rule("random-k"), RuleSpec(ADAPTIVE)):
        with pytest.raises(ConfigError, match="does not commute"):
            check_compression(rule, "secure")
    check_compression(make_rule("random-k", bits=32), "secure")
    check_compression(NO_COMPRESSION, "secure")
    assert [r.name for r in RULES if is_linear(r)] == []


def test_powersgd__layer_that_would_not_get_smaller__is_sent_as_int8():
    rule = make_rule("powersgd")
    blocks = [plan_block(Layer("x", shape), rule) for shape in ((64, 100), (4, 4), (7,))]
    assert [block.rank for block in blocks] == [2, 0, 0]
    assert [block.length for block in blocks] == [328, 16, 7]
    # 2 x 164 values stand for 6,400: 19.5 times fewer.
    strict = make_rule("powersgd", minimum_ratio_bps=195_122)
    assert plan_block(Layer("x", (64, 100)), strict).rank == 0


def test_powersgd__low_rank_update__is_exact_to_within_its_levels():
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(30, 2)), rng.normal(size=(50, 2))
    matrix = left @ right.T
    p, q, _ = compute_factors(matrix, rng.normal(size=(50, 2)), 1)
    assert np.allclose(p @ q.T, matrix)
    assert np.allclose(np.linalg.norm(p, axis=0), np.linalg.norm(q, axis=0))


def test_powersgd__warm_start__approaches_the_best_rank():
    """The Q of a round is where the next begins, so repeated rounds are power iterations."""
    update = make_update()
    errors = {}
    for warm in (0, 1):
        policy = make_policy(make_rule("powersgd", error_feedback=0, warm_start=warm))
        made = compress(update, policy)
        for number in range(7):
            made = compress(update, policy, made.memories, rng=np.random.default_rng(number))
        delta = decompress(made.payload, policy).sections["delta"]
        errors[warm] = np.linalg.norm(delta - update.sections["delta"])
    assert errors[1] < 0.95 * errors[0]


def test_random_k__same_round__same_places_for_every_agent():
    frame = Frame("delta", BASE.model.layers, KEY)
    places = choose_places(frame, 4)
    assert np.array_equal(places, choose_places(frame, 4))
    assert len(np.unique(places)) == len(places) == -(-SIZE // 4)
    assert not np.array_equal(places, choose_places(replace(frame, round_key=bytes(32)), 4))
    assert not np.array_equal(places, choose_places(replace(frame, name="control"), 4))


def test_adaptive__choice__travels_with_the_update():
    policy = make_policy(RuleSpec(ADAPTIVE))
    payloads = [compress(make_update(), policy, choice=choice).payload for choice in CHOICES]
    for payload in payloads:
        assert decode_update(payload, policy, round_key=KEY, agent=AGENT).scalars["samples"] == 9
    assert len(payloads[0]) > max(map(len, payloads[1:]))
    payload = payloads[0]
    unknown = payload[:START] + bytes([len(CHOICES)]) + payload[START + 1 :]
    with pytest.raises(EncodingError, match="none of those"):
        decompress(unknown, policy)
    with pytest.raises(ConfigError, match="none of those"):
        compress(make_update(), policy, choice=make_rule("int8"))


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (DeviceProfile(10**9, 10**9), "zlib"),
        (DeviceProfile(500_000, 10**9), "int8/zlib"),
        (DeviceProfile(100_000, 10**9), "powersgd/zlib of rank 8"),
        (DeviceProfile(10_000, 10**9), "top-k/zlib"),
        (DeviceProfile(10**9, 10**9, speed=0.05), "powersgd/zlib of rank 8"),
        (DeviceProfile(10**9, 105_866 * 50), "zlib"),
    ],
)
def test_choice__device__is_the_most_faithful_in_time(device, expected):
    selection = choose_compression(device, 105_866, seconds=2)
    assert expected in selection.reasons[-1]
    assert expected.startswith(selection.rule.name)
    assert len(COSTS) == len(CHOICES)


def test_choice__too_little_memory__is_said():
    device = DeviceProfile(100_000, 105_866 * 50)
    selection = choose_compression(device, 105_866, seconds=2)
    assert selection.rule.name == "top-k/zlib"
    assert sum("bytes of memory" in reason for reason in selection.reasons) == 2


def test_memories__round_trip__keeps_every_bit():
    rng = np.random.default_rng(5)
    memories = {
        "delta": Memory(rng.integers(-(2**40), 2**40, SIZE), rng.normal(size=7)),
        "control": Memory(),
    }
    data = encode_memories(memories)
    found = decode_memories(data, ("delta", "control"))
    for key, memory in memories.items():
        assert np.array_equal(found[key].residual, memory.residual)
        assert np.array_equal(found[key].basis, memory.basis)
    for spoilt in (b"", data[:-1], b"\xff" + data[1:], data[16:]):
        with pytest.raises(EncodingError):
            decode_memories(spoilt, ("delta", "control"))


def test_memories__value_out_of_range__is_refused():
    for memory in (Memory(np.array([2**40 + 1])), Memory(basis=np.array([np.nan]))):
        with pytest.raises(EncodingError, match="out of range"):
            decode_memories(encode_memories({"delta": memory}), ("delta",))


def test_schemes__every_name__has_a_compressor_and_a_coder():
    assert get_scheme(make_rule("powersgd/zlib")).coder.name == "zlib"
    assert get_scheme(RuleSpec("gzip")).compressor.is_lossless
    assert len(compute_initial_parameters(BASE.model, BASE.seed)) == SIZE
