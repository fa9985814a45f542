"""Which compression suits a device: from bandwidth, memory and processor to a rule.

The most faithful of `CHOICES` that the device can hold and deliver in time, or else the one
that is delivered first. Costs are rough on purpose: they decide between factors of three.
"""

from dataclasses import dataclass

from flchain.learning.compression.registry import CHOICES
from flchain.protocol.policy import RuleSpec

_VALUE_SIZE = 4


@dataclass(frozen=True)
class DeviceProfile:
    """What an agent runs on. `speed` is relative to one core of a current server."""

    upload_bits_per_second: int
    memory_bytes: int
    speed: float = 1.0


@dataclass(frozen=True)
class Cost:
    """What a choice takes: how much smaller, nanoseconds and bytes of memory for each value."""

    ratio: float
    nanoseconds: float
    memory: int


COSTS: tuple[Cost, ...] = (
    Cost(ratio=3, nanoseconds=1500, memory=40),
    Cost(ratio=7.8, nanoseconds=1200, memory=40),
    Cost(ratio=73, nanoseconds=200, memory=64),
    Cost(ratio=135, nanoseconds=150, memory=64),
    Cost(ratio=210, nanoseconds=100, memory=48),
)
"""In the order of `CHOICES`: measured on a network of 105,866 parameters."""


@dataclass(frozen=True)
class Selection:
    """A rule out of `CHOICES` and why the others were not taken, a sentence each."""

    rule: RuleSpec
    reasons: tuple[str, ...]


def choose_compression(device: DeviceProfile, parameters: int, seconds: float) -> Selection:
    """Return the most faithful choice that is delivered within `seconds`."""
    reasons: list[str] = []
    for rule, cost in zip(CHOICES, COSTS, strict=True):
        if parameters * cost.memory > device.memory_bytes:
            reasons.append(f"{_show(rule)} needs {parameters * cost.memory} bytes of memory")
            continue
        took = compute_seconds(device, parameters, cost)
        if took <= seconds:
            return Selection(rule, (*reasons, f"{_show(rule)} takes {took:.2g} s"))
        reasons.append(f"{_show(rule)} would take {took:.2g} s of {seconds:.2g} s")
    quickest = min(
        range(len(CHOICES)), key=lambda index: compute_seconds(device, parameters, COSTS[index])
    )
    reasons.append(f"nothing is in time; {_show(CHOICES[quickest])} is quickest")
    return Selection(CHOICES[quickest], tuple(reasons))


def compute_seconds(device: DeviceProfile, parameters: int, cost: Cost) -> float:
    """Return the estimated seconds for compressing and uploading one section."""
    upload = 8 * _VALUE_SIZE * parameters / cost.ratio / device.upload_bits_per_second
    return upload + parameters * cost.nanoseconds * 1e-9 / device.speed


def _show(rule: RuleSpec) -> str:
    rank = dict(rule.parameters).get("rank")
    return f"{rule.name} of rank {rank}" if rank else rule.name
