"""`--ray`: Ray's processors as the pool in which simulated agents train.

Ray finds or starts the processes; `RAY_ADDRESS` names a cluster, whose nodes need flchain too.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from flchain.protocol.errors import AdapterError, ConfigError
from flchain.roles.scaling import Pool


class RayPool:
    """The processors that Ray has."""

    def __init__(self, ray: Any) -> None:
        """Use a Ray that is connected."""
        self._ray = ray
        self._call = ray.remote(_call)
        self._size = max(1, int(ray.cluster_resources().get("CPU", 1)))

    @property
    def size(self) -> int:
        """How many functions run at a time."""
        return self._size

    def put(self, value: Any) -> Any:
        """Put a value into Ray's store."""
        return self._ray.put(value)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function on some processor. Raises AdapterError if Ray itself fails."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(self._call.remote(function, *arguments))
        except errors.RayTaskError as error:
            raise error.cause from error
        except errors.RayError as error:
            line = str(error).strip().splitlines()[0]
            raise AdapterError(f"Ray: {line}; look into its logs") from error


@contextmanager
def open_ray() -> Iterator[Pool]:
    """Connect to Ray, or start it on this machine; end what was started.

    Raises ConfigError if it is missing and AdapterError if it cannot be reached.
    """
    ray = _load_ray()
    try:
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        raise AdapterError(f"Ray cannot be started or reached: {error}") from error
    try:
        yield RayPool(ray)
    finally:
        ray.shutdown()


def _load_ray() -> Any:
    # Ray would send figures about its use to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError("--ray needs Ray: pip install 'flchain[ray]'") from error


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)
