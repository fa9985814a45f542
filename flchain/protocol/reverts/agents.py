"""Errors of signatures and of the agent registry."""

from flchain.protocol.reverts.libraries import Revert
from flchain.protocol.types import Address, Digest, Timestamp, Wei


class SignatureExpired(Revert, says="the signer must sign again: the deadline {deadline} is over"):
    """A signature is used after its deadline."""

    deadline: Timestamp


class SignatureInvalid(
    Revert, says="the signature is not {signer}'s over these values; it must sign again"
):
    """A signature is not `signer`'s over exactly these values."""

    signer: Address


class NotRoundManager(Revert, says="only the round manager may call this, not {caller}"):
    """A call of the agent registry is reserved for the round manager."""

    caller: Address


class NotGovernance(Revert, says="only governance may call this, not {caller}"):
    """A call is reserved for governance."""

    caller: Address


class AlreadyRegistered(Revert, says="{agent} holds a registration; it must unbond before another"):
    """The account holds a registration already."""

    agent: Address


class NotRegistered(Revert, says="{agent} must register first"):
    """The account holds no registration."""

    agent: Address


class NotAllowed(Revert, says="governance must put {agent} on the allow-list first"):
    """The account is not on the allow-list."""

    agent: Address


class InvalidRoles(Revert, says="the caller must name known roles (1, 2, 4 or sums), not {roles}"):
    """The role bits are empty or unknown."""

    roles: int


class StakeTooLow(Revert, says="the agent must stake at least {needed} wei; it offers {stake}"):
    """The stake is below what the roles need."""

    stake: Wei
    needed: Wei


class InvalidAmount(
    Revert, says="the caller must change the amount {amount}: zero without a token, else positive"
):
    """An amount is zero, or not zero in a registry without a token."""

    amount: Wei


class InvalidKeys(Revert, says="the agent must give the digest of its keys document, not zero"):
    """The keys digest is zero."""

    keys_digest: Digest


class KeysUsed(Revert, says="the agent must make new keys: this digest was registered before"):
    """The keys digest was registered before.

    What another registered without a proof does not count against a proven key.
    """

    keys_digest: Digest


class StillEnrolled(Revert, says="{agent} must first leave its tasks; it is enrolled in {duties}"):
    """The identity must first leave its tasks."""

    agent: Address
    duties: int


class BondStillLocked(
    Revert, says="{agent} must wait until its proposal is settled: {amount} wei are locked"
):
    """The identity must first wait for its proposal to be settled."""

    agent: Address
    amount: Wei


class NothingUnbonding(Revert, says="nothing to withdraw: {agent} must begin to unbond first"):
    """Nothing is unbonding."""

    agent: Address


class UnbondingNotOver(Revert, says="the caller must wait: unbonding ends at {unbonds_at}"):
    """The unbonding period has not ended."""

    unbonds_at: Timestamp


class StillUnbonding(
    Revert, says="{agent} must first withdraw its earlier stake, from {unbonds_at} on"
):
    """Earlier stake still waits to be withdrawn."""

    agent: Address
    unbonds_at: Timestamp


class BondTooHigh(
    Revert, says="{agent} must add stake: the bond is {bond} wei and {free} are free"
):
    """Free stake does not cover a bond."""

    agent: Address
    free: Wei
    bond: Wei


class NotGuardian(Revert, says="only {agent}'s guardian may do this, not {caller}"):
    """The caller is not the identity's guardian."""

    agent: Address
    caller: Address


class NothingAnnounced(Revert, says="the guardian of {agent} must announce a key first"):
    """No recovery is announced."""

    agent: Address


class RecoveryNotDue(Revert, says="the caller must wait: the key may be used at {executable_from}"):
    """An announced key may not be put into force yet."""

    executable_from: Timestamp


class NotEligible(
    Revert, says="{agent} must be registered for role {role}, with enough stake, not suspended"
):
    """An identity may take no duty in a role."""

    agent: Address
    role: int
