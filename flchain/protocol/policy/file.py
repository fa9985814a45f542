"""The policy file that people write, in TOML or JSON.

It has the document's keys with six comforts: `format` is left out; the layers of a shipped
architecture and the count of parameters may be; `update.shift` may be, and is then the finest
that fits; so may `mode`, which is then "secure", and `masking`, which then needs all of the fewest
survivors but one and lets a third of them collude, also where it has nothing but `groups`;
`masking.groups` may be 1; and fractions are quoted decimals
(`training.learning_rate`, `training.momentum`,
`update.coordinate_bound`, `update.clip`, `privacy.clip`, `privacy.noise_multiplier` and
`privacy.epsilon`, of which "0" switches noise off). Numbers like 0.03 without quotes are
refused, since two machines need not read them alike.
"""

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.policy.architectures import ARCHITECTURES
from flchain.protocol.policy.capacity import MAX_SHIFT, MIN_SHIFT, compute_shift
from flchain.protocol.policy.document import (
    FORMAT,
    MAX_AGENTS,
    MAX_WEIGHT,
    MECHANISMS,
    MIN_HONEST,
    NO_NOISE,
    read_policy,
)
from flchain.protocol.policy.reader import TableReader
from flchain.protocol.policy.records import MICROS, NO_COMPRESSION, SECURE, Policy

_MAX_TEXT = 262_144


def load_policy_file(text: str, overrides: Mapping[str, object] | None = None) -> Policy:
    """Read a policy from the text of a TOML or JSON file.

    `overrides` replaces values by their full key, such as `{"training.local_epochs": 2}`.
    Raises ConfigError in one line that names the key and what to write.
    """
    try:
        table = _parse(text)
        for key, value in (overrides or {}).items():
            _replace(table, key, value)
        return read_policy(TableReader(_build_document(table)))
    except EncodingError as error:
        raise ConfigError(str(error)) from error


def _parse(text: str) -> dict[str, Any]:
    if len(text) > _MAX_TEXT:
        raise EncodingError(f"policy: the file is longer than {_MAX_TEXT} characters; shorten it")
    is_json = text.lstrip().startswith("{")
    try:
        if is_json:
            table: dict[str, Any] = json.loads(text, object_pairs_hook=_decode_object)
            return table
        return tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        kind = "JSON" if is_json else "TOML"
        raise EncodingError(f"policy: the file is not valid {kind}: {error}") from error


def _decode_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded: dict[str, Any] = {}
    for key, value in pairs:
        if key in decoded:
            raise EncodingError(f"policy: key {key!r} stands twice in one table; keep one")
        decoded[key] = value
    return decoded


def _replace(table: dict[str, Any], key: str, value: object) -> None:
    *path, last = key.split(".")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise EncodingError(f"policy: {part} must be a table of keys")
    table[last] = value


def _build_document(table: dict[str, Any]) -> dict[str, Any]:
    """Return the canonical document that `table` stands for; unknown keys stay in it."""
    document = {"format": FORMAT, "mode": SECURE, **table}
    if document["mode"] == SECURE:
        document["masking"] = _build_masking(table)
    if isinstance(table.get("model"), dict):
        document["model"] = _build_model(table["model"])
    if isinstance(table.get("training"), dict):
        document["training"] = _build_training(table["training"])
    if isinstance(table.get("update"), dict):
        agents = TableReader(table).read_integer("max_agents", 1, MAX_AGENTS)
        document["update"] = _build_update(table["update"], agents)
    if isinstance(table.get("privacy"), dict):
        document["privacy"] = _build_privacy(table["privacy"], document)
    for name in ("strategy", "aggregator", "compression"):
        if isinstance(table.get(name), dict):
            document[name] = {"parameters": {}, **table[name]}
    if document.get("compression") == {"name": NO_COMPRESSION.name, "parameters": {}}:
        del document["compression"]
    return document


def _build_masking(table: dict[str, Any]) -> object:
    """Return the document's masking; what is malformed is left for `read_policy`."""
    usual = _choose_masking(table.get("min_survivors"))
    given = table.get("masking", usual)
    if not isinstance(given, dict):
        return given
    is_choice = given.keys() == {"groups"}
    masking = {**usual, **given} if is_choice else given
    return _drop(masking, "groups") if masking.get("groups") == 1 else masking


def _choose_masking(min_survivors: object) -> dict[str, int]:
    """Return the usual masking; a malformed number of survivors is left for `read_policy`."""
    fewest = min_survivors if isinstance(min_survivors, int) else MAX_AGENTS
    corrupt = max(0, min(fewest // 3, fewest - MIN_HONEST))
    return {"threshold": max(1, fewest - 1), "max_corrupt": corrupt}


def _build_model(table: dict[str, Any]) -> dict[str, Any]:
    layers = ARCHITECTURES.get(str(table.get("architecture")), ())
    model = {
        "layers": [{"name": layer.name, "shape": list(layer.shape)} for layer in layers],
        **table,
    }
    if not layers and "layers" not in table:
        known = ", ".join(sorted(ARCHITECTURES))
        raise EncodingError(
            f"policy: model.architecture is not one of {known}; choose one or add model.layers"
        )
    model.setdefault("parameters", _count_parameters(model["layers"]))
    return model


def _count_parameters(layers: object) -> int:
    """Return the sum of the layers' sizes; malformed ones are left for `read_policy`."""
    total = 0
    for layer in layers if isinstance(layers, list) else []:
        size = 1
        for length in layer.get("shape", ()) if isinstance(layer, dict) else ():
            size *= length if isinstance(length, int) else 0
        total += size
    return total


def _build_training(table: dict[str, Any]) -> dict[str, Any]:
    reader = TableReader(table, "training")
    rate = reader.read_decimal("learning_rate", 1, 100 * MICROS, MICROS)
    momentum = reader.read_decimal("momentum", 0, MICROS - 1, MICROS)
    rest = _drop(table, "learning_rate", "momentum")
    return {"learning_rate_micros": rate, "momentum_micros": momentum, **rest}


def _build_update(table: dict[str, Any], agents: int) -> dict[str, Any]:
    reader = TableReader(table, "update")
    bound = reader.read_decimal("coordinate_bound", 1, 256 * MICROS, MICROS)
    clip = reader.read_decimal("clip", 1, 256 * MICROS, MICROS)
    weight = reader.read_integer("w_max", 1, MAX_WEIGHT)
    shift = compute_shift(agents, weight, bound)
    if reader.has_key("shift"):
        shift = reader.read_integer("shift", MIN_SHIFT, MAX_SHIFT)
    return {
        **_drop(table, "coordinate_bound", "clip"),
        "shift": shift,
        "coordinate_bound": max(1, (bound << shift) // MICROS),
        "clip": (clip << shift) // MICROS,
    }


def _build_privacy(table: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return the document's privacy; an epsilon of "0" switches noise off."""
    if "budget_micros" in table or table.get("mechanism") not in MECHANISMS:
        return _drop(table, "epsilon") if table.get("mechanism") == NO_NOISE else table
    reader = TableReader(table, "privacy")
    budget = reader.read_decimal("epsilon", 0, 10_000 * MICROS, MICROS)
    if not budget:
        return {"mechanism": NO_NOISE}
    shift = TableReader(document.get("update"), "update").read_integer("shift", 1, MAX_SHIFT)
    clip = reader.read_decimal("clip", 1, 65_536 * MICROS, MICROS)
    noise = reader.read_decimal("noise_multiplier", 1, 10_000 * MICROS, MICROS)
    return {
        **_drop(table, "epsilon", "clip", "noise_multiplier"),
        "budget_micros": budget,
        "clip": max(1, (clip << shift) // MICROS),
        "noise_micros": noise,
    }


def _drop(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}
