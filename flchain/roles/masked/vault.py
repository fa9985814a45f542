"""What an agent may do once in a masked round, and the secrets that go when the round is over.

Everything is in the journal before it is sent. A phase has one record and one signature for ever:
after a crash the same ones are sent again, and where the chain has gone another way since, none at
all. A round whose secrets are gone gets no others, even if the chain takes its end back.

Entries are sealed with ChaCha20-Poly1305 under a key that only the agent's account can make: HKDF
of its deterministic signature (RFC 6979) over this task's domain. Copied entries of the vault tell
nothing; an account key that leaks tells what is not wiped yet. What a strategy or a compression
remembers between rounds is in the same journal, and is not sealed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from flchain.crypto.sigma.statements import RANDOMNESS_SIZE
from flchain.crypto.signing import compact_signature
from flchain.protocol.errors import ConfigError
from flchain.protocol.records import SignedRecord
from flchain.protocol.types import Digest, Phase, RoundId
from flchain.roles.context import Context
from flchain.roles.masked.offers import compute_record_digest

_DIGEST = 32
_NONCE = 12
_WEIGHT = 4
_SEED = "seed"
_SIGNATURE = "signature"
_DOMAIN = b"flchain/vault/v1"


@dataclass(frozen=True)
class KeptRecord:
    """What was or will be recorded in a phase, and under which view of the chain."""

    anchor: Digest
    digest: Digest
    payload: bytes


@dataclass(frozen=True)
class Secret:
    """What all of an agent's secrets of a round follow from, and the weight it committed to."""

    seed: bytes = field(repr=False)
    weight: int


@dataclass
class Vault:
    """One agent's single-use secrets of one task, over its journal."""

    context: Context
    entropy: Callable[[int], bytes]
    """Gives secret bytes; called once for each round."""

    def get_secret(self, number: RoundId) -> Secret | None:
        """Return what the round began with; None before `begin` and after `wipe`."""
        data = self._read(number, _SEED, RANDOMNESS_SIZE + 1)
        if data is None:
            return None
        return Secret(data[:RANDOMNESS_SIZE], int.from_bytes(data[RANDOMNESS_SIZE:], "big"))

    def begin(self, number: RoundId, weight: int) -> Secret:
        """Return the round's secret, drawn when first asked for; it keeps its first weight."""
        secret = self.get_secret(number)
        if secret is None:
            self._verify_open(number)
            secret = Secret(self.entropy(RANDOMNESS_SIZE), weight)
            self._write(number, _SEED, secret.seed + weight.to_bytes(_WEIGHT, "big"))
        return secret

    def get_record(self, number: RoundId, phase: Phase) -> KeptRecord | None:
        """Return what was written down for a phase, if anything was."""
        data = self._read(number, phase.name, 2 * _DIGEST)
        if data is None:
            return None
        anchor, digest = data[:_DIGEST], data[_DIGEST : 2 * _DIGEST]
        return KeptRecord(Digest(anchor), Digest(digest), data[2 * _DIGEST :])

    def keep_record(self, number: RoundId, phase: Phase, record: KeptRecord) -> None:
        """Write down what is about to be sent; the first record of a phase is its only one."""
        self._verify_open(number)
        if self.get_record(number, phase) or self._read_signature(number, phase):
            raise ConfigError(f"round {number} has a record of {phase.name} already: none is made")
        self._write(number, phase.name, record.anchor + record.digest + record.payload)

    def find_signed(self, number: RoundId, phase: Phase) -> SignedRecord | None:
        """Return a phase's record with its signature; None if it was never signed."""
        kept, signature = self.get_record(number, phase), self._read_signature(number, phase)
        if kept is None or signature is None:
            return None
        return SignedRecord(kept.digest, signature[:_DIGEST], signature[_DIGEST:])

    def sign_record(self, number: RoundId, phase: Phase) -> SignedRecord:
        """Return a phase's record, signed when first asked for; it keeps its first signature.

        Raises ConfigError if there is no record.
        """
        signed, kept = self.find_signed(number, phase), self.get_record(number, phase)
        if signed is not None:
            return signed
        if kept is None:
            raise ConfigError(f"round {number} has no record of {phase.name}: none is signed")
        digest = compute_record_digest(self.context, number, phase, kept.anchor, kept.digest)
        r, vs = compact_signature(self.context.signer.sign_digest(digest))
        self._write(number, f"{phase.name}-{_SIGNATURE}", r + vs)
        return SignedRecord(kept.digest, r, vs)

    def close(self, number: RoundId) -> None:
        """Note that rounds up to this one are over: no secrets and records are made for them."""
        if not self.is_closed(number):
            self.context.journal.write(self._closed_name, b"%d" % number)

    def is_closed(self, number: RoundId) -> bool:
        """Return whether a round was over once, and its secrets may be gone."""
        return number <= int(self.context.journal.read(self._closed_name) or b"-1")

    def wipe(self, number: RoundId) -> None:
        """Forget the secrets of this round and of all before it."""
        for name in list(self.context.journal.names()):
            if name.startswith(self._prefix) and name < self._name(RoundId(number + 1), ""):
                self.context.journal.delete(name)

    def _verify_open(self, number: RoundId) -> None:
        if self.is_closed(number):
            raise ConfigError(f"round {number} was over: no secrets are made for it again")

    def _read_signature(self, number: RoundId, phase: Phase) -> bytes | None:
        return self._read(number, f"{phase.name}-{_SIGNATURE}", 2 * _DIGEST)

    def _write(self, number: RoundId, what: str, data: bytes) -> None:
        name, nonce = self._name(number, what), self.entropy(_NONCE)
        self.context.journal.write(name, nonce + self._cipher.encrypt(nonce, data, name.encode()))

    def _read(self, number: RoundId, what: str, least: int) -> bytes | None:
        name = self._name(number, what)
        sealed = self.context.journal.read(name)
        if sealed is None:
            return None
        try:
            data = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
        except (InvalidTag, ValueError):
            data = b""
        if len(data) < least:
            raise ConfigError(
                f"journal entry {name} is damaged or another account's; restore it, or remove the "
                "round's entries and stay out of the round: a second set of secrets would tell on "
                "the first"
            )
        return data

    @cached_property
    def _cipher(self) -> ChaCha20Poly1305:
        info = _DOMAIN + self.context.get_round_key(RoundId(0))
        signature = self.context.signer.sign_digest(sha256(info).digest())
        key = HKDF(algorithm=SHA256(), length=_DIGEST, salt=None, info=info).derive(signature)
        return ChaCha20Poly1305(key)

    @property
    def _closed_name(self) -> str:
        return f"closed-{self._prefix.removesuffix('-')}"

    @property
    def _prefix(self) -> str:
        """What entries of this task begin with; round 0 stands for the task."""
        return f"masked-{self.context.get_round_key(RoundId(0))[:8].hex()}-"

    def _name(self, number: RoundId, what: str) -> str:
        return f"{self._prefix}{number:08d}-{what.lower()}"
