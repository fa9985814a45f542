"""The exception tree. The branch says who must act.

    FlchainError
    ├── EncodingError    the bytes are wrong: whoever made them must make them again
    ├── ProofError       the mathematics is wrong: somebody cheated, or a store lost data
    ├── ProtocolError    the chain would revert: the caller broke a rule (one subclass per
    │                    Solidity error, in `flchain.protocol.reverts`)
    ├── AdapterError     the outside failed: `is_retryable` says whether waiting can help
    └── ConfigError      the operator must fix something: carries the process's exit code

Every class has an `exit_code`; the command line prints the message on one line and exits with it.
"""


class FlchainError(Exception):
    """Base of every error that flchain raises on purpose."""

    exit_code = 1


class EncodingError(FlchainError):
    """Bytes do not decode to what they should be. Exit code 10."""

    exit_code = 10


class ProofError(FlchainError):
    """A digest, signature, sum or root does not match. Exit code 11."""

    exit_code = 11


class ProtocolError(FlchainError):
    """The ledger refuses the call. Exit code 12."""

    exit_code = 12


class AdapterError(FlchainError):
    """A store, node or compiler outside this process failed. Exit code 13."""

    exit_code = 13

    def __init__(self, message: str, *, is_retryable: bool = False) -> None:
        """Record the message and whether the same call may succeed later."""
        super().__init__(message)
        self.is_retryable = is_retryable


class ConfigError(FlchainError):
    """The operator must change the set-up. Exit code 14 unless stated."""

    exit_code = 14
