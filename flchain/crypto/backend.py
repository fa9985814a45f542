"""The one switch between the fast libraries and the reference implementation."""

from enum import StrEnum


class Backend(StrEnum):
    """Whose arithmetic computes on a curve; equal inputs give equal results."""

    FAST = "fast"
    """`coincurve` and other compiled code: what every role uses."""
    REFERENCE = "py_ecc"
    """`py_ecc`: plain Python that is easy to read, tens of times slower."""
