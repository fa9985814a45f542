"""Hypothesis profiles and the guard that keeps pure tests off the network."""

import os
import signal
import socket

import pytest
from hypothesis import settings

# A shell ignores SIGINT for what it starts in the background, and children inherit that: then a
# test that interrupts one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: two workers share two cores with whatever else runs, and a slow example is no bug.
settings.register_profile("dev", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=25, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture
def no_sockets(monkeypatch):
    """Fail a test that opens a connection, listens or resolves a name."""

    def refuse(*_args, **_kwargs):
        pytest.fail("a pure test opened a socket: use the port's memory adapter")

    for name in ("bind", "connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
