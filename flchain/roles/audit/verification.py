"""`verify_task`: everything that can be known about a task without trusting anybody."""

from collections.abc import Collection

from flchain.chain.base import Ledger
from flchain.chain.rpc import Rpc
from flchain.protocol.errors import ConfigError, EncodingError, ProofError
from flchain.protocol.policy import decode_policy
from flchain.protocol.types import RoundId, TaskId
from flchain.roles.archive import Archive
from flchain.roles.audit.authenticity import ChainAudit, ProvenChain
from flchain.roles.audit.candour import audit_candour
from flchain.roles.audit.evidence import Evidence, gather_evidence
from flchain.roles.audit.readings import audit_readings
from flchain.roles.audit.reexecution import Progress, Reexecution, audit_rounds
from flchain.roles.audit.report import AuditReport, Findings
from flchain.roles.audit.storage import audit_code, audit_storage
from flchain.roles.terms import Terms, verify_terms
from flchain.storage.base import ContentStore
from flchain.storage.cid import cid_from_digest
from flchain.storage.errors import ContentUnavailable


def ignore_progress(label: str, done: int, total: int) -> None:
    """Show nothing."""


def verify_task(
    ledger: Ledger,
    store: ContentStore,
    task_id: TaskId,
    *,
    rpc: Rpc | None,
    first_block: int = 0,
    rounds: Collection[RoundId] | None = None,
    anchor: bytes | None = None,
    progress: Progress = ignore_progress,
) -> AuditReport:
    """Audit a task: the chain's authenticity, the rules, and every result.

    Of `ledger` only its identity is taken, if `rpc` is given; without it (a ledger in memory)
    the events are. `first_block` is where the deployment began or any earlier block, `rounds`
    those to execute again (None: all), `anchor` the hash of a block that is known to be real.
    What does not fit is in the report; raises AdapterError if node or store can't be reached
    and ConfigError if there is no such task or round.
    """
    findings = Findings()
    if rpc is None:
        findings.noted("chain", "this ledger lives in one process: there is no chain to prove")
        evidence = gather_evidence(ledger, task_id, ledger.get_events())
    else:
        chain = ChainAudit(rpc, ledger, task_id, first_block, anchor, findings, progress).prove()
        if chain is None:
            return AuditReport(tuple(findings.checks))
        evidence = gather_evidence(ledger, task_id, chain.events)
        _audit_state(rpc, chain, evidence, findings)
    _audit_results(evidence, store, findings, rounds, progress)
    return AuditReport(tuple(findings.checks))


def _audit_state(rpc: Rpc, chain: ProvenChain, evidence: Evidence, findings: Findings) -> None:
    """Compare the node's other answers with what is proven."""
    addresses = chain.replay.state.config.addresses
    audit_candour(rpc, addresses, chain.blocks, evidence.find_round, findings)
    audit_code(rpc, chain, findings)
    if chain.is_replayed:
        audit_readings(rpc, chain, evidence.task_id, findings)
        audit_storage(rpc, chain, evidence.task_id, findings)


def _audit_results(
    evidence: Evidence,
    store: ContentStore,
    findings: Findings,
    rounds: Collection[RoundId] | None,
    progress: Progress,
) -> None:
    chosen = evidence.past.rounds.keys() if rounds is None else rounds
    for number in chosen:
        if number not in evidence.past.rounds:
            raise ConfigError(f"task {evidence.task_id} has no round {number}")
    terms = _read_terms(evidence, store, findings)
    if terms is not None:
        audit = Reexecution(evidence, terms, Archive(store), findings, rounds is not None)
        audit_rounds(audit, chosen, progress)
    findings.noted(
        "quality", "votes on quality are judgements on private data: counted, not executed again"
    )


def _read_terms(evidence: Evidence, store: ContentStore, findings: Findings) -> Terms | None:
    """Return the policy behind the task's digest, checked against the task's numbers."""
    try:
        block = store.get_block(cid_from_digest(evidence.task.policy_digest))
        terms = Terms(evidence.task_id, evidence.task, decode_policy(block))
        verify_terms(terms)
    except (ContentUnavailable, EncodingError, ProofError, ConfigError) as error:
        findings.failed("policy", f"no round can be executed again: {error}")
        return None
    findings.passed("policy", f"{evidence.task.policy_digest.hex()}, equal to the task's numbers")
    return terms
