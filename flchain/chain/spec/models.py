"""Finalised model versions of every task; each version's parent is the one before it."""

from flchain.chain.spec.state import State
from flchain.protocol.events import ModelPublished
from flchain.protocol.reverts import UnknownVersion
from flchain.protocol.types import Digest, RoundId, TaskId, Version


def get_latest_version(state: State, task_id: TaskId) -> Version:
    """Return the newest version of a task; 0 is its initial model."""
    return Version(max(len(state.versions.get(task_id, ())) - 1, 0))


def get_state_digest(state: State, task_id: TaskId, version: Version) -> Digest:
    """Return the manifest digest of a version. Raises UnknownVersion."""
    digests = state.versions.get(task_id, [])
    if not 0 <= version < len(digests):
        raise UnknownVersion(task_id, version)
    return digests[version]


def publish_version(
    state: State, task_id: TaskId, number: RoundId, digest: Digest, proposal_id: Digest
) -> ModelPublished:
    """Add the next version of a task; the first is version 0, made by no round."""
    digests = state.versions.setdefault(task_id, [])
    digests.append(digest)
    return ModelPublished(task_id, Version(len(digests) - 1), number, digest, proposal_id)
