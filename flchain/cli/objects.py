"""Objects of the user's own Python, named MODULE:OBJECT."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flchain.protocol.errors import ConfigError

if TYPE_CHECKING:
    from flchain.learning.task import LearningTask


def import_object(source: str, what: str) -> Any:
    """Return the object that `source` names, from the working folder or what is installed.

    Raises ConfigError if it is nowhere, or its module raises.
    """
    module, _, name = source.partition(":")
    if not module or not name:
        raise ConfigError(f"{what} {source!r} is not of the form MODULE:OBJECT")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{what} {source!r}: {type(error).__name__}: {error}") from error
    return found


def call_object(found: Any, source: str, what: str) -> Any:
    """Return what a function of the user gives; what it raises becomes a ConfigError."""
    try:
        return found()
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{what} {source!r}: {type(error).__name__}: {error}") from error


def load_task(source: str) -> "LearningTask":
    """Return the checked task that MODULE:OBJECT is or gives. Raises ConfigError."""
    from flchain.learning.task import LearningTask, check_task  # noqa: PLC0415 - loads NumPy

    found = import_object(source, "task")
    if callable(found) and not isinstance(found, LearningTask | type):
        found = call_object(found, source, "task")
    return call_object(lambda: check_task(found, source), source, "task")  # type: ignore[no-any-return]  # what check_task returns
