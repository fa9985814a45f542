"""What a transaction offers for gas (EIP-1559), and how much gas it may use."""

from dataclasses import dataclass

from flchain.protocol.calls import AttestBundle, Call, ProveSeats, VoteBundle
from flchain.protocol.errors import AdapterError

_LARGE_GAS = 1_000_000
_BUNDLED_GAS = 100_000
_PROOF_GAS = 300_000
GWEI = 10**9
_WHOLE_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei of the native currency for each unit of gas."""

    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeePolicy:
    """Limits and margins.

    `max_fee` caps what is ever offered. A stuck transaction is sent again for `bump_bps` more;
    nodes refuse a replacement for less than 10 % more. Gas that is not used costs nothing, so the
    margin over an estimate is generous: a call that closes a phase uses more than the same call
    a moment before.
    """

    max_fee: int = 500 * GWEI
    priority_fee: int = GWEI
    bump_bps: int = 1_250
    gas_margin_bps: int = 5_000
    gas_margin: int = 150_000


def compute_fees(base_fee: int, policy: FeePolicy) -> Fees:
    """Return an offer that outlives six blocks of rising base fees, within the cap.

    Raises AdapterError, worth trying again later, if the base fee alone exceeds the cap.
    """
    if base_fee > policy.max_fee:
        raise AdapterError(
            f"gas costs {base_fee} wei now, above the limit of {policy.max_fee}: wait, or raise it",
            is_retryable=True,
        )
    offer = min(2 * base_fee + policy.priority_fee, policy.max_fee)
    return Fees(offer, min(policy.priority_fee, offer))


def compute_bumped_fees(fees: Fees, policy: FeePolicy) -> Fees | None:
    """Return a better offer for the same nonce, or None if the cap forbids it."""
    factor = _WHOLE_BPS + policy.bump_bps
    bumped = Fees(*(-(-fee * factor // _WHOLE_BPS) for fee in (fees.max_fee, fees.priority_fee)))
    return bumped if bumped.max_fee <= policy.max_fee else None


def compute_gas_limit(estimate: int, policy: FeePolicy) -> int:
    """Return the gas limit for an estimate."""
    return estimate + estimate * policy.gas_margin_bps // _WHOLE_BPS + policy.gas_margin


def get_large_gas(call: Call) -> int:
    """Return a limit for a call that can't be estimated, since it follows on a waiting one."""
    match call:
        case AttestBundle():
            return _LARGE_GAS + _BUNDLED_GAS * len(call.attestations)
        case ProveSeats():
            return _LARGE_GAS + _PROOF_GAS * len(call.proofs)
        case VoteBundle():
            return _LARGE_GAS + _BUNDLED_GAS * len(call.votes)
        case _:
            return _LARGE_GAS
