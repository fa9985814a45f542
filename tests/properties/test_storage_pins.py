"""A store under random commands keeps what is pinned and drops what is not."""

import io

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flchain.storage.local import LocalStore
from flchain.storage.memory import MemoryBlocks
from flchain.storage.pins import PinTable
from flchain.storage.unixfs import build_blocks

MIB = 1 << 20
# Small files, and large ones that share a chunk.
CONTENTS = [b"", b"a", b"b", bytes(MIB) + b"tail", bytes(MIB), bytes(2 * MIB)]
contents = st.sampled_from(range(len(CONTENTS)))
names = st.sampled_from(["one", "two", "three"])
CIDS = [list(build_blocks(io.BytesIO(content)))[-1].cid for content in CONTENTS]
MIN_AGE = 10


class PinnedContent(RuleBasedStateMachine):
    """Model: which names hold which contents, and when each was last added."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.store = LocalStore(MemoryBlocks(lambda: self.now), PinTable(None))
        self.pins = set()
        self.added = {}

    def teardown(self):
        self.store.close()

    @rule(content=contents, name=names)
    def add(self, content, name):
        assert self.store.add(CONTENTS[content], pin=name) == CIDS[content]
        self.pins.add((name, content))
        self.added[content] = self.now

    @rule(content=contents, name=names)
    def pin(self, content, name):
        if self.store.has(CIDS[content]):
            self.store.pin(CIDS[content], name)
            self.pins.add((name, content))

    @rule(name=names)
    def unpin(self, name):
        self.store.unpin(name)
        self.pins = {pin for pin in self.pins if pin[0] != name}

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def collect(self):
        self.store.gc(min_age=MIN_AGE, now=self.now)
        for content, cid in enumerate(CIDS):
            if all(pinned != content for _, pinned in self.pins):
                is_young = self.now - self.added.get(content, -MIN_AGE) < MIN_AGE
                if is_young:
                    assert self.store.has(cid)

    @rule()
    def collect_everything(self):
        self.store.gc(min_age=0, now=self.now)
        pinned = {content for _, content in self.pins}
        self.added = {content: at for content, at in self.added.items() if content in pinned}
        wanted = {
            block.cid.digest
            for content in pinned
            for block in build_blocks(io.BytesIO(CONTENTS[content]))
        }
        assert {block.digest for block in self.store.blocks.iterate()} == wanted

    @invariant()
    def pinned_content_is_readable(self):
        for _, content in self.pins:
            assert self.store.has(CIDS[content])
        assert {(pin.name, pin.cid) for pin in self.store.pins()} == {
            (name, CIDS[content]) for name, content in self.pins
        }


TestPinnedContent = PinnedContent.TestCase
TestPinnedContent.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
