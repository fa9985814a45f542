"""The public surface is a list, and nothing else leaks."""

import subprocess
import sys

import pytest

import flchain

# Imported before the guard against sockets is up: urllib3 binds one to learn about IPv6.
FOUND = {name: getattr(flchain, name) for name in flchain.__all__}


@pytest.mark.parametrize("name", flchain.__all__)
def test_public_name__asked_for__is_there_under_that_name(name: str) -> None:
    assert FOUND[name].__name__ == name


def test_unknown_name__asked_for__is_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = flchain.nonsense


def test_import__in_a_new_process__loads_nothing_heavy() -> None:
    code = (
        "import sys, flchain; "
        "print(sorted({'numpy', 'torch', 'web3', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
