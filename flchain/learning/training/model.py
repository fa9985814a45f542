"""Models that bring their own architecture: one protocol over torch, scikit-learn and NumPy.

A file of a model is safetensors: its arrays, and under the key "flchain" what it is. Nothing is
ever unpickled.
"""

import json
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.training.base import Trainer
from flchain.protocol.canonical import CanonicalValue, decode_canonical, encode_canonical
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.policy import Layer

_KEY = "flchain"
_LENGTH = 8
_MAX_HEADER = 1 << 20


class Model(Trainer, Protocol):
    """A trainer that knows its layers and holds values for them.

    Training is as pure as any trainer's: it neither reads nor changes the values held.
    """

    def get_layers(self) -> tuple[Layer, ...]:
        """Return the layers, as a policy writes them."""
        ...

    def get_parameters(self) -> dict[str, Float32]:
        """Return copies of the values held."""
        ...

    def set_parameters(self, parameters: NamedArrays) -> None:
        """Hold these values from now on. Raises ConfigError if they do not fit the layers."""
        ...


def check_arrays(parameters: NamedArrays, layers: tuple[Layer, ...]) -> None:
    """Raise ConfigError, naming the layer, unless `parameters` are finite and fit `layers`."""
    names = {layer.name for layer in layers}
    for name in sorted(set(parameters) ^ names):
        state = "missing" if name in names else "unknown"
        raise ConfigError(f"model: layer {name} is {state}; its layers are {sorted(names)}")
    for layer in layers:
        array = np.asarray(parameters[layer.name])
        if array.shape != layer.shape:
            raise ConfigError(f"model: {layer.name} is {array.shape}, expected {layer.shape}")
        if not np.isfinite(array).all():
            raise ConfigError(f"model: {layer.name} holds NaN or infinity")


def save_weights(model: Model) -> bytes:
    """Return the model's values as a safetensors file."""
    return safetensors.numpy.save(model.get_parameters())


def load_weights(model: Model, data: bytes) -> None:
    """Make `model` hold the values of a safetensors file. Raises EncodingError or ConfigError."""
    try:
        arrays = safetensors.numpy.load(data)
    except (SafetensorError, ValueError) as error:
        raise EncodingError(f"model file: not safetensors ({error})") from error
    model.set_parameters({name: array.astype(np.float32) for name, array in arrays.items()})


def save_model(model: Model, name: str, tags: Mapping[str, str | int] | None = None) -> bytes:
    """Return values and architecture as one safetensors file; equal input gives equal bytes."""
    layers: list[CanonicalValue] = [[item.name, *item.shape] for item in model.get_layers()]
    document: dict[str, CanonicalValue] = {**(tags or {}), "architecture": name, "layers": layers}
    metadata = {_KEY: encode_canonical(document).decode()}
    return safetensors.numpy.save(model.get_parameters(), metadata=metadata)


def load_model(model: Model, name: str, data: bytes) -> dict[str, object]:
    """Fill `model` from a file of `save_model` and return the file's tags.

    Raises EncodingError if the file is of another architecture or no such file.
    """
    document = _read_tags(data)
    layers = [[layer.name, *layer.shape] for layer in model.get_layers()]
    if document.pop("architecture", None) != name or document.pop("layers", None) != layers:
        raise EncodingError(f"model file: not of the architecture {name!r} with these layers")
    load_weights(model, data)
    return document


def _read_tags(data: bytes) -> dict[str, object]:
    """Return the tags in a safetensors header: its length in eight bytes, then JSON."""
    size = int.from_bytes(data[:_LENGTH], "little")
    if len(data) < _LENGTH or size > min(_MAX_HEADER, len(data)):
        raise EncodingError("model file: not safetensors")
    try:
        text = json.loads(data[_LENGTH : _LENGTH + size])["__metadata__"][_KEY]
        document = decode_canonical(text.encode(), max_size=_MAX_HEADER)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EncodingError("model file: it does not say what model it holds") from error
    if not isinstance(document, dict):
        raise EncodingError("model file: its tags are not an object")
    return dict(document)
