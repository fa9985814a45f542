"""`--ray`: what is asked of Ray, and what its failures become."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from flchain.cli.ray_pool import open_ray
from flchain.protocol.errors import AdapterError, ConfigError, EncodingError


class RayError(Exception):
    """Ray's own."""


class RayTaskError(RayError):
    """A function raised."""

    def __init__(self, cause):
        super().__init__("traceback\nof many lines")
        self.cause = cause


class FakeRay(ModuleType):
    """A Ray of this process; futures are what they will be."""

    def __init__(self, processors=3.0, refusal=None, failure=None):
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.processors, self.refusal, self.failure = processors, refusal, failure
        self.log = []

    def init(self, **options):
        self.log.append("init")
        if self.refusal:
            raise self.refusal

    def shutdown(self):
        self.log.append("shutdown")

    def cluster_resources(self):
        return {"CPU": self.processors}

    def put(self, value):
        return ("ref", value)

    def remote(self, function):
        def resolve(item):
            return item[1] if isinstance(item, tuple) and item[0] == "ref" else item

        return SimpleNamespace(remote=lambda *given: lambda: function(*map(resolve, given)))

    def get(self, future):
        if self.failure:
            raise self.failure
        try:
            return future()
        except Exception as error:
            raise RayTaskError(error) from error


@pytest.fixture
def install(monkeypatch):
    def install(ray):
        monkeypatch.setitem(sys.modules, "ray", ray)
        return ray

    return install


def test_pool__function_and_values__run_on_ray(install):
    ray = install(FakeRay())
    with open_ray() as pool:
        assert pool.size == 3
        assert pool.run(pow, pool.put(2), 5) == 32
    assert ray.log == ["init", "shutdown"]


def test_pool__fraction_of_a_processor__is_still_one(install):
    install(FakeRay(processors=0.5))
    with open_ray() as pool:
        assert pool.size == 1


def refuse():
    raise EncodingError("clean the data")


def test_pool__function_raises__its_own_error_comes_back(install):
    install(FakeRay())
    with open_ray() as pool, pytest.raises(EncodingError, match=r"^clean the data$"):
        pool.run(refuse)


def test_pool__ray_loses_the_process__one_line_that_says_so(install):
    ray = install(FakeRay(failure=RayError("the worker died\nand more")))
    with open_ray() as pool, pytest.raises(AdapterError) as error:
        pool.run(pow, 2, 5)
    assert str(error.value) == "Ray: the worker died; look into its logs"
    assert ray.log[-1] == "shutdown"


def test_pool__ray_does_not_start__says_so(install):
    ray = install(FakeRay(refusal=ConnectionError("no such address")))
    with (
        pytest.raises(AdapterError, match="cannot be started or reached: no such address"),
        open_ray(),
    ):
        pass
    assert ray.log == ["init"]


def test_pool__ray_is_missing__names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'flchain\[ray\]'"), open_ray():
        pass
