"""What the pages promise a newcomer: every command in them runs, or at least exists."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from flchain.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SMALL = "--dataset digits --agents 3 --validators 3 --rounds 2"
LIMIT = 150

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(600)]


def find_commands(page: Path) -> list[str]:
    """Return the command lines in a page's code blocks, without comments and output."""
    blocks = re.findall(
        r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    pattern = re.compile(r"(make|\.venv/bin/flchain|flchain|ape) [a-z]")
    return [line for line in lines if pattern.match(line)]


def find_unknown(words: list[str]) -> str:
    """Return the first word of a flchain command line that no command or option has."""
    command: click.Command = cli
    context = click.Context(command)
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(context, word)
            if found is None:
                return word
            command = found
        elif word.startswith("-"):
            known = {name for option in command.params for name in option.opts}
            if word.split("=")[0] not in known:
                return word
    return ""


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FLCHAIN_DATA_DIR": str(folder)}
    return subprocess.run(
        shlex.split(command),
        cwd=ROOT,
        env=environment,
        input="print(w3.is_connected())\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_readme__length__stays_below_the_limit() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < LIMIT


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page__flchain_commands__exist_with_their_options(page: Path) -> None:
    for line in find_commands(page):
        words = shlex.split(line)
        if words[0].endswith("flchain"):
            assert find_unknown(words[1:]) == "", line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page__make_targets__exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in find_commands(page):
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", makefile, re.MULTILINE), line


def test_readme__its_commands_one_after_another__all_succeed(tmp_path: Path) -> None:
    commands = find_commands(ROOT / "README.md")
    assert "make demo" in commands
    demo = run(f'make demo ARGS="{SMALL}"', tmp_path)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    for command in commands:
        if command.startswith(".venv/bin/flchain"):
            done = run(command.replace("model.safetensors", str(tmp_path / "m")), tmp_path)
            assert done.returncode == 0, command + done.stdout + done.stderr
    assert (tmp_path / "m").stat().st_size > 0
