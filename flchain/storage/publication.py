"""Keeps remote places in step with a pin table: what is pinned here is pinned there.

A root is recorded before it is sent and confirmed after, so that a crash or a dead node leaves a
queue and no doubt. A pin that somebody else had made on a node is never removed.
"""

from collections.abc import Callable, Iterator, Sequence

from flchain.storage.base import Publisher
from flchain.storage.cid import Cid
from flchain.storage.pins import PinTable

OpenArchive = Callable[[], Iterator[bytes]]


class Publications:
    """The publishers of one store and what they have confirmed."""

    def __init__(self, table: PinTable, publishers: Sequence[Publisher]) -> None:
        """Use `table` for the queue; nothing is sent yet."""
        self._table = table
        self._publishers = publishers

    def publish(self, root: Cid, open_archive: OpenArchive) -> None:
        """Send the tree wherever it is not pinned yet; return when all confirm.

        The root stays in the queue when this raises.
        """
        if not self._publishers:
            return
        self._begin(root)
        for publisher in self._publishers:
            if not (self._is_confirmed(root) and publisher.is_pinned(root)):
                publisher.publish(root, open_archive)
        self._table.confirm_publication(root)

    def adopt(self, root: Cid) -> None:
        """Pin a tree that the publishers hold or find themselves."""
        self._begin(root)
        for publisher in self._publishers:
            publisher.pin(root)
        self._table.confirm_publication(root)

    def publish_pending(self, open_archive: Callable[[Cid], OpenArchive]) -> int:
        """Send what earlier calls could not; return how many roots are confirmed."""
        roots = self._table.get_unconfirmed()
        for root in roots:
            self.publish(root, open_archive(root))
        return len(roots)

    def retract(self, name: str) -> None:
        """Remove the remote pins of what only `name` keeps; call before unpinning."""
        for root in self._table.get_sole_cids(name):
            publication = self._table.get_publication(root)
            if publication and publication.is_foreign is False:
                for publisher in self._publishers:
                    publisher.retract(root)
            self._table.remove_publication(root)

    def _begin(self, root: Cid) -> None:
        """Queue a root and learn, before the first sending, whose pin is there."""
        self._table.add_publication(root)
        publication = self._table.get_publication(root)
        if publication and publication.is_foreign is None:
            is_foreign = any(publisher.is_pinned(root) for publisher in self._publishers)
            self._table.set_foreign(root, is_foreign=is_foreign)

    def _is_confirmed(self, root: Cid) -> bool:
        publication = self._table.get_publication(root)
        return publication is not None and publication.is_confirmed
