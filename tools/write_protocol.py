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
    committees,
    draw_keys,
    draws,
    evidence,
    keys,
    masked_checks,
    masked_clock,
    masked_penalties,
    masked_records,
    masked_settlement,
    models,
    penalties,
    proposals,
    rewards,
    rounds,
    seeds,
    settlement,
    signatures,
    state,
    tasks,
    token,
    transition,
    votes,
)
from flchain.crypto import vrf_hints
from flchain.protocol.reverts import REVERTS

TARGET = Path(__file__).parent.parent / "docs" / "protocol.md"
CHAPTERS: tuple[tuple[str, ModuleType], ...] = (
    ("Identities and stake", agents),
    ("VRF keys", keys),
    ("Tasks and members", tasks),
    ("Opening, submitting, attesting", rounds),
    ("Secure mode: records", masked_records),
    ("Secure mode: complaints and attestations", masked_checks),
    ("Secure mode: penalties", masked_penalties),
    ("Proposing", proposals),
    ("Seeds", seeds),
    ("Draws", draws),
    ("Voting", votes),
    ("Settling", settlement),
    ("Evidence", evidence),
    ("Budgets and rewards", rewards),
)
ELSEWHERE = (
    *(committees, draw_keys, masked_clock, masked_settlement, models, penalties),
    *(signatures, state, token, vrf_hints),
)
MODULES = (*(module for _, module in CHAPTERS), *ELSEWHERE)
INTRODUCTION = """\
# The protocol

Written from `flchain/chain/spec`, which is the protocol: the in-memory ledger runs it, and random
command sequences hold the deployed contracts against it. `tools/write_protocol.py` makes this page,
and a test fails when it is out of date.

A **round** goes OPEN, SUBMIT, ATTEST, PROPOSE, SEAT, VOTE and ends FINALIZED, REJECTED_QUALITY or
ABORTED. In secure mode it goes OPEN, JOIN, SHARES, CHECK, SUBMIT, ATTEST, UNMASK, PROPOSE and on;
[secure_mode.md](secure_mode.md) explains that part. SEAT has no length where no committee is drawn
and every active validator sits. With c seats and v validators, a vote
needs q = floor(2c/3) + 1 of all seats, and an update survives with h = floor(v/2) + 1 attestations:
of all, never of those who came. [committee.md](committee.md) says why nobody can choose who sits.
"""


def list_functions() -> dict[str, Callable[..., Any]]:
    """Return every function of the specification by qualified name."""
    return {
        f"{module.__name__}.{name}": function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
    }


def find_refusals(
    function: Callable[..., Any],
    known: dict[str, Callable[..., Any]],
    seen: frozenset[Callable[..., Any]] = frozenset(),
) -> set[str]:
    """Return the names of the errors that `function` may raise, itself or through others.

    What a function catches from others by name is not among them.
    """
    if function in seen:
        return set()
    own: set[str] = set()
    others: set[str] = set()
    tree = ast.parse(inspect.getsource(function))
    caught = find_caught(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in REVERTS and node.id not in caught:
            own.add(node.id)
        called = resolve(node, function, known)
        if called is not None:
            others |= find_refusals(called, known, seen | {function})
    return own | (others - caught)


def find_caught(tree: ast.AST) -> set[str]:
    """Return the names of the errors for which a function has a handler."""
    handlers = [node.type for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    return {name.id for name in handlers if isinstance(name, ast.Name)}


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
