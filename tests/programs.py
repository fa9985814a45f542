"""Programs of the project as modules: running one in this process spares a new one its imports."""

import importlib.util
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[1] / "tools"


def run_check(name: str, monkeypatch) -> int:
    """Return the exit code of `tools/<name>.py --check`."""
    path = TOOLS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [str(path), "--check"])
    spec.loader.exec_module(module)
    return int(module.main())
