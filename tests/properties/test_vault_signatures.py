"""One journal never yields two signatures for one phase of a round, whatever happens to it."""

from collections import defaultdict
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.chain.memory import MemoryLedger, build_config
from flchain.crypto.signing import HALF_ORDER, LocalSigner, compact_signature, expand_signature
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.params import MINIMAL
from flchain.protocol.records import SignedRecord
from flchain.protocol.types import Phase, RoundId, TaskId
from flchain.roles.context import Context
from flchain.roles.journal import MemoryJournal
from flchain.roles.masked.offers import MAX_OFFER, Offer, decode_offer, encode_offer
from flchain.roles.masked.vault import _DOMAIN, KeptRecord, Vault
from flchain.storage.memory import make_memory_store

RECORDED = (Phase.JOIN, Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)
KEY = LocalSigner(b"\1" * 32)
LEDGER = MemoryLedger(build_config(MINIMAL.network, KEY.address), lambda: 0)
words = st.binary(min_size=32, max_size=32)


class Crash(Exception):
    """The process ends here."""


class FragileJournal(MemoryJournal):
    """A journal during whose next change the process may end, before or after it counts."""

    def __init__(self):
        super().__init__()
        self.crash = None

    def write(self, name, data):
        self._change(lambda: super(FragileJournal, self).write(name, data))

    def delete(self, name):
        self._change(lambda: super(FragileJournal, self).delete(name))

    def _change(self, apply):
        crash, self.crash = self.crash, None
        if crash == "before":
            raise Crash
        apply()
        if crash == "after":
            raise Crash


class SaltedSigner:
    """A signer that never signs alike twice, but for what the vault's key follows from."""

    def __init__(self, stable):
        self.stable = stable
        self.count = 0

    @property
    def address(self):
        return KEY.address

    def sign_digest(self, digest):
        if digest == self.stable:
            return KEY.sign_digest(digest)
        self.count += 1
        r = sha256(digest + self.count.to_bytes(4, "big")).digest()
        return r + bytes(32) + b"\x1b"


class Process:
    """An agent's vault in one process after another, over one journal."""

    def __init__(self):
        self.journal = FragileJournal()
        plain = Context("agent", LEDGER, make_memory_store(), KEY, TaskId(1))
        info = _DOMAIN + plain.get_round_key(RoundId(0))
        self.signer = SaltedSigner(sha256(info).digest())
        self.published = defaultdict(set)
        self.start()

    def start(self):
        context = Context(
            "agent", LEDGER, make_memory_store(), self.signer, TaskId(1), self.journal
        )
        self.vault = Vault(context, bytes)

    def publish(self, number, phase, anchor, digest):
        """Sign a record as an agent does, and remember what others may see."""
        if self.vault.get_record(number, phase) is None:
            if self.vault.is_closed(number):
                return
            self.vault.keep_record(number, phase, KeptRecord(anchor, digest, b"payload"))
        signed = self.vault.sign_record(number, phase)
        kept = self.vault.get_record(number, phase)
        self.published[number, phase].add((kept.anchor, signed))

    def end(self, number):
        self.vault.close(number)
        self.vault.wipe(number)


some_round = st.integers(1, 2).map(RoundId)
few = st.integers(0, 2).map(lambda number: bytes([number]) * 32)
steps = st.one_of(
    st.tuples(st.just("publish"), some_round, st.sampled_from(RECORDED[:2]), few, few),
    st.tuples(st.just("end"), some_round),
    st.tuples(st.just("start")),
    st.tuples(st.just("crash"), st.sampled_from(["before", "after"])),
)


@given(st.lists(steps, max_size=30))
def test_vault__any_crash_and_end_of_a_round__gives_one_signature_for_each_phase(story):
    process = Process()
    for name, *rest in story:
        if name == "crash":
            process.journal.crash = rest[0]
            continue
        try:
            getattr(process, name)(*rest)
        except Crash:
            process.start()
    assert all(len(seen) == 1 for seen in process.published.values())


def test_vault__second_record_of_a_phase__is_refused():
    process = Process()
    process.publish(1, Phase.SHARES, bytes(32), b"\1" * 32)
    with pytest.raises(ConfigError, match="already"):
        process.vault.keep_record(1, Phase.SHARES, KeptRecord(bytes(32), b"\2" * 32, b""))


def test_vault__record_lost_but_not_its_signature__gets_no_other():
    process = Process()
    process.publish(1, Phase.SHARES, bytes(32), b"\1" * 32)
    (name,) = [name for name in process.journal.names() if name.endswith("-shares")]
    process.journal.delete(name)
    with pytest.raises(ConfigError, match="already"):
        process.publish(1, Phase.SHARES, bytes(32), b"\2" * 32)


def test_vault__round_that_was_over__gets_no_secrets():
    process = Process()
    process.vault.begin(RoundId(2), 1)
    process.end(2)
    assert process.vault.get_secret(RoundId(2)) is None
    for number in (1, 2):
        with pytest.raises(ConfigError, match="was over"):
            process.vault.begin(RoundId(number), 1)
        with pytest.raises(ConfigError, match="was over"):
            process.vault.keep_record(number, Phase.JOIN, KeptRecord(bytes(32), bytes(32), b""))
    assert process.vault.begin(RoundId(3), 1).weight == 1
    process.end(1)
    assert process.vault.is_closed(2)
    assert process.vault.get_secret(RoundId(3)) is not None


def test_vault__no_record__signs_nothing():
    process = Process()
    with pytest.raises(ConfigError, match="has no record"):
        process.vault.sign_record(1, Phase.JOIN)
    assert process.signer.count == 0


@given(st.sampled_from(RECORDED), words, words, words, words)
def test_offer__any__reads_back(phase, anchor, digest, r, vs):
    offer = Offer(phase, anchor, SignedRecord(digest, r, vs))
    data = encode_offer(offer)
    assert len(data) <= MAX_OFFER
    assert decode_offer(data) == offer


@given(words, st.data())
def test_offer__altered_anywhere__is_refused_or_another(digest, data):
    offer = Offer(Phase.SHARES, bytes(32), SignedRecord(digest, bytes(32), bytes(32)))
    valid = encode_offer(offer)
    place = data.draw(st.integers(0, len(valid) - 1))
    altered = valid[:place] + data.draw(st.binary(max_size=2)) + valid[place + 1 :]
    try:
        found = decode_offer(altered)
    except EncodingError:
        return
    assert (found == offer) == (altered == valid)


@given(words)
def test_signature__compact__expands_to_itself(digest):
    signature = KEY.sign_digest(digest)
    assert expand_signature(*compact_signature(signature)) == signature
    assert int.from_bytes(signature[32:64], "big") <= HALF_ORDER
