"""Arguments for odd commands: right, wrong and at the edge."""

from flchain.protocol.types import ZERO_DIGEST, Digest, RoundId, TaskId, Wei
from tests.model.actors import ETHER, FUNDS, Scene
from tests.model.vrf_keys import derive_key, find_new_key

MAX_UINT96 = Wei(2**96 - 1)


def pick_digest(scene: Scene) -> Digest:
    """Return a digest: new, zero, one that was used before, or one that another may prove soon."""
    used = sorted(scene.state.keys)
    if used and scene.rng.random() < 0.4:
        return scene.rng.choice(used)
    squatted = derive_key(*find_new_key(scene.state, scene.pick_actor()))[1]
    announced = [pending.keys_digest for pending in scene.state.recoveries.values()]
    new = [scene.draw_digest(), scene.draw_digest()]
    return scene.rng.choice([*new, squatted, *announced[:1], ZERO_DIGEST])


def pick_amount(scene: Scene) -> Wei:
    """Return an amount: nothing, little, a stake, too much, or the largest there is."""
    return Wei(scene.rng.choice([0, 1, 10 * ETHER, 20 * ETHER, 30 * ETHER, FUNDS * 2]))


def pick_round(scene: Scene, task_id: TaskId) -> RoundId:
    """Return the newest round, now and then another."""
    newest = scene.get_book(task_id).round.round
    return RoundId(scene.rng.choice([newest] * 6 + [0, newest + 1, max(newest - 1, 0)]))


def pick_role(scene: Scene) -> int:
    return scene.rng.choice([1, 1, 2, 2, 4, 4, 0, 3, 8, 255])
