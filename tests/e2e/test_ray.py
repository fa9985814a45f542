"""`flchain simulate --ray` with a real Ray, where it is installed."""

import importlib.util
import json

import pytest

from tests.e2e import cli

pytestmark = pytest.mark.timeout(300)

OPTIONS = (
    *("--dataset", "digits", "--rounds", "2", "--agents", "4", "--validators", "3"),
    *("--strategy", "scaffold"),
)


def simulate(folder, *options):
    """Run in a process of its own: Ray leaves sockets behind."""
    done = cli.run(folder, "simulate", *OPTIONS, "--summary", "summary.json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_simulate__on_ray__learns_the_same_as_without(tmp_path):
    alone, spread = simulate(tmp_path), simulate(tmp_path, "--ray")
    assert spread["final_state_digest"] == alone["final_state_digest"]


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_simulate__ray_is_missing__one_line_names_the_extra(tmp_path):
    done = cli.call(tmp_path, "simulate", *OPTIONS, "--ray")
    cli.check_one_line(done, 14)
    assert "pip install 'flchain[ray]'" in done.stderr


def test_simulate__ray_and_batched__is_refused(tmp_path):
    done = cli.call(tmp_path, "simulate", *OPTIONS, "--ray", "--batched")
    cli.check_one_line(done, 14)
