"""What makes a signed twin valid: its deadline, its nonce and its EIP-712 signature."""

from flchain.chain.spec.state import Config, Env, State
from flchain.crypto.signing import verify_signature
from flchain.protocol.eip712 import Domain, compute_signing_digest
from flchain.protocol.reverts import SignatureExpired, SignatureInvalid
from flchain.protocol.types import Address, Digest, Timestamp


def get_nonce(state: State, contract: Address, account: Address) -> int:
    """Return the nonce that the account's next signature for `contract` needs."""
    return state.nonces.get((contract, account), 0)


def verify_deadline(env: Env, deadline: Timestamp) -> None:
    """Raise SignatureExpired after the deadline; at it a signature is still good."""
    if env.time > deadline:
        raise SignatureExpired(deadline)


def verify_signed(
    config: Config, contract: Address, signer: Address, struct_hash: Digest, signature: bytes
) -> None:
    """Raise SignatureInvalid unless `signer` signed the struct for `contract`."""
    digest = compute_signing_digest(Domain(config.chain_id, contract), struct_hash)
    if not verify_signature(signer, digest, signature):
        raise SignatureInvalid(signer)


def use_nonce(state: State, contract: Address, account: Address) -> None:
    """Make the account's current nonce unusable."""
    state.nonces[contract, account] = get_nonce(state, contract, account) + 1
