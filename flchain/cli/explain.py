"""`flchain validator explain`: reports of validators, read from the store."""

from typing import Any

from flchain.cli.output import print_rows
from flchain.cli.session import open_session
from flchain.config import Settings
from flchain.protocol.errors import ConfigError
from flchain.protocol.types import RoundId
from flchain.roles.reports import read_reports
from flchain.storage.cid import Cid


def explain_round(settings: Settings, number: int, *, is_json: bool) -> None:
    """Print the reports of a round. Raises ConfigError if the store has none."""
    with open_session(settings) as session:
        task_id = session.get_task_id()
        found = list(read_reports(session.store, task_id, RoundId(number)))
    if not found:
        raise ConfigError(
            f"the store has no report of round {number}: ask a validator for its store, or name "
            "another with --store"
        )
    print_rows([build_row(cid, document) for cid, document in found], "reports", is_json=is_json)


def build_row(cid: Cid, document: dict[str, Any]) -> dict[str, Any]:
    """Return one report as a row; what does not fit a table is in the JSON."""
    quality, own = document["quality"], document["own"]
    same = [name for name, value in document["proposed"].items() if own.get(name) == value]
    return {
        "validator": document["validator"],
        "attempt": document["attempt"],
        "verdict": document["verdict"],
        "reason": document["reason"],
        "updates counted": sum(row[2] > 0 for row in document["updates"]),
        "_updates": document["updates"],
        "results equal": f"{len(same)}/{len(document['proposed'])}",
        "_own": own,
        "_proposed": document["proposed"],
        "accuracy before": quality.get("parent_bps", 0) / 10_000 if quality else None,
        "after": quality.get("candidate_bps", 0) / 10_000 if quality else None,
        "_tolerance_bps": quality.get("tolerance_bps"),
        "_execution_tag": document["execution_tag"],
        "_cid": str(cid),
    }
