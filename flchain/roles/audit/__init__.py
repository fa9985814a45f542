"""The auditor: proves or refutes every round from chain and CIDs alone."""

from flchain.roles.audit.report import AuditReport, Check, Status
from flchain.roles.audit.verification import verify_task

__all__ = ["AuditReport", "Check", "Status", "verify_task"]
