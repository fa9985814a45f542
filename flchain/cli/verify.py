"""`flchain verify`: proof or refutation of what the chain recorded."""

from typing import TYPE_CHECKING, Any

import click

from flchain.cli.numbers import ROUNDS
from flchain.cli.options import with_settings
from flchain.config import Settings

if TYPE_CHECKING:
    from flchain.cli.session import Session
    from flchain.roles.audit import AuditReport


@click.command()
@click.option("--all", "is_all", is_flag=True, help="Every round (the default).")
@click.option("--round", "numbers", type=ROUNDS, multiple=True, help="Only this round; repeatable.")
@click.option("--anchor", metavar="HASH", help="Hash of a block that you know to be real.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Leave out the checks that passed.")
@with_settings("chain", "store", "task")
def verify(
    settings: Settings,
    numbers: tuple[int, ...],
    anchor: str | None,
    *,
    is_all: bool,
    is_json: bool,
    quiet: bool,
) -> int:
    """Prove or refute results from chain and content alone.

    Exits with 11 and names round, object and difference if something does not fit.
    """
    if is_all and numbers:
        raise click.UsageError("--all and --round exclude each other")
    from flchain.cli.session import open_session  # noqa: PLC0415 - web3 takes a second

    block_hash = None if anchor is None else _decode_hash(anchor)
    with open_session(settings) as session:
        report = _audit(session, numbers, block_hash, is_quiet=is_json)
    print_report(report, is_json=is_json, is_verbose=not quiet)
    return get_exit_code(report)


def get_exit_code(report: "AuditReport") -> int:
    """Return 0 if everything fits, else the code of a proof that fails."""
    from flchain.protocol.errors import ProofError  # noqa: PLC0415

    return 0 if report.is_sound else ProofError.exit_code


def print_report(report: "AuditReport", *, is_json: bool, is_verbose: bool) -> None:
    """Print what was checked, and the verdict in the last line."""
    from flchain.roles.audit import Status  # noqa: PLC0415

    if is_json:
        _print_json(report)
        return
    for check in report.checks:
        if is_verbose or check.status is not Status.PASSED:
            click.echo(str(check))
    passed = [check for check in report.checks if check.status is Status.PASSED]
    rounds = {check.round for check in passed if check.round is not None}
    counts = f"{len(passed)} checks passed in {len(rounds)} rounds"
    verdict = "sound" if report.is_sound else f"NOT sound: {len(report.failures)} failed"
    click.echo(f"{verdict}: {counts}")


def _print_json(report: "AuditReport") -> None:
    import json  # noqa: PLC0415

    checks = [
        {
            "status": check.status.value,
            "round": None if check.round is None else int(check.round),
            "subject": check.subject,
            "detail": check.detail,
        }
        for check in report.checks
    ]
    click.echo(json.dumps({"is_sound": report.is_sound, "checks": checks}, indent=2))


def _audit(
    session: "Session", numbers: tuple[int, ...], anchor: bytes | None, *, is_quiet: bool
) -> "AuditReport":
    from flchain.chain.rpc import HttpRpc  # noqa: PLC0415
    from flchain.protocol.types import RoundId  # noqa: PLC0415
    from flchain.roles.audit import verify_task  # noqa: PLC0415

    with _show_progress(is_quiet=is_quiet) as progress:
        return verify_task(
            session.ledger,
            session.store,
            session.get_task_id(),
            rpc=HttpRpc(session.rpc_url),
            first_block=session.book.first_block,
            rounds=[RoundId(number) for number in numbers] or None,
            anchor=anchor,
            progress=progress,
        )


def _show_progress(*, is_quiet: bool) -> Any:
    from flchain.cli.screen import show_progress  # noqa: PLC0415

    return show_progress(is_quiet=is_quiet)


def _decode_hash(text: str) -> bytes:
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != 32:  # noqa: PLR2004 - bytes of a hash
        raise click.BadParameter("64 hex digits are needed", param_hint="--anchor")
    return data
