"""Rounds in secure mode with a hundred agents: records are direct, relayed or forged.

A first round that is not measured fills what later ones write again.
"""

from dataclasses import replace

from flchain.chain.contracts import encode_call
from flchain.crypto.merkle import compute_listed_proof
from flchain.crypto.signing import compact_signature
from flchain.protocol import calls as c
from flchain.protocol.digests import WORD, encode_bitmap, pack_bits, record_leaf
from flchain.protocol.eip712 import hash_masked_attestation, hash_record
from flchain.protocol.records import AnchoredRecord, SignedAttestation, SignedRecord
from flchain.protocol.types import Mode, Outcome, Phase, Seconds, Verdict, Wei
from tests.e2e.gas_chain import NETWORK, WINDOW, build_task, hash_text
from tests.e2e.gas_scenes import Federation

AGENTS = 100
FORCED = Seconds(60)
SELECTOR, WORD_SIZE = 4, 32
MOST_ZEROS = 8
"""A random word has no more zero bytes; what is no hash has more."""
ZERO_DISCOUNT = 12
"""Gas by which a zero byte of calldata is cheaper than any other."""
RECORDED = (Phase.JOIN, Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)


def compute_discount(data):
    """Return what zero bytes in random words of calldata save.

    Anchors hold a block's hash, which is another in every run, and so do signatures.
    """
    words = [data[start : start + WORD_SIZE] for start in range(SELECTOR, len(data), WORD_SIZE)]
    zeros = [word.count(0) for word in words if word.count(0) <= MOST_ZEROS]
    return ZERO_DISCOUNT * sum(zeros)


def build_secure_task(orchestrator):
    return replace(
        build_task(orchestrator, agents=AGENTS, survivors=10),
        mode=Mode.SECURE,
        threshold=5,
        max_corrupt=4,
        w_max=64,
        privacy_rounds=1_000,
        forced_window=FORCED,
        **{f"{name}_window": WINDOW for name in ("join", "shares", "check", "unmask")},
    )


class MaskedFederation(Federation):
    """A hundred agents, and what they do in the masked part of a round."""

    def __init__(self, chain):
        super().__init__(chain, agents=AGENTS)

    @property
    def seen(self):
        return self.ledger.get_masked(self.task_id)

    def sign_masked(self, signer, struct_hash):
        return self.chain.sign(signer, struct_hash, self.ledger.addresses.masked_rounds)

    def send(self, call, label=None, signer=None):
        """Send a call and keep its gas under its label, but in the first round."""
        receipt = self.chain.send(call, signer or self.chain.sponsor)
        if label is not None and self.number > 1:
            gas, known = receipt.gas_used + compute_discount(encode_call(call)), self.chain.gas
            known[label] = max(known.get(label, 0), gas)
        return receipt

    def settle(self, label=None):
        self.send(c.Settle(self.task_id), label)

    def make_digest(self, place, phase):
        return hash_text(f"{self.number} {place} {phase}")

    def post(self, place, label=None):
        seen = self.seen
        digest = self.make_digest(place, seen.phase)
        call = c.PostRecord(self.task_id, self.number, seen.phase, seen.anchor, digest)
        return self.send(call, label, self.agents[place])

    @property
    def phase_name(self):
        return self.seen.phase.name.lower()

    def post_all(self, *, is_measured=False):
        """Post for every agent; the first pins the anchor, the last closes the phase."""
        name = f"postRecord: {self.phase_name}"
        for place in range(AGENTS):
            kind = {0: ", first", AGENTS - 1: ", last of all"}.get(place, "")
            self.post(place, name + kind if is_measured else None)

    def sign_record(self, place, seen, digest=None, signer=None):
        digest = digest or self.make_digest(place, seen.phase)
        struct_hash = hash_record(self.key, seen.phase, seen.anchor, digest)
        signature = self.sign_masked(signer or self.agents[place], struct_hash)
        return SignedRecord(digest, *compact_signature(signature))

    def relay(self, label=None, *, count=AGENTS, forged=()):
        """Relay for so many agents; those of `forged` did not sign."""
        seen, stranger = self.seen, self.validators[0]
        records = tuple(
            self.sign_record(place, seen, signer=stranger if place in forged else None)
            for place in range(count)
        )
        places = pack_bits(range(count), AGENTS, WORD)
        call = c.RelayRecords(self.task_id, self.number, seen.phase, seen.anchor, places, records)
        self.send(call, label, self.proposers[0])
        return call

    def void(self, call, place, label):
        leaves = [record_leaf(call.anchor, one, record) for one, record in enumerate(call.records)]
        proof = compute_listed_proof(leaves, place)
        record, batch = call.records[place], self.seen.batches - 1
        void = c.VoidRecord(self.task_id, self.number, batch, call.anchor, place, record, proof)
        self.send(void, label, self.agents[0])
        # Without what the relayer has lost it may not relay again.
        self.send(c.IncreaseStake(Wei(NETWORK.validator_stake // 2)), None, self.proposers[0])

    def attest_records(self, *, is_measured=False):
        """Attest everything with every validator, the last of whom closes the phase."""
        seen, bitmap = self.seen, encode_bitmap(range(AGENTS), AGENTS)
        name = f"attestRecords: {self.phase_name}"
        call = c.AttestRecords(self.task_id, self.number, seen.phase, seen.anchor, bitmap)
        kinds = {0: ", first", len(self.validators) - 1: ", last of all"}
        for place, signer in enumerate(self.validators):
            self.send(call, name + kinds.get(place, "") if is_measured else None, signer)

    def bundle_records(self, label=None):
        seen, bitmap = self.seen, encode_bitmap(range(AGENTS), AGENTS)
        text = hash_masked_attestation(self.key, seen.phase, seen.anchor, bitmap)
        signed = tuple(
            SignedAttestation(signer.address, bitmap, self.sign_masked(signer, text))
            for signer in self.validators
        )
        call = c.AttestRecordsBundle(self.task_id, self.number, seen.phase, seen.anchor, signed)
        self.send(call, label)

    def close_relayed(self, *, is_attested=True):
        """Close a phase whose records were relayed, and the attestations that follow it."""
        phase = self.seen.phase
        self.chain.wait(FORCED)
        self.settle("settle: masked part over" if phase == Phase.UNMASK else "settle: masked phase")
        if phase in {Phase.SHARES, Phase.SUBMIT} and is_attested:
            self.chain.wait(FORCED)
            self.bundle_records(f"attestRecordsBundle: five, {self.phase_name}")

    def complain(self, label=None):
        call = c.Complain(self.task_id, self.number, self.seen.anchor, 1, hash_text("evidence"))
        self.send(call, label, self.agents[0])

    def finish(self):
        """Propose, vote and settle as in plain mode."""
        self.propose()
        self.vote(self.build_vote(Verdict.APPROVE))
        self.settle()


def play_first_round(fed):
    """Let agents join, which gives them places, and relay what follows."""
    fed.open()
    fed.post_all()
    fed.relay()
    fed.chain.wait(FORCED)
    fed.settle()
    fed.complain()
    fed.chain.wait(FORCED)
    fed.attest_records()
    for _ in (Phase.SUBMIT, Phase.UNMASK):
        fed.relay()
        fed.close_relayed()
    fed.finish()


def play_direct_round(fed):
    fed.open("openRound: secure")
    fed.post_all(is_measured=True)
    fed.post_all(is_measured=True)
    fed.complain("complain")
    fed.chain.wait(FORCED)
    fed.attest_records(is_measured=True)
    fed.post_all(is_measured=True)
    fed.attest_records(is_measured=True)
    fed.post_all(is_measured=True)
    fed.settle("settle: masked part over")
    complaint = c.PunishComplaint(fed.task_id, fed.number, 0, 1)
    fed.send(complaint, "punishComplaint")
    fed.finish()
    assert fed.ledger.get_round(fed.task_id).outcome is Outcome.FINALIZED


def play_relayed_round(fed):
    fed.open()
    call = c.PinAnchor(fed.task_id)
    for phase in RECORDED:
        assert fed.seen.phase == phase
        if phase == Phase.SUBMIT:
            fed.send(call, "pinAnchor")
        fed.relay(f"relayRecords: 100, {fed.phase_name}")
        fed.close_relayed()
    fed.finish()


def play_voided_round(fed):
    """Let a relayer forge one of a hundred records in each phase; the agent posts its own."""
    fed.open()
    for _ in RECORDED:
        name = fed.phase_name
        call = fed.relay(forged=(7,))
        fed.void(call, 7, f"voidRecord: {name}")
        fed.post(7, f"postRecord: {name}, after a batch")
        fed.close_relayed()
    fed.finish()


def play_late_round(fed):
    """Let a forged submission be found when it is too late for the agent's own."""
    fed.open()
    for _ in (Phase.JOIN, Phase.SHARES):
        fed.relay()
        fed.close_relayed()
    call = fed.relay(forged=(7,))
    fed.close_relayed(is_attested=False)
    fed.void(call, 7, "voidRecord: submit, in attest")
    fed.chain.wait(WINDOW)
    fed.settle("settle: masked, aborted")
    assert fed.ledger.get_round(fed.task_id).outcome is Outcome.ABORTED_NO_ATTESTERS


def play_missing_round(fed):
    """Let agents miss their step, and one sign two records."""
    fed.open()
    fed.post_all()
    fed.relay("relayRecords: 50, shares", count=50)
    fed.chain.wait(WINDOW)
    fed.settle()
    places = tuple(range(60, 92))
    missing = c.PunishMissing(fed.task_id, fed.number, Phase.SHARES, places)
    fed.send(replace(missing, places=(50,)), "punishMissing: one")
    fed.send(missing, "punishMissing: 32")
    report(fed)
    fed.chain.wait(WINDOW)
    fed.settle("settle: masked, aborted")
    assert fed.ledger.get_round(fed.task_id).outcome is Outcome.ABORTED_NO_ATTESTERS


def report(fed):
    """Show two records that one agent signed for SHARES."""
    seen = replace(fed.seen, phase=Phase.SHARES)
    pair = [fed.sign_record(3, seen, digest=hash_text(text)) for text in ("one", "another")]
    first, second = (AnchoredRecord(seen.anchor, one.digest, one.r, one.vs) for one in pair)
    agent = fed.agents[3].address
    call = c.ReportEquivocation(fed.task_id, fed.number, seen.phase, agent, first, second)
    fed.send(call, "reportEquivocation")


def measure_masked(chain):
    """Play everything and return the gas of every action in secure mode by label."""
    fed = MaskedFederation(chain)
    fed.found(build_secure_task(fed.proposers[0].address))
    play_first_round(fed)
    play_direct_round(fed)
    play_relayed_round(fed)
    play_voided_round(fed)
    play_late_round(fed)
    play_missing_round(fed)
    return {label: gas for label, gas in chain.gas.items() if not label.startswith("endorse")}
