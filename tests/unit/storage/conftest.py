import pytest

from flchain.storage.base import ContentStore
from flchain.storage.disk import DiskStore
from flchain.storage.layered import LayeredStore
from flchain.storage.memory import MemoryNode, make_memory_store
from flchain.storage.pins import PinTable
from flchain.storage.remote import RemoteStore


def make_store(kind, folder) -> ContentStore:
    if kind == "memory":
        return make_memory_store()
    if kind == "disk":
        return DiskStore(folder / "store", durable=False)
    node = MemoryNode()
    if kind == "layered":
        return LayeredStore(make_memory_store(), [node], [node])
    return RemoteStore(node, PinTable(None))


@pytest.fixture(params=["memory", "disk", "layered", "remote"])
def store(request, tmp_path):
    """Every kind of content store that can be written to."""
    opened = make_store(request.param, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def disk(tmp_path):
    opened = DiskStore(tmp_path / "store", durable=False)
    yield opened
    opened.close()
