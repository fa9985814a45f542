import pytest

import flchain.storage.kubo  # noqa: F401 - its HTTP client binds a socket when first imported
from flchain.storage.disk import DiskStore
from flchain.storage.errors import StoreUnreachable, StoreUnusable
from flchain.storage.layered import LayeredStore
from flchain.storage.opening import open_store
from flchain.storage.remote import RemoteStore


def test_open_store__memory__keeps_content_for_the_process():
    store = open_store("memory:")
    cid = store.add(b"file", pin="x")
    assert store.read(cid, max_size=4) == b"file"
    store.close()


def test_open_store__file__keeps_content_in_the_folder(tmp_path):
    store = open_store(f"file:{tmp_path}/store", durable=False)
    cid = store.add(b"file", pin="x")
    store.close()
    again = open_store(f"file:{tmp_path}/store")
    assert isinstance(again, DiskStore)
    assert again.read(cid, max_size=4) == b"file"
    again.close()


def test_open_store__home_folder__is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store("file:~/ipfs").close()
    assert (tmp_path / "ipfs" / "blocks").is_dir()


def test_open_store__list__is_layered(tmp_path):
    store = open_store(f"file:{tmp_path}, gateway:http://127.0.0.1:1/prefix")
    assert isinstance(store, LayeredStore)
    cid = store.add(b"file", pin="x")
    assert store.read(cid, max_size=4) == b"file"
    store.close()


def test_open_store__kubo__keeps_names_in_the_folder(tmp_path):
    store = open_store("kubo:/ip4/127.0.0.1/tcp/5001", folder=tmp_path / "state")
    assert isinstance(store, RemoteStore)
    assert (tmp_path / "state" / "pins.sqlite").exists()
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:",
        "http://127.0.0.1:8080",
        "ipfs:x",
        "kubo:",
        "kubo:127.0.0.1:5001",
        "kubo:/ip4/300.0.0.1/tcp/5001",
        "gateway:",
        "gateway:127.0.0.1:8080",
        "gateway:ftp://127.0.0.1",
        "gateway:http://127.0.0.1:port",
        "gateway:http://127.0.0.1/?format=raw",
        "gateway:http://127.0.0.1:8080,memory:",
        "memory:,file:x",
        "memory:,",
    ],
)
def test_open_store__bad_address__is_one_clear_line(url):
    with pytest.raises(StoreUnusable) as caught:
        open_store(url)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 14


def test_errors__of_unreachable_places__say_whether_to_retry():
    assert StoreUnreachable("x", is_retryable=True).is_retryable
    assert StoreUnreachable("x").exit_code == 13
