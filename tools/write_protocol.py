"""Write docs/protocol.md from the executable specification.

Each call's rule is its docstring; its refusals are found by following the calls of its function
through the specification. `--check` compares instead of writing and exits 1 on a difference.
"""

import ast
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from flchain.chain.spec import (
    agents,
    models,
    proposals,
    rewards,
    rounds,
    settlement,
    signatures,
    state,
    tasks,
    token,
    transition,
    votes,
)
from flchain.protocol.reverts import REVERTS

TARGET = Path(__file__).parent.parent / "docs" / "protocol.md"
CHAPTERS: tuple[tuple[str, ModuleType], ...] = (
    ("Identities and stake", agents),
    ("Tasks and members", tasks),
    ("Opening, submitting, attesting", rounds),
    ("Proposing", proposals),
    ("Voting", votes),
    ("Settling", settlement),
    ("Budgets and rewards", rewards),
)
MODULES = (*(module for _, module in CHAPTERS), models, signatures, state, token)
INTRODUCTION = """\
# The protocol

Written from `flchain/chain/spec`, which is the protocol: the in-memory ledger runs it, and random
command sequences hold the deployed contracts against it. `tools/write_protocol.py` makes this page,
and a test fails when it is out of date.

A **round** goes OPEN, SUBMIT, ATTEST, PROPOSE, VOTE and ends FINALIZED, REJECTED_QUALITY or
ABORTED. JOIN, SHARES, CHECK and UNMASK belong to secure mode and SEAT to a drawn committee; their
windows are zero. With c seats and v validators, a vote needs q = floor(2c/3) + 1 of all seats, and
an update survives with h = floor(v/2) + 1 attestations: of all, never of those who came.
"""


def list_functions() -> dict[str, Callable[..., Any]]:
    """Return every function of the specification by qualified name."""
    return {
        f"{module.__name__}.{name}": function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
    }


def find_refusals(function: Callable[..., Any], known: dict[str, Callable[..., Any]]) -> set[str]:
    """Return the names of the errors that `function` may raise, itself or through others."""
    refusals: set[str] = set()
    waiting, seen = [function], set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for node in ast.walk(ast.parse(inspect.getsource(current))):
            if isinstance(node, ast.Name) and node.id in REVERTS:
                refusals.add(node.id)
            called = resolve(node, current, known)
            if called is not None:
                waiting.append(called)
    return refusals


def resolve(
    node: ast.AST, within: Callable[..., Any], known: dict[str, Callable[..., Any]]
) -> Callable[..., Any] | None:
    """Return the specification's function that a name or attribute refers to, if any."""
    scope = inspect.getmodule(within).__dict__
    value: Any = None
    if isinstance(node, ast.Name):
        value = scope.get(node.id)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        value = getattr(scope.get(node.value.id), node.attr, None)
    return value if value in known.values() else None


def write_call(name: str, function: Callable[..., Any], known: dict[str, Any]) -> str:
    """Return one call's section."""
    rule = inspect.getdoc(function) or ""
    refusals = ", ".join(f"`{error}`" for error in sorted(find_refusals(function, known)))
    return f"### {name}\n\n{rule}\n\nRefused with: {refusals or 'nothing'}.\n"


def write_chapter(title: str, module: ModuleType, known: dict[str, Any]) -> str:
    """Return one module's chapter: its docstring, then its calls."""
    calls = [
        write_call(kind.__name__, function, known)
        for kind, function in transition.PROCESSORS.items()
        if function.__module__ == module.__name__
    ]
    return "\n".join([f"## {title}\n", f"{inspect.getdoc(module)}\n", *calls])


def write_errors() -> str:
    """Return the table of every error with its docstring's first line."""
    rows = [
        f"| `{name}` | {(inspect.getdoc(error) or '').splitlines()[0]} |"
        for name, error in sorted(REVERTS.items())
    ]
    return "\n".join(["## Errors\n", "| error | when |", "|---|---|", *rows, ""])


def write_page() -> str:
    """Return the whole page."""
    known = list_functions()
    chapters = [write_chapter(title, module, known) for title, module in CHAPTERS]
    return "\n".join([INTRODUCTION, *chapters, write_errors()])


def main() -> int:
    """Write the page, or with `--check` compare it."""
    page = write_page()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text(encoding="utf-8") == page:
            return 0
        print("docs/protocol.md is out of date; run python tools/write_protocol.py")
        return 1
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
