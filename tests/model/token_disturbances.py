"""Odd steps with tokens, budgets and rewards."""

from dataclasses import replace

from flchain.protocol import calls
from flchain.protocol.calls import Call
from flchain.protocol.types import ZERO_ADDRESS, Wei
from tests.model import progress
from tests.model.actors import ADDRESSES, FUNDS, Command, Scene
from tests.model.picks import MAX_UINT96, pick_round
from tests.model.signed import sign_permit


def fund(scene: Scene) -> Command:
    amount = scene.rng.choice([Wei(0), Wei(500), Wei(1_000), MAX_UINT96])
    sender = scene.rng.choice([scene.pick_actor(), ADDRESSES["treasury"]])
    return sender, calls.Fund(scene.pick_task(), amount)


def claim(scene: Scene) -> Command | None:
    """Claim something that is paid, unpaid, altered or never promised."""
    if not scene.state.distributions and scene.rng.random() < 0.8:
        return None
    if not scene.state.distributions or scene.rng.random() < 0.1:
        task_id = scene.pick_task()
        return scene.pick_actor(), calls.Claim(
            task_id, pick_round(scene, task_id), 0, scene.pick_actor(), Wei(1), ()
        )
    task_id, number = scene.rng.choice(list(scene.state.distributions))
    root = scene.state.distributions[task_id, number].root
    listed = scene.trees[root]
    paid = [reward for reward in listed if (task_id, number, reward.index) in scene.state.claimed]
    reward = scene.rng.choice(paid if paid and scene.rng.random() < 0.3 else listed)
    call = progress.build_claim(scene, task_id, number, reward)
    odd = scene.rng.choice(
        [
            call,
            call,
            replace(call, amount=Wei(call.amount + 1)),
            replace(call, account=scene.pick_actor()),
            replace(call, index=scene.rng.choice([63, 64, 300])),
            replace(call, proof=(*call.proof, scene.draw_digest())),
        ]
    )
    return scene.pick_actor(), odd


def sweep(scene: Scene) -> Call | None:
    if not scene.state.distributions and scene.rng.random() < 0.8:
        return None
    if not scene.state.distributions or scene.rng.random() < 0.1:
        task_id = scene.pick_task()
        return calls.Sweep(task_id, pick_round(scene, task_id))
    return calls.Sweep(*scene.rng.choice(list(scene.state.distributions)))


def approve(scene: Scene) -> Command | None:
    addresses = scene.state.config.addresses
    spender = scene.rng.choice(
        [addresses.agent_registry, addresses.reward_distributor, scene.pick_actor(), ZERO_ADDRESS]
    )
    amount = scene.rng.choice([Wei(0), Wei(1_000), FUNDS])
    return (scene.pick_actor(), calls.Approve(spender, amount)) if scene.has_token else None


def permit(scene: Scene) -> Command | None:
    if not scene.has_token:
        return None
    spender = scene.rng.choice([scene.pick_actor(), scene.pick_actor(), ZERO_ADDRESS])
    return scene.pick_actor(), sign_permit(scene, scene.pick_actor(), spender, Wei(50))


def transfer(scene: Scene) -> Command | None:
    to = scene.rng.choice([scene.pick_actor(), scene.pick_actor(), ZERO_ADDRESS])
    amount = scene.rng.choice([Wei(0), Wei(5), MAX_UINT96])
    return (scene.pick_actor(), calls.Transfer(to, amount)) if scene.has_token else None


def transfer_from(scene: Scene) -> Command | None:
    if not scene.has_token:
        return None
    given = scene.state.token.allowances
    mine = [(owner, spender) for owner, spender in given if spender in ADDRESSES.values()]
    strangers = (scene.rng.choice([ZERO_ADDRESS, scene.pick_actor()]), scene.pick_actor())
    owner, sender = scene.rng.choice([*mine, strangers])
    to = scene.rng.choice([scene.pick_actor(), scene.pick_actor(), ZERO_ADDRESS])
    return sender, calls.TransferFrom(owner, to, Wei(scene.rng.choice([0, 5, 5_000])))
