"""Runs the command line as a user does: a real process, without a prepared environment."""

import contextlib
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from flchain.cli import main
from flchain.cli.failures import run_guarded
from flchain.crypto.keys import create_keystore

COMMAND = [sys.executable, "-m", "flchain.cli.main"]
ROOT = Path(__file__).resolve().parents[2]
BARE = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
"""No virtual environment, no node_modules: what a login shell has, and this copy of the code."""


def start(data_dir, *arguments, **options):
    """Start a command in a session of its own."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=data_dir,
        env={**BARE, "HOME": str(data_dir), "FLCHAIN_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def run(data_dir, *arguments, stdin="", environment=None):
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=data_dir,
        env={
            **BARE,
            "HOME": str(data_dir),
            "FLCHAIN_DATA_DIR": str(data_dir),
            **(environment or {}),
        },
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def call(data_dir, *arguments, stdin="", environment=None):
    """Run a command to its end in this process: the same, without a second of imports."""
    variables = {"FLCHAIN_DATA_DIR": str(data_dir), **BARE, **(environment or {})}
    output, errors = io.StringIO(), io.StringIO()
    with (
        replace_environment(variables),
        contextlib.chdir(data_dir),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        redirect_stdin(io.StringIO(stdin)),
    ):
        code = run_guarded(main.cli, arguments)
    return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


@contextlib.contextmanager
def replace_environment(variables):
    """Replace the whole environment for a while."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def redirect_stdin(stream):
    """Let `sys.stdin` be `stream` for a while."""
    before, sys.stdin = sys.stdin, stream
    try:
        yield
    finally:
        sys.stdin = before


def call_json(data_dir, *arguments):
    """Call a command that prints JSON; it must succeed."""
    done = call(data_dir, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_json(data_dir, *arguments):
    """Run a command that prints JSON; it must succeed."""
    done = run(data_dir, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def make_key(folder, name):
    """Make a key file, cheap to open, and the file with its password; return the address."""
    (folder / "password").write_text("correct horse\n")
    path = folder / f"{name}.json"
    return create_keystore(path, secrets.token_bytes(32), "correct horse", rounds=2)


def check_one_line(done, code):
    """The command failed with `code` and one line that is no traceback."""
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stdout + done.stderr


def find_processes(text):
    """Return the ids of processes whose command line holds `text`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if text in line and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def wait_until(is_true, timeout=60.0):
    """Wait for something to become true; return whether it did."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if is_true():
            return True
        time.sleep(0.05)
    return is_true()


def stop(process, signum=signal.SIGINT, timeout=60.0):
    """Send a signal to the process alone and return what it printed."""
    process.send_signal(signum)
    return process.communicate(timeout=timeout)
