"""The stake and reward token: ERC-20 with EIP-2612 permits, as OpenZeppelin has it.

Its own events are left out, since no rule reads them.
"""

from flchain.chain.spec.signatures import get_nonce, use_nonce
from flchain.chain.spec.state import Env, State
from flchain.crypto.signing import HALF_ORDER, recover_address
from flchain.protocol.calls import Approve, Permit, Transfer, TransferFrom
from flchain.protocol.eip712 import TOKEN_NAME, Domain, compute_signing_digest, hash_permit
from flchain.protocol.events import Event
from flchain.protocol.reverts import (
    ECDSAInvalidSignature,
    ECDSAInvalidSignatureS,
    ERC20InsufficientAllowance,
    ERC20InsufficientBalance,
    ERC20InvalidApprover,
    ERC20InvalidReceiver,
    ERC20InvalidSpender,
    ERC2612ExpiredSignature,
    ERC2612InvalidSigner,
    Panic,
    Revert,
    SafeERC20FailedOperation,
)
from flchain.protocol.types import ZERO_ADDRESS, Address, Wei

UNLIMITED = 2**256 - 1
"""An allowance of this much is never used up."""
_MAX_AMOUNT = 2**96 - 1
_OVERFLOW = 0x11


def get_balance(state: State, account: Address) -> Wei:
    """Return an account's tokens."""
    return state.token.balances.get(account, Wei(0))


def get_allowance(state: State, owner: Address, spender: Address) -> Wei:
    """Return what `spender` may pull from `owner`."""
    return state.token.allowances.get((owner, spender), Wei(0))


def is_valid_permit(state: State, env: Env, call: Permit) -> bool:
    """Return whether the owner signed exactly this permit, in time."""
    try:
        verify_permit(state, env, call)
    except Revert:
        return False
    return True


def compute_total(first: Wei, second: Wei) -> Wei:
    """Return a sum that a record holds. Raises Panic beyond 96 bits."""
    if first + second > _MAX_AMOUNT:
        raise Panic(_OVERFLOW)
    return Wei(first + second)


def verify_token(state: State) -> None:
    """Raise SafeERC20FailedOperation in a deployment without a token."""
    if not state.config.has_token:
        raise SafeERC20FailedOperation(ZERO_ADDRESS)


def verify_transfer(state: State, sender: Address, to: Address, amount: Wei) -> None:
    """Raise unless `to` is an account and `sender` has `amount`."""
    verify_token(state)
    if to == ZERO_ADDRESS:
        raise ERC20InvalidReceiver(to)
    if (balance := get_balance(state, sender)) < amount:
        raise ERC20InsufficientBalance(sender, balance, amount)


def verify_pull(
    state: State, owner: Address, spender: Address, amount: Wei, *, to: Address | None = None
) -> None:
    """Raise unless `spender` may pull `amount`, to itself unless `to` is given."""
    verify_token(state)
    if (allowance := get_allowance(state, owner, spender)) < amount:
        raise ERC20InsufficientAllowance(spender, allowance, amount)
    if owner == ZERO_ADDRESS:
        raise ERC20InvalidApprover(owner)
    verify_transfer(state, owner, spender if to is None else to, amount)


def verify_permit(state: State, env: Env, call: Permit) -> None:
    """Raise unless the owner signed exactly this permit, in time (EIP-2612)."""
    verify_token(state)
    if env.time > call.deadline:
        raise ERC2612ExpiredSignature(call.deadline)
    if int.from_bytes(call.s, "big") > HALF_ORDER:
        raise ECDSAInvalidSignatureS(call.s)
    token = state.config.addresses.token
    nonce = get_nonce(state, token, call.owner)
    struct_hash = hash_permit(call.owner, call.spender, call.value, nonce, call.deadline)
    digest = compute_signing_digest(
        Domain(state.config.chain_id, token, name=TOKEN_NAME), struct_hash
    )
    signer = recover_address(digest, call.r + call.s + bytes([call.v]))
    if signer is None:
        raise ECDSAInvalidSignature
    if signer != call.owner:
        raise ERC2612InvalidSigner(signer, call.owner)
    if call.spender == ZERO_ADDRESS:
        raise ERC20InvalidSpender(call.spender)


def move(state: State, sender: Address, to: Address, amount: Wei) -> None:
    """Move tokens; the check is `verify_transfer`."""
    balances = state.token.balances
    balances[sender] = Wei(get_balance(state, sender) - amount)
    balances[to] = Wei(get_balance(state, to) + amount)


def pull(
    state: State, owner: Address, spender: Address, amount: Wei, *, to: Address | None = None
) -> None:
    """Move tokens out of an allowance; the check is `verify_pull`."""
    allowance = get_allowance(state, owner, spender)
    if allowance != UNLIMITED:
        state.token.allowances[owner, spender] = Wei(allowance - amount)
    move(state, owner, spender if to is None else to, amount)


def mint(state: State, to: Address, amount: Wei) -> None:
    """Create tokens; only the token's deployment does."""
    state.token.balances[to] = Wei(get_balance(state, to) + amount)


def process_approve(state: State, env: Env, call: Approve) -> list[Event]:
    """Set what `spender` may pull from the sender, whatever it was before."""
    verify_token(state)
    if call.spender == ZERO_ADDRESS:
        raise ERC20InvalidSpender(call.spender)
    state.token.allowances[env.sender, call.spender] = call.value
    return []


def process_permit(state: State, env: Env, call: Permit) -> list[Event]:
    """Set an allowance on the owner's signature, which works once."""
    verify_permit(state, env, call)
    use_nonce(state, state.config.addresses.token, call.owner)
    state.token.allowances[call.owner, call.spender] = call.value
    return []


def process_transfer(state: State, env: Env, call: Transfer) -> list[Event]:
    """Send the sender's tokens."""
    verify_transfer(state, env.sender, call.to, call.value)
    move(state, env.sender, call.to, call.value)
    return []


def process_transfer_from(state: State, env: Env, call: TransferFrom) -> list[Event]:
    """Send tokens out of the allowance that their owner gave to the sender."""
    verify_pull(state, call.sender, env.sender, call.value, to=call.to)
    pull(state, call.sender, env.sender, call.value, to=call.to)
    return []
