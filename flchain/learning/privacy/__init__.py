"""Differential privacy: bounds, noise on integers, and what it has cost.

`docs/privacy.md` says who is protected from whom, and what is not hidden.
"""

from flchain.learning.privacy.accounting import (
    Loss,
    build_loss,
    compute_budget_table,
    compute_epsilon,
    count_rounds,
    verify_budget_table,
)
from flchain.learning.privacy.clipping import (
    AdaptiveClip,
    clip_l1,
    clip_l2,
    compute_update_noise,
    update_clip,
)
from flchain.learning.privacy.curves import (
    build_gaussian_curve,
    build_laplace_curve,
    build_sampled_gaussian_curve,
    build_skellam_curve,
)
from flchain.learning.privacy.mechanisms import MECHANISMS, Mechanism
from flchain.learning.privacy.tight import compute_tight_epsilon
from flchain.learning.privacy.updates import (
    Release,
    build_release,
    check_privacy,
    compute_loss,
    count_contributors,
    count_private_rounds,
    explain_privacy,
    get_delta,
    is_private,
    privatise_update,
)

__all__ = [
    "MECHANISMS",
    "AdaptiveClip",
    "Loss",
    "Mechanism",
    "Release",
    "build_gaussian_curve",
    "build_laplace_curve",
    "build_loss",
    "build_release",
    "build_sampled_gaussian_curve",
    "build_skellam_curve",
    "check_privacy",
    "clip_l1",
    "clip_l2",
    "compute_budget_table",
    "compute_epsilon",
    "compute_loss",
    "compute_tight_epsilon",
    "compute_update_noise",
    "count_contributors",
    "count_private_rounds",
    "count_rounds",
    "explain_privacy",
    "get_delta",
    "is_private",
    "privatise_update",
    "update_clip",
    "verify_budget_table",
]
