"""Creating a task: from a policy and a preset to a funded entry in the contract."""

from dataclasses import asdict

from flchain.chain.base import Ledger
from flchain.crypto.signing import Signer
from flchain.learning.aggregation import check_rules
from flchain.learning.budgets import compute_privacy_rounds
from flchain.protocol.calls import Approve, CreateTask, Fund
from flchain.protocol.params import MaskingSchedule, Schedule, fit_schedule
from flchain.protocol.policy import Policy, get_task_scalars
from flchain.protocol.records import Task
from flchain.protocol.types import Address, Mode, Seconds, TaskId, Wei
from flchain.roles.archive import Archive
from flchain.roles.terms import seal_initial_state, seal_policy
from flchain.storage.base import ContentStore


def build_task(
    policy: Policy, schedule: Schedule, orchestrator: Address, validators: int | None = None
) -> Task:
    """Return the parameters that the contract gets.

    `validators` is how many are expected: too few for the schedule's committee, and every one of
    them sits. None leaves the schedule as it is. Raises ConfigError if no round of the policy
    could be executed, such as with an aggregator that needs more updates than min_survivors, or
    with a privacy budget that pays for none.
    """
    check_rules(policy)
    if validators is not None:
        schedule = fit_schedule(schedule, validators)
    scalars = get_task_scalars(policy)
    return Task(
        orchestrator=orchestrator,
        round_reserve=scalars.round_reserve,
        proposal_bond=schedule.proposal_bond,
        max_agents=scalars.max_agents,
        min_agents=scalars.min_agents,
        min_survivors=scalars.min_survivors,
        min_validators=schedule.min_validators,
        w_max=scalars.w_max,
        max_attempts=schedule.max_attempts,
        propose_ranks=schedule.propose_ranks,
        mode=Mode.SECURE if policy.is_secure else Mode.PLAIN,
        max_share_bps=scalars.max_share_bps,
        participation_bps=policy.rewards.participation_bps,
        max_rounds=schedule.max_rounds,
        committee=schedule.committee,
        submit_window=schedule.submit_window,
        attest_window=schedule.attest_window,
        propose_window=schedule.propose_window,
        vote_window=schedule.vote_window,
        open_delay=schedule.open_delay,
        claim_delay=schedule.claim_delay,
        claim_window=schedule.claim_window,
        **_choose_windows(policy, schedule.masking),
        threshold=scalars.threshold,
        max_corrupt=scalars.max_corrupt,
        privacy_rounds=compute_privacy_rounds(policy),
        seat_window=schedule.seat_window,
        coordinate_bound=scalars.coordinate_bound,
        policy_digest=seal_policy(policy)[1],
        initial_state=seal_initial_state(policy).digest,
    )


def _choose_windows(policy: Policy, masking: MaskingSchedule) -> dict[str, Seconds]:
    """Return the windows of secure mode; all zero in plain mode."""
    windows = asdict(masking)
    return windows if policy.is_secure else dict.fromkeys(windows, Seconds(0))


def create_task(
    ledger: Ledger,
    store: ContentStore,
    signer: Signer,
    task: Task,
    policy: Policy,
) -> TaskId:
    """Publish the policy and version 0, then create `task`; return its id."""
    block, _ = seal_policy(policy)
    store.put_block(block, "policy")
    Archive(store).publish(seal_initial_state(policy), "policy")
    receipt = ledger.send(CreateTask(task), signer)
    return TaskId(int(receipt.result))


def fund_task(ledger: Ledger, signer: Signer, task_id: TaskId, amount: Wei) -> None:
    """Add to a task's budget from the signer's tokens.

    Raises UnknownTask if there is none: the contract would keep the tokens for it.
    """
    ledger.get_task(task_id)
    ledger.send(Approve(ledger.addresses.reward_distributor, amount), signer)
    ledger.send(Fund(task_id, amount), signer)
