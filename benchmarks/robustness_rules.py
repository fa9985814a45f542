"""The rules that are measured, as what they make of one round's float updates."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cohort import Shape, predict
from numpy.typing import NDArray

from flchain.learning.aggregators import build_aggregator, build_rule, find_centre
from flchain.learning.aggregators.scoring import (
    ScoreFilter,
    score_accuracy,
    score_mutual_information,
)
from flchain.learning.data import Dataset
from flchain.learning.quantisation import quantise
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import UpdateSpec

Float32 = NDArray[np.float32]
SHIFT = 20
RULE = UpdateSpec(
    shift=SHIFT, coordinate_bound=1 << (SHIFT - 1), clip=8 << SHIFT, bucket=32, w_max=64
)
NO_DEFENCE = "no defence"
RECOMMENDED = "crowds/geometric-median"
NAMES = (
    RECOMMENDED,
    "geometric-median",
    "nnm/trimmed-mean",
    "median",
    "norm-clipping/mean",
    "centred-clipping",
    "krum",
    "multikrum",
    "trimmed-mean",
    "detectors/mean",
    "crowds/nnm/trimmed-mean",
    "nnm/geometric-median",
    "bulyan",
    "bucketing/median",
)


@dataclass(frozen=True)
class Round:
    """What a rule may look at: the updates, and a validator's own model and probe rows."""

    updates: Float32
    f: int
    model: Float32
    shape: Shape
    probe: Dataset
    rng: np.random.Generator


Apply = Callable[[Round], Float32]
"""Returns the step that a round's updates give."""


def build_plain(agents: int, f: int) -> Apply:
    """Return the float mean of whatever is sent."""
    del agents, f
    return lambda this: this.updates.mean(axis=0)


def build_integer(name: str) -> Callable[[int, int], Apply | None]:
    """Return the maker of a rule on the integers that agents would send."""

    def build(agents: int, f: int) -> Apply | None:
        aggregator = build_aggregator(name)
        settings = dict(build_rule(aggregator, f, agents).parameters)
        if not aggregator.is_enough(agents, settings):
            return None

        def apply(this: Round) -> Float32:
            rows = quantise_all(this)
            weaker = aggregator.weaken(len(rows), settings)
            if weaker is None:
                return np.zeros_like(this.model)
            centre = find_centre(aggregator, rows, weaker)
            return (centre.values / (centre.divisor * 2.0**SHIFT)).astype(np.float32)

        return apply

    return build


def build_scored(
    score: Callable[[NDArray[np.int64], Dataset], tuple[int, ...]],
) -> Callable[[int, int], Apply]:
    """Return the maker of the mean of those whose models score at least half the median."""

    def build(agents: int, f: int) -> Apply:
        kept = ScoreFilter(threshold_bps=5_000, min_clients=agents - f, probe_size=200)

        def apply(this: Round) -> Float32:
            rows = np.array(quantise_all(this)) * np.float32(2.0**-SHIFT)
            models = this.model + rows
            labels = [predict(this.shape, model, this.probe.inputs).argmax(1) for model in models]
            return rows[kept.select(score(np.array(labels), this.probe))].mean(axis=0)

        return apply

    return build


def quantise_all(this: Round) -> list[NDArray[np.int32]]:
    """Return what the agents publish; who has no number to publish is left out."""
    rows = []
    for update in this.updates:
        try:
            rows.append(quantise(update, RULE, this.rng))
        except EncodingError:
            continue
    return rows


RULES: dict[str, Callable[[int, int], Apply | None]] = {
    NO_DEFENCE: build_plain,
    **{name: build_integer(name) for name in NAMES},
    "mutual information": build_scored(
        lambda labels, probe: score_mutual_information(labels, probe.classes)
    ),
    "probe accuracy": build_scored(lambda labels, probe: score_accuracy(labels, probe.labels)),
}
