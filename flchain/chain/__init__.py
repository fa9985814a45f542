"""The ledger port, its executable specification and its adapters."""
