"""Model versions for the outside: float32 arrays and safetensors."""

from collections.abc import Mapping

import safetensors.numpy

from flchain.learning.parameters import Float32, State, to_float, unflatten
from flchain.protocol.canonical import encode_canonical
from flchain.protocol.policy import Policy


def get_model_arrays(state: State, policy: Policy) -> dict[str, Float32]:
    """Return the model's layers by name, ready for a trainer."""
    return unflatten(to_float(state.sections["params"]), policy.model.layers)


def encode_safetensors(
    state: State, policy: Policy, metadata: Mapping[str, str | int] | None = None
) -> bytes:
    """Return the model as a safetensors file; equal input gives equal bytes.

    `metadata` is stored as canonical JSON under the one key "flchain": the format's own map
    has no fixed order.
    """
    document = {"architecture": policy.model.architecture, **(metadata or {})}
    tags = {"flchain": encode_canonical(document).decode()}
    return safetensors.numpy.save(get_model_arrays(state, policy), metadata=tags)
