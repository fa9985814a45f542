import pytest


@pytest.fixture(autouse=True)
def _pure(no_sockets):
    """Close the network to every test in this folder."""
