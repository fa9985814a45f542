"""The protocol's page says what the specification does."""

from tests.programs import run_check


def test_protocol_page__is_what_the_specification_gives(monkeypatch) -> None:
    assert run_check("write_protocol", monkeypatch) == 0
