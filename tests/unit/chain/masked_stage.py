# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
"""A federation in secure mode, taken through the masked part of a round by tests."""

import hashlib

from flchain.chain.spec import masked_clock, token
from flchain.chain.spec.state import Env
from flchain.crypto.merkle import compute_listed_proof
from flchain.crypto.signing import LocalSigner, compact_signature
from flchain.protocol import calls
from flchain.protocol.digests import WORD, encode_bitmap, pack_bits, record_leaf
from flchain.protocol.eip712 import (
    Domain,
    compute_signing_digest,
    hash_masked_attestation,
    hash_record,
)
from flchain.protocol.records import AnchoredRecord, SignedAttestation, SignedRecord
from flchain.protocol.types import Mode, Phase
from tests.unit.chain.stage import ADDRESSES, FUNDS, NAMES, SIGNERS, VALIDATORS, Stage

MASKED_AGENTS = tuple(f"a{number}" for number in range(1, 9))
for name in MASKED_AGENTS:
    SIGNERS.setdefault(name, LocalSigner(hashlib.sha256(name.encode()).digest()))
    ADDRESSES.setdefault(name, SIGNERS[name].address)
SECURE = {
    "mode": Mode.SECURE,
    "max_agents": 8,
    "min_agents": 4,
    "min_survivors": 3,
    "threshold": 2,
    "join_window": 50,
    "shares_window": 40,
    "check_window": 30,
    "unmask_window": 35,
    "forced_window": 10,
    "finality_delay": 6,
    "submit_window": 60,
    "attest_window": 30,
    "vote_window": 20,
    "propose_window": 8,
    "max_attempts": 1,
}
RECORDED = (Phase.JOIN, Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)


def digest_of(name, phase):
    return hashlib.sha256(f"{name} {phase}".encode()).digest()


class MaskedStage(Stage):
    """A stage whose task is in secure mode."""

    def __init__(self, *, agents=MASKED_AGENTS, **changes):
        super().__init__(**(SECURE | changes))
        self.agents = agents
        if self.state.config.has_token:
            for name in set(MASKED_AGENTS) - set(NAMES):
                token.mint(self.state, ADDRESSES[name], FUNDS)

    @property
    def masked(self):
        return self.state.masked[1]

    @property
    def record(self):
        """What the next block's calls see."""
        self.block += 1
        env = Env(ADDRESSES["stranger"], self.time, self.block, self.get_block_hash)
        seen = masked_clock.get_masked(self.state, env, 1)
        self.block -= 1
        return seen

    @property
    def number(self):
        return self.book.round.round

    def gather(self):
        self.create().enrol("orchestrator", "p1", *self.agents, *VALIDATORS)
        self.time += 30
        return self

    def begin(self):
        """Go to where the newest phase's calls are allowed."""
        wait = self.task.forced_window if self.masked.phase == Phase.CHECK else 0
        self.time = max(self.time, self.masked.opens_at + wait)
        return self

    def post(self, name, digest=None, **fields):
        phase = self.masked.phase
        values = {"task_id": 1, "round": self.number, "phase": phase, "anchor": self.record.anchor}
        values |= {"digest": digest or digest_of(name, phase)}
        return self.send(name, calls.PostRecord(**(values | fields)))

    def post_all(self, *names):
        self.begin()
        for name in names or self.agents:
            self.post(name)
        return self

    def place(self, name):
        return self.masked.find_place(ADDRESSES[name])

    def sign(self, name, struct_hash):
        domain = Domain(self.state.config.chain_id, self.addresses.masked_rounds)
        return SIGNERS[name].sign_digest(compute_signing_digest(domain, struct_hash))

    def sign_record(self, name, phase=None, anchor=None, digest=None, signer=None):
        phase = phase or self.masked.phase
        digest = digest or digest_of(name, phase)
        struct_hash = hash_record(self.key, phase, anchor or self.record.anchor, digest)
        return SignedRecord(digest, *compact_signature(self.sign(signer or name, struct_hash)))

    def anchored(self, name, digest, phase=None, anchor=None):
        anchor = anchor or self.record.anchor
        signed = self.sign_record(name, phase, anchor, digest)
        return AnchoredRecord(anchor, signed.digest, signed.r, signed.vs)

    def build_batch(self, names, false=(), **fields):
        """Return a batch of records; those of `false` are signed by a stranger."""
        entries = {
            self.place(name): self.sign_record(name, signer="stranger" if name in false else None)
            for name in names
        }
        places = sorted(entries)
        values = {
            "task_id": 1,
            "round": self.number,
            "phase": self.masked.phase,
            "anchor": self.record.anchor,
            "places": pack_bits(places, len(self.masked.holders), WORD),
            "records": tuple(entries[place] for place in places),
        }
        return calls.RelayRecords(**(values | fields))

    def relay(self, *names, false=(), relayer="orchestrator"):
        return self.send(relayer, self.build_batch(names, false))

    def build_void(self, batch, name, event):
        """Return the call that voids one record of a batch whose event is known."""
        added = sorted(self._unpack(event.added))
        records = dict(zip(sorted(self._unpack(event.places)), event.records, strict=True))
        anchor = self.anchor_of[event.phase] if event.phase != self.masked.phase else None
        anchor = anchor or self.record.anchor
        leaves = [record_leaf(anchor, place, records[place]) for place in added]
        place = self.place(name)
        proof = compute_listed_proof(leaves, added.index(place)) if place in added else ()
        record = records[place]
        return calls.VoidRecord(1, self.number, batch, anchor, place, record, proof)

    @staticmethod
    def _unpack(words):
        return [
            224 * number + bit
            for number, word in enumerate(words)
            for bit in range(224)
            if word >> bit & 1
        ]

    @property
    def anchor_of(self):
        return self.__dict__.setdefault("_anchors", {})

    def remember_anchor(self):
        self.anchor_of[self.masked.phase] = self.record.anchor
        return self

    def bitmap(self, *names):
        return encode_bitmap([self.place(name) for name in names], len(self.masked.holders))

    def check(self, *validators, held=None, **fields):
        """Attest in CHECK or ATTEST what has a record, or what `held` names."""
        self.begin()
        source = Phase.SHARES if self.masked.phase == Phase.CHECK else Phase.SUBMIT
        places = self.masked.get_set(source)
        names = [n for n in self.agents if self.place(n) in places] if held is None else held
        values = {"task_id": 1, "round": self.number, "phase": self.masked.phase}
        values |= {"anchor": self.record.anchor, "bitmap": self.bitmap(*names)}
        for validator in validators or VALIDATORS:
            self.send(validator, calls.AttestRecords(**(values | fields)))
        return self

    def sign_attestation(self, name, bitmap):
        phase = self.masked.phase
        signed = hash_masked_attestation(self.key, phase, self.record.anchor, bitmap)
        return SignedAttestation(ADDRESSES[name], bitmap, self.sign(name, signed))

    def reach(self, phase, *, missing=()):
        """Open a round and bring it to the opening of a phase; `missing` maps phases to names."""
        if self.book.round.round == 0 or not masked_clock.is_masked(self.book):
            self.send("stranger", calls.OpenRound(1))
        missing = dict(missing)
        while self.masked.phase != phase:
            now = self.masked.phase
            if now in RECORDED:
                absent = {n for p in RECORDED if p <= now for n in missing.get(p, ())}
                self.post_all(*(n for n in self.agents if n not in absent))
            else:
                self.check()
            if self.masked.phase == now:
                self.time = self.masked.closes_at
                self.settle()
        return self.begin()

    def finish_masked(self):
        """Bring a round to the opening of PROPOSE."""
        self.reach(Phase.UNMASK).post_all()
        self.settle()
        return self
