"""The order of the slowest modules: first, so that no worker is left with one at the end."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests of modules marked slow to the front; the others keep their order."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
