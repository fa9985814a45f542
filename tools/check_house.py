"""Check the house rules that no linter knows; one line per finding."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_README_LINES = 149
FORBIDDEN_NAMES = {"common", "core", "helpers", "internal", "manager", "misc", "utils"}
FORBIDDEN_IMPORTS = {
    "ape": "Ape drives deployment scripts and tests; the package runs without it",
    "solcx": "the package runs without a compiler",
    "tests": "shipped code does not know its tests",
}
# Written apart so that this file does not report itself.
FORBIDDEN_TEXT = {
    "a path of one machine": re.compile(
        r"(?<![\w.$}~*/-])/(?:wor" + r"k|tmp|home|root|opt|Users)/\w"
    ),
    "a package index": re.compile(
        r"pypi\.or" + r"g|pythonhosted\.or" + r"g|registry\.npmj" + r"s|download\.pytorc" + r"h"
    ),
}
TEXT_EXEMPT = {"LICENSE"}


def get_tracked_files() -> list[str]:
    """Return the paths of tracked and of new, not ignored files."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({path for path in output.split("\0") if path and (ROOT / path).is_file()})


def get_text(path: str) -> str | None:
    """Return a file's text, or None for a binary one."""
    data = (ROOT / path).read_bytes()
    return None if b"\0" in data[:8192] else data.decode("utf-8", errors="replace")


def check_names(path: str) -> Iterator[str]:
    """Yield a finding when a folder or module has a name that says nothing."""
    for part in Path(path).with_suffix("").parts:
        if part in FORBIDDEN_NAMES:
            yield f"{path}: '{part}' is not a name; say what is in it"


def check_length(path: str, text: str, tree: ast.Module) -> Iterator[str]:
    """Yield findings for a module or a function beyond its ceiling."""
    # A test file is a list to look things up in, not a thing to hold in mind.
    is_test = path.startswith("tests/")
    if (lines := text.count("\n")) > MAX_MODULE_LINES and not is_test:
        yield f"{path}: {lines} lines > {MAX_MODULE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name}: {length} lines > {MAX_FUNCTION_LINES}"


def get_imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line numbers and top-level names of absolute imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


def check_imports(path: str, tree: ast.Module) -> Iterator[str]:
    """Yield findings for imports that shipped code must not make."""
    if path.startswith("flchain/"):
        for line, name in get_imports(tree):
            if name in FORBIDDEN_IMPORTS:
                yield f"{path}:{line}: imports {name}: {FORBIDDEN_IMPORTS[name]}"


def check_text(path: str, text: str) -> Iterator[str]:
    """Yield findings for text that belongs to one machine."""
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in FORBIDDEN_TEXT.items():
            if pattern.search(line):
                yield f"{path}:{number}: names {what}"


def check_file(path: str) -> Iterator[str]:
    """Yield every finding in one file."""
    yield from check_names(path)
    text = get_text(path)
    if text is None:
        return
    if path not in TEXT_EXEMPT:
        yield from check_text(path, text)
    if path.endswith(".py"):
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            yield f"{path}:{error.lineno}: {error.msg}"
            return
        yield from check_length(path, text, tree)
        yield from check_imports(path, tree)
    if path == "README.md" and text.count("\n") > MAX_README_LINES:
        yield f"README.md: more than {MAX_README_LINES} lines"


def main() -> int:
    """Print all findings; return 1 when there are any."""
    findings = [finding for path in get_tracked_files() for finding in check_file(path)]
    print("\n".join(findings) if findings else "house rules kept")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
