"""The canonical policy document: the only form that is stored, hashed and re-executed.

Keys and nesting are those of `records.Policy`, plus `format`; rule parameters are an object.
`compression` is left out where there is none, `masking.groups` where there is one.
"""

import hashlib
from collections.abc import Callable
from typing import TypeVar

from flchain.protocol.canonical import CanonicalValue, decode_canonical, encode_canonical
from flchain.protocol.contribution import METHODS
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy.architectures import ARCHITECTURES
from flchain.protocol.policy.capacity import MAX_SHIFT, MIN_SHIFT, is_within_capacity
from flchain.protocol.policy.reader import TableReader
from flchain.protocol.policy.records import (
    MICROS,
    NO_COMPRESSION,
    NO_MASKING,
    SECURE,
    WHOLE_BPS,
    DataSpec,
    Layer,
    MaskingSpec,
    ModelSpec,
    Policy,
    PrivacySpec,
    QualitySpec,
    RewardSpec,
    RuleSpec,
    TrainingSpec,
    UpdateSpec,
)
from flchain.protocol.types import Bps, Digest, Wei

Part = TypeVar("Part")

FORMAT = "flchain-policy-v1"
MAX_POLICY_SIZE = 65_536
MAX_AGENTS = 1_024
MAX_WEIGHT = 255
MAX_PARAMETERS = 2**31 - 1
MAX_RANK = 8
MAX_GROUPS = 64
MIN_HONEST = 3
"""Fewest honest survivors among whom an update is hidden."""
UINT96_MAX = 2**96 - 1
NO_NOISE = "none"
MECHANISMS = ("gaussian", "laplace", "skellam")


def encode_policy(policy: Policy) -> bytes:
    """Return the policy's one encoding. Raises EncodingError if a value is not allowed."""
    document = _build_document(policy)
    if read_policy(TableReader(document)) != policy:
        raise EncodingError("policy: names of rule parameters must be sorted and unique")
    return encode_canonical(document)


def decode_policy(data: bytes) -> Policy:
    """Read an untrusted policy document. Raises EncodingError naming the key and the fix."""
    return read_policy(TableReader(decode_canonical(data, max_size=MAX_POLICY_SIZE)))


def compute_policy_digest(policy: Policy) -> Digest:
    """Return the sha2-256 of the policy's document."""
    return Digest(hashlib.sha256(encode_policy(policy)).digest())


def read_policy(table: TableReader) -> Policy:
    """Take a whole policy out of `table` and check that its parts agree."""
    table.read_choice("format", (FORMAT,))
    mode = table.read_choice("mode", ("plain", SECURE))
    policy = Policy(
        mode=mode,
        seed=table.read_pattern("seed", "[0-9a-f]{64}", "32 bytes as 64 lower-case hex digits"),
        model=_read_part(table, "model", _read_model),
        data=_read_part(table, "data", lambda part: DataSpec(part.read_name("dataset"))),
        training=_read_part(table, "training", _read_training),
        update=_read_part(table, "update", _read_update),
        strategy=_read_part(table, "strategy", read_rule),
        aggregator=_read_part(table, "aggregator", read_rule),
        rewards=_read_part(table, "rewards", read_rewards),
        quality=_read_part(table, "quality", read_quality),
        privacy=_read_part(table, "privacy", read_privacy),
        max_agents=table.read_integer("max_agents", 1, MAX_AGENTS),
        min_agents=table.read_integer("min_agents", 1, MAX_AGENTS),
        min_survivors=table.read_integer("min_survivors", 1, MAX_AGENTS),
        max_share_bps=Bps(table.read_integer("max_share_bps", 1, WHOLE_BPS)),
        round_reserve=Wei(table.read_amount("round_reserve", UINT96_MAX)),
        retention_rounds=table.read_integer("retention_rounds", 1, 1_000_000),
        compression=read_compression(table),
        cohort_bps=read_cohort(table),
        masking=_read_part(table, "masking", read_masking) if mode == SECURE else NO_MASKING,
    )
    table.finish()
    verify_consistency(policy)
    return policy


def verify_consistency(policy: Policy) -> None:
    """Raise EncodingError, with the way out, if two values contradict each other."""
    update = policy.update
    if policy.is_secure:
        verify_masking(policy.masking, policy.min_survivors)
        verify_groups(policy.masking.groups, policy.min_survivors, policy.max_agents)
    least_clip = 4 * policy.model.parameters
    if not policy.min_survivors <= policy.min_agents <= policy.max_agents:
        raise EncodingError("policy: min_survivors <= min_agents <= max_agents must hold")
    if not is_within_capacity(policy.max_agents, update.w_max, update.coordinate_bound):
        raise EncodingError(
            "policy: max_agents * update.w_max * update.coordinate_bound must be below 2^31; "
            "lower one of them"
        )
    if update.clip**2 < least_clip:
        raise EncodingError(
            "policy: update.clip is lost in rounding; its square must be at least "
            f"4 x model.parameters = {least_clip}"
        )
    if update.clip > 1 << (update.shift + 8):
        raise EncodingError("policy: update.clip must be at most 256.0, that is 2^(shift + 8)")


def verify_masking(masking: MaskingSpec, min_survivors: int) -> None:
    """Raise EncodingError, with the way out, if the fewest survivors could not unmask their sum.

    Each of them has one neighbour less than there are survivors.
    """
    if not masking.max_corrupt < masking.threshold < min_survivors:
        raise EncodingError(
            "policy: masking.max_corrupt < masking.threshold < min_survivors must hold"
        )
    if min_survivors - masking.max_corrupt < MIN_HONEST:
        raise EncodingError(
            f"policy: {MIN_HONEST} honest survivors must be left: raise min_survivors or lower "
            "masking.max_corrupt"
        )


def verify_groups(groups: int, min_survivors: int, max_agents: int) -> None:
    """Raise EncodingError, with the way out, if so many groups could never have their survivors."""
    if groups > 1 and max_agents < groups * min_survivors:
        raise EncodingError(
            f"policy: {groups} groups of {min_survivors} survivors need max_agents of at least "
            f"{groups * min_survivors}; raise it, or lower masking.groups or min_survivors"
        )


def read_rule(table: TableReader) -> RuleSpec:
    """Take a strategy or an aggregator."""
    name = table.read_name("name")
    parameters = table.read_table("parameters")
    return RuleSpec(name, parameters.read_integers())


def read_compression(table: TableReader) -> RuleSpec:
    """Take the compression rule, which is left out where updates are plain integers."""
    if not table.has_key("compression"):
        return NO_COMPRESSION
    rule = _read_part(table, "compression", read_rule)
    if rule.name == NO_COMPRESSION.name:
        raise EncodingError("policy: compression.name is 'none'; leave the whole key out")
    return rule


def read_rewards(table: TableReader) -> RewardSpec:
    """Take the reward rule."""
    validators = table.read_integer("validator_share_bps", 0, WHOLE_BPS)
    participation = table.read_integer("participation_bps", 0, WHOLE_BPS)
    method = METHODS[0]
    if table.has_key("contribution"):
        method = table.read_choice("contribution", METHODS[1:])
    return RewardSpec(Bps(validators), Bps(participation), method)


def read_quality(table: TableReader) -> QualitySpec:
    """Take the quality tolerance."""
    return QualitySpec(Bps(table.read_integer("tolerance_bps", 0, WHOLE_BPS)))


def read_privacy(table: TableReader) -> PrivacySpec:
    """Take the privacy table."""
    mechanism = table.read_choice("mechanism", (NO_NOISE, *MECHANISMS))
    if mechanism == NO_NOISE:
        return PrivacySpec(mechanism)
    return PrivacySpec(
        mechanism,
        clip=table.read_integer("clip", 1, 2**46),
        noise_micros=table.read_integer("noise_micros", 1, 10_000 * MICROS),
        delta_inverse=table.read_integer("delta_inverse", 10, 10**15),
        budget_micros=table.read_integer("budget_micros", 1, 10_000 * MICROS),
    )


def read_cohort(table: TableReader) -> Bps:
    """Take the chance to be in a cohort, which is left out where everybody takes part."""
    if not table.has_key("cohort_bps"):
        return WHOLE_BPS
    return Bps(table.read_integer("cohort_bps", 1, WHOLE_BPS - 1))


def read_masking(table: TableReader) -> MaskingSpec:
    """Take the masking table, which a policy has in secure mode alone."""
    return MaskingSpec(
        threshold=table.read_integer("threshold", 1, MAX_AGENTS),
        max_corrupt=table.read_integer("max_corrupt", 0, MAX_AGENTS),
        groups=table.read_integer("groups", 2, MAX_GROUPS) if table.has_key("groups") else 1,
    )


def read_local_layers(table: TableReader, layers: tuple[Layer, ...]) -> tuple[str, ...]:
    """Take the layers that never leave an agent; the key is left out where there are none."""
    if not table.has_key("local_layers"):
        return ()
    expected = "an array of layer names, in the order of model.layers and fewer than all"
    names = table.read("local_layers", expected)
    known = [layer.name for layer in layers]
    is_part = isinstance(names, list) and names == [name for name in known if name in names]
    if not isinstance(names, list) or not is_part or not 0 < len(names) < len(known):
        raise table.build_error("local_layers", names, expected)
    return tuple(names)


def read_layers(table: TableReader, architecture: str) -> tuple[Layer, ...]:
    """Take the layers; a shipped architecture must have its own ones."""
    layers = tuple(_read_layer(part) for part in table.read_tables("layers", most=512))
    if len({layer.name for layer in layers}) != len(layers):
        raise EncodingError("policy: model.layers holds the same name twice; rename one")
    if layers != ARCHITECTURES.get(architecture, layers):
        raise EncodingError(
            f"policy: model.layers are not those of {architecture!r}; "
            "leave them as shipped or choose another name"
        )
    return layers


def _read_part(table: TableReader, key: str, read: Callable[[TableReader], Part]) -> Part:
    part = table.read_table(key)
    record = read(part)
    part.finish()
    return record


def _read_model(table: TableReader) -> ModelSpec:
    architecture = table.read_name("architecture")
    layers = read_layers(table, architecture)
    total = sum(layer.size for layer in layers)
    if total > MAX_PARAMETERS:
        raise EncodingError(f"policy: model.layers hold {total} values, at most 2^31 - 1 fit")
    parameters = table.read_integer("parameters", total, total)
    return ModelSpec(architecture, parameters, layers, read_local_layers(table, layers))


def _read_layer(table: TableReader) -> Layer:
    name = table.read_name("name")
    expected = f"an array of 1 to {MAX_RANK} positive integers"
    shape = table.read("shape", expected)
    if not isinstance(shape, list) or not 1 <= len(shape) <= MAX_RANK:
        raise table.build_error("shape", shape, expected)
    for length in shape:
        if not isinstance(length, int) or isinstance(length, bool) or length < 1:
            raise table.build_error("shape", shape, expected)
    table.finish()
    return Layer(name, tuple(shape))


def _read_training(table: TableReader) -> TrainingSpec:
    return TrainingSpec(
        optimizer=table.read_choice("optimizer", ("sgd",)),
        local_epochs=table.read_integer("local_epochs", 1, 1_000),
        batch_size=table.read_integer("batch_size", 1, 1_000_000),
        learning_rate_micros=table.read_integer("learning_rate_micros", 1, 100 * MICROS),
        momentum_micros=table.read_integer("momentum_micros", 0, MICROS - 1),
    )


def _read_update(table: TableReader) -> UpdateSpec:
    return UpdateSpec(
        shift=table.read_integer("shift", MIN_SHIFT, MAX_SHIFT),
        coordinate_bound=table.read_integer("coordinate_bound", 1, 2**31 - 1),
        clip=table.read_integer("clip", 1, 2**38),
        bucket=table.read_integer("bucket", 1, 1_000_000_000),
        w_max=table.read_integer("w_max", 1, MAX_WEIGHT),
    )


def _build_document(policy: Policy) -> dict[str, CanonicalValue]:
    training, update, rewards = policy.training, policy.update, policy.rewards
    document: dict[str, CanonicalValue] = {
        "format": FORMAT,
        "mode": policy.mode,
        "seed": policy.seed,
        "model": _build_model(policy.model),
        "data": {"dataset": policy.data.dataset},
        "training": dict(vars(training)),
        "update": dict(vars(update)),
        "strategy": _build_rule(policy.strategy),
        "aggregator": _build_rule(policy.aggregator),
        "rewards": _build_rewards(rewards),
        "quality": {"tolerance_bps": policy.quality.tolerance_bps},
        "privacy": _build_privacy(policy.privacy),
        "max_agents": policy.max_agents,
        "min_agents": policy.min_agents,
        "min_survivors": policy.min_survivors,
        "max_share_bps": policy.max_share_bps,
        "round_reserve": str(policy.round_reserve),
        "retention_rounds": policy.retention_rounds,
    }
    # Absent rather than "none": policies from before there was a choice keep their digests.
    if policy.compression != NO_COMPRESSION:
        document["compression"] = _build_rule(policy.compression)
    # Absent rather than whole: policies from before there was a choice keep their digests.
    if policy.cohort_bps != WHOLE_BPS:
        document["cohort_bps"] = policy.cohort_bps
    if policy.masking != NO_MASKING:
        document["masking"] = _build_masking(policy.masking)
    return document


def _build_model(model: ModelSpec) -> dict[str, CanonicalValue]:
    document: dict[str, CanonicalValue] = {
        "architecture": model.architecture,
        "parameters": model.parameters,
        "layers": [{"name": layer.name, "shape": list(layer.shape)} for layer in model.layers],
    }
    if model.local_layers:
        document["local_layers"] = list(model.local_layers)
    return document


def _build_rewards(rewards: RewardSpec) -> dict[str, CanonicalValue]:
    document: dict[str, CanonicalValue] = dict(vars(rewards))
    if rewards.contribution == METHODS[0]:
        del document["contribution"]
    return document


def _build_masking(masking: MaskingSpec) -> dict[str, CanonicalValue]:
    document: dict[str, CanonicalValue] = dict(vars(masking))
    if masking.groups == 1:
        del document["groups"]
    return document


def _build_privacy(privacy: PrivacySpec) -> dict[str, CanonicalValue]:
    if privacy.mechanism == NO_NOISE:
        return {"mechanism": privacy.mechanism}
    return dict(vars(privacy))


def _build_rule(rule: RuleSpec) -> dict[str, CanonicalValue]:
    return {"name": rule.name, "parameters": dict(rule.parameters)}
