"""Federated learning that nobody has to trust.

These names are the public surface; everything else may change between versions. They are
imported when they are first used, so that `import flchain` loads neither NumPy nor web3.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "AdapterError": "protocol.errors",
    "Agent": "roles.agent",
    "AuditReport": "roles.audit",
    "ConfigError": "protocol.errors",
    "ContentStore": "storage.base",
    "Context": "roles.context",
    "Dataset": "learning.data",
    "EncodingError": "protocol.errors",
    "EthereumLedger": "chain.ethereum",
    "FlchainError": "protocol.errors",
    "Ledger": "chain.base",
    "MemoryLedger": "chain.memory",
    "Orchestrator": "roles.orchestrator",
    "Policy": "protocol.policy",
    "ProofError": "protocol.errors",
    "ProtocolError": "protocol.errors",
    "Strategy": "learning.strategies.base",
    "Terms": "roles.terms",
    "Trainer": "learning.training",
    "Upkeep": "roles.upkeep",
    "Validator": "roles.validator",
    "Watch": "roles.observation",
    "execute_round": "roles.execution",
    "load_policy_file": "protocol.policy",
    "load_preset": "learning.presets",
    "load_terms": "roles.terms",
    "open_store": "storage.opening",
    "verify_task": "roles.audit",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  # one list, so that a name can't be in one and not the other


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flchain' has no attribute {name!r}")
    return getattr(import_module(f"flchain.{_HOMES[name]}"), name)
