"""EIP-1559 transactions: what goes in, and the signed bytes that go out."""

from dataclasses import dataclass

import rlp
from eth_utils.crypto import keccak

from flchain.chain.fees import Fees
from flchain.crypto.signing import Signer
from flchain.protocol.types import Address

_TYPE_2 = b"\x02"
_V_OFFSET = 27


@dataclass(frozen=True, slots=True)
class Transaction:
    """What to send; `to` is None for a creation and `gas` is None for an estimate."""

    to: Address | None
    data: bytes
    gas: int | None = None

    def describe(self, sender: Address) -> dict[str, str]:
        """Return what `eth_call` and `eth_estimateGas` take."""
        call = {"from": sender, "data": f"0x{self.data.hex()}"}
        return call | ({"to": self.to} if self.to else {})


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction with its place in the account's line, its offer and its bytes."""

    transaction: Transaction
    signer: Signer
    chain_id: int
    nonce: int
    gas: int
    fees: Fees
    raw: bytes

    @property
    def hash(self) -> str:
        """The transaction's hash in hex."""
        return f"0x{keccak(self.raw).hex()}"

    @property
    def price(self) -> int:
        """Wei that the account must have at most."""
        return self.gas * self.fees.max_fee

    def renew(self, *, nonce: int, fees: Fees) -> "SignedTransaction":
        """Return the same transaction signed anew."""
        return sign_transaction(
            self.transaction,
            self.signer,
            chain_id=self.chain_id,
            nonce=nonce,
            gas=self.gas,
            fees=fees,
        )


def sign_transaction(
    transaction: Transaction, signer: Signer, *, chain_id: int, nonce: int, gas: int, fees: Fees
) -> SignedTransaction:
    """Sign a transaction of type 2 (EIP-1559, EIP-2718)."""
    to = bytes.fromhex(transaction.to.removeprefix("0x")) if transaction.to else b""
    offer = (fees.priority_fee, fees.max_fee, gas)
    unsigned = [chain_id, nonce, *offer, to, 0, transaction.data, []]
    signature = signer.sign_digest(keccak(_TYPE_2 + rlp.encode(unsigned)))
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
    signed: bytes = rlp.encode([*unsigned, signature[64] - _V_OFFSET, r, s])
    raw = _TYPE_2 + signed
    return SignedTransaction(transaction, signer, chain_id, nonce, gas, fees, raw)
