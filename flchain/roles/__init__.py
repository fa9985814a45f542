"""Agent, orchestrator, validator and auditor: the only place where learning meets the ledger."""
