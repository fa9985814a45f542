"""The base of all reverts, and the errors of the libraries below the contracts.

The libraries are OpenZeppelin's ERC-20 (ERC-6093 names), SafeERC20, ECDSA, Nonces and
ShortStrings; `Panic` is Solidity's own.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, dataclass_transform

from flchain.protocol.errors import ProtocolError
from flchain.protocol.types import Address, Wei


@dataclass_transform(eq_default=False)
class Revert(ProtocolError):
    """A refusal by a contract; subclasses are named as in Solidity.

    A subclass's fields are the Solidity error's arguments, in order and in snake case, and
    `says` is its message with the fields in braces. Two reverts are equal if class and
    fields are.
    """

    says: ClassVar[str] = ""
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, says: str) -> None:
        """Make the subclass a dataclass of its fields."""
        super().__init_subclass__()
        cls.says = says
        dataclass(eq=False, repr=False)(cls)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The fields' values in ABI order."""
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __str__(self) -> str:
        return self.says.format(**vars(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.arguments))})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.arguments == getattr(other, "arguments", None)

    def __hash__(self) -> int:
        return hash((type(self), self.arguments))

    def __reduce__(self) -> tuple[type["Revert"], tuple[Any, ...]]:
        return type(self), self.arguments


class ERC20InsufficientAllowance(
    Revert, says="the owner must approve {needed} wei for {spender}; the allowance is {allowance}"
):
    """A spender pulls more than its allowance."""

    spender: Address
    allowance: Wei
    needed: Wei


class ERC20InsufficientBalance(
    Revert, says="{sender} must first obtain tokens: {needed} wei are needed, it has {balance}"
):
    """An account sends more than it has."""

    sender: Address
    balance: Wei
    needed: Wei


class ERC20InvalidApprover(Revert, says="the zero address cannot approve; name an owner"):
    """The zero address approves."""

    approver: Address


class ERC20InvalidReceiver(
    Revert, says="tokens cannot go to {receiver}; the caller must name an account"
):
    """Tokens are sent to the zero address."""

    receiver: Address


class ERC20InvalidSender(
    Revert, says="tokens cannot come from {sender}; the caller must name an account"
):
    """Tokens are sent from the zero address."""

    sender: Address


class ERC20InvalidSpender(
    Revert, says="{spender} cannot be approved; the owner must name an account"
):
    """The zero address is approved."""

    spender: Address


class ERC2612ExpiredSignature(
    Revert, says="the permit ended at {deadline}; the owner must sign a new one"
):
    """A permit is used after its deadline."""

    deadline: int


class ERC2612InvalidSigner(
    Revert, says="the permit is signed by {signer}, not by {owner}; the owner must sign it"
):
    """A permit is not its owner's over exactly these values."""

    signer: Address
    owner: Address


class SafeERC20FailedOperation(
    Revert, says="there is no working token at {token}; the operator must deploy with one"
):
    """A token transfer failed without a reason, or there is no token."""

    token: Address


class ECDSAInvalidSignature(Revert, says="nobody signed this; the signer must sign again"):
    """No key recovers from a signature."""


class ECDSAInvalidSignatureLength(
    Revert, says="a signature has 65 bytes, this one {length}; the signer must sign again"
):
    """A signature has the wrong length."""

    length: int


class ECDSAInvalidSignatureS(
    Revert, says="the signature's s is in the upper half order; the signer must sign again"
):
    """A signature is malleable (EIP-2)."""

    s: bytes


class InvalidAccountNonce(
    Revert, says="{account} must sign again, with its current nonce {current_nonce}"
):
    """A nonce is used out of turn."""

    account: Address
    current_nonce: int


class InvalidShortString(Revert, says="the contract's name is broken; the operator must redeploy"):
    """A stored short string does not decode; no deployed contract has one."""


class StringTooLong(Revert, says="the name {text!r} is too long; the deployer must shorten it"):
    """A name does not fit a short string; only a deployment can raise it."""

    text: str


class Panic(
    Revert, says="the arithmetic leaves its range (code {code:#x}); the caller must lower amounts"
):
    """Solidity's checked arithmetic stopped the call; code 0x11 is overflow."""

    code: int
