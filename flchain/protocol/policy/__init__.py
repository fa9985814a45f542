"""A task's policy: everything that re-executing its rounds needs, in one closed document."""

from flchain.protocol.policy.architectures import ARCHITECTURES
from flchain.protocol.policy.capacity import MAX_SHIFT, MIN_SHIFT, compute_shift
from flchain.protocol.policy.document import (
    MAX_GROUPS,
    compute_policy_digest,
    decode_policy,
    encode_policy,
)
from flchain.protocol.policy.file import load_policy_file
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
    TaskScalars,
    TrainingSpec,
    UpdateSpec,
    get_task_scalars,
)

__all__ = [
    "ARCHITECTURES",
    "MAX_GROUPS",
    "MAX_SHIFT",
    "MICROS",
    "MIN_SHIFT",
    "NO_COMPRESSION",
    "NO_MASKING",
    "SECURE",
    "WHOLE_BPS",
    "DataSpec",
    "Layer",
    "MaskingSpec",
    "ModelSpec",
    "Policy",
    "PrivacySpec",
    "QualitySpec",
    "RewardSpec",
    "RuleSpec",
    "TaskScalars",
    "TrainingSpec",
    "UpdateSpec",
    "compute_policy_digest",
    "compute_shift",
    "decode_policy",
    "encode_policy",
    "get_task_scalars",
    "load_policy_file",
]
