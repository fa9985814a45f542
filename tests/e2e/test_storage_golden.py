"""The published CIDs of files of a gibibyte, which take seconds each."""

import pytest

from flchain.storage.unixfs import build_blocks
from tests.unit.storage.keystream import LARGE, PROFILES, VECTORS, open_file

FILES = [
    pytest.param(vector, id=f"{vector['profile']}-{vector['size']}")
    for vector in VECTORS["files"]
    if vector.get("size", 0) >= LARGE
]


@pytest.mark.parametrize("vector", FILES)
def test_build_blocks__gibibyte__has_the_published_cid(vector):
    root = None
    for block in build_blocks(open_file(vector), PROFILES[vector["profile"]]):
        root = block.cid
    assert str(root) == vector["cid"]
