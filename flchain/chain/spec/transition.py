"""One call, one step: `process` finds the rule for a call by its type."""

from collections.abc import Callable
from typing import Any

from flchain.chain.spec import (
    agents,
    draws,
    evidence,
    keys,
    masked_checks,
    masked_penalties,
    masked_records,
    proposals,
    rewards,
    rounds,
    seeds,
    settlement,
    tasks,
    token,
    votes,
)
from flchain.chain.spec.state import Env, State
from flchain.protocol import calls, reserved
from flchain.protocol.calls import Call
from flchain.protocol.errors import EncodingError
from flchain.protocol.events import Event
from flchain.protocol.reverts import (
    CallerNotRoundManager,
    NotRoundManager,
    OnlyRoundManager,
    ReservedForRoundManager,
)
from flchain.protocol.types import Address

PROCESSORS: dict[type[Call], Callable[[State, Env, Any], list[Event]]] = {
    calls.Register: agents.process_register,
    calls.RegisterWithPermit: agents.process_register_with_permit,
    calls.RegisterWithSig: agents.process_register_with_sig,
    calls.RegisterWithKey: keys.process_register_with_key,
    calls.RotateKey: keys.process_rotate_key,
    calls.SetGuardian: keys.process_set_guardian,
    calls.AnnounceRecovery: keys.process_announce_recovery,
    calls.CancelRecovery: keys.process_cancel_recovery,
    calls.ExecuteRecovery: keys.process_execute_recovery,
    calls.IncreaseStake: agents.process_increase_stake,
    calls.IncreaseStakeWithSig: agents.process_increase_stake_with_sig,
    calls.BeginUnbonding: agents.process_begin_unbonding,
    calls.BeginUnbondingWithSig: agents.process_begin_unbonding_with_sig,
    calls.Withdraw: agents.process_withdraw,
    calls.SetAllowed: agents.process_set_allowed,
    calls.SetSuspended: agents.process_set_suspended,
    calls.CreateTask: tasks.process_create_task,
    calls.CloseTask: tasks.process_close_task,
    calls.Enrol: tasks.process_enrol,
    calls.EnrolWithSig: tasks.process_enrol_with_sig,
    calls.LeaveTask: tasks.process_leave_task,
    calls.LeaveTaskWithSig: tasks.process_leave_task_with_sig,
    calls.Endorse: tasks.process_endorse,
    calls.EndorseWithSig: tasks.process_endorse_with_sig,
    calls.RefreshDrawKey: tasks.process_refresh_draw_key,
    calls.Dismiss: tasks.process_dismiss,
    calls.OpenRound: rounds.process_open_round,
    calls.Submit: rounds.process_submit,
    calls.SubmitWithSig: rounds.process_submit_with_sig,
    calls.Attest: rounds.process_attest,
    calls.AttestBundle: rounds.process_attest_bundle,
    calls.Propose: proposals.process_propose,
    calls.ReportDoubleVote: evidence.process_report_double_vote,
    calls.AuditVote: evidence.process_audit_vote,
    calls.OpenSeats: draws.process_open_seats,
    calls.ProveSeats: draws.process_prove_seats,
    calls.StartSeed: seeds.process_start_seed,
    calls.RevealSeed: seeds.process_reveal_seed,
    calls.CastVote: votes.process_cast_vote,
    calls.VoteBundle: votes.process_vote_bundle,
    calls.Settle: settlement.process_settle,
    calls.PostRecord: masked_records.process_post_record,
    calls.RelayRecords: masked_records.process_relay_records,
    calls.VoidRecord: masked_records.process_void_record,
    calls.PinAnchor: masked_records.process_pin_anchor,
    calls.Complain: masked_checks.process_complain,
    calls.AttestRecords: masked_checks.process_attest_records,
    calls.AttestRecordsBundle: masked_checks.process_attest_records_bundle,
    calls.PunishMissing: masked_penalties.process_punish_missing,
    calls.PunishComplaint: masked_penalties.process_punish_complaint,
    calls.ReportEquivocation: masked_penalties.process_report_equivocation,
    calls.Fund: rewards.process_fund,
    calls.Claim: rewards.process_claim,
    calls.Sweep: rewards.process_sweep,
    calls.Approve: token.process_approve,
    calls.Permit: token.process_permit,
    calls.Transfer: token.process_transfer,
    calls.TransferFrom: token.process_transfer_from,
}
"""The rule for every call that somebody can make."""

RESERVED: dict[type[Call], Callable[[Address], Exception]] = {
    reserved.AddDuty: NotRoundManager,
    reserved.RemoveDuty: NotRoundManager,
    reserved.LockBond: NotRoundManager,
    reserved.ReleaseBond: NotRoundManager,
    reserved.SlashBond: NotRoundManager,
    reserved.PunishOffence: NotRoundManager,
    reserved.PunishSilence: NotRoundManager,
    reserved.PublishInitial: OnlyRoundManager,
    reserved.PublishVersion: OnlyRoundManager,
    reserved.Reserve: CallerNotRoundManager,
    reserved.Release: CallerNotRoundManager,
    reserved.PublishRewards: CallerNotRoundManager,
    reserved.Refund: CallerNotRoundManager,
    reserved.OpenMasked: ReservedForRoundManager,
    reserved.SettleMasked: ReservedForRoundManager,
}
"""How the contracts refuse what the round manager alone may call.

The round manager is a contract and sends nothing of its own accord; the steps that it takes
on the others are the mutators that the rules above use.
"""


def process(state: State, env: Env, call: Call) -> list[Event]:
    """Apply one call and return its events in order.

    Raises the Revert that the contracts would raise, and then changes nothing.
    """
    kind = type(call)
    if kind in RESERVED:
        raise RESERVED[kind](env.sender)
    if kind not in PROCESSORS:
        raise EncodingError(f"{kind.__name__} is no call of the contracts")
    return PROCESSORS[kind](state, env, call)
