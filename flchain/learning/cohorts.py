"""Who takes part in a round where the policy wants only some of the agents.

Each agent is drawn by itself: by the hash of the round's key and its address, so everybody can
tell who counts. The draw is known beforehand, and so is no protection against an agent that may
choose its address; the enrolment has to be.
"""

import hashlib

from flchain.protocol.policy import WHOLE_BPS, Policy

_DOMAIN = b"flchain-cohort-v1\x00"


def is_in_cohort(policy: Policy, round_key: bytes, agent: str) -> bool:
    """Return whether `agent` is in the cohort of the round of `round_key`."""
    if policy.cohort_bps == WHOLE_BPS:
        return True
    digest = hashlib.sha256(_DOMAIN + round_key + agent.lower().encode()).digest()
    return int.from_bytes(digest[:8], "big") * WHOLE_BPS < policy.cohort_bps << 64
