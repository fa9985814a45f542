"""What the commands of members hand on."""

import pytest
from click.testing import CliRunner

from flchain.cli import member


class FakeNodes:
    """Remembers with which options a role was started."""

    def __init__(self):
        self.options = None

    def run_agent(self, _settings, **options):
        self.options = options


@pytest.mark.parametrize(("flags", "is_relayed"), [((), False), (("--relayed",), True)])
def test_agent_run__relayed__is_handed_on(monkeypatch, flags, is_relayed):
    nodes = FakeNodes()
    monkeypatch.setattr(member, "_nodes", lambda: nodes)
    line = ["run", "--data", "digits", *flags]
    result = CliRunner().invoke(member.agent, line, obj={})
    assert result.exit_code == 0, result.output
    assert nodes.options["is_relayed"] is is_relayed
