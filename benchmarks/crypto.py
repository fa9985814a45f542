"""Milliseconds of commitments, proofs and the VRF: the fast backend beside py_ecc.

Both do the same work on the same input and are timed in turn; each figure is the median of five
batches. The same operations on Python's integers alone show what is left without gmpy2.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

from table import Row, write_results

from flchain.crypto import vrf
from flchain.crypto.backend import Backend
from flchain.crypto.bn254 import GENERATOR, derive_generator
from flchain.crypto.bn254_backends import BackendName, get_backend
from flchain.crypto.commitments import (
    BN254_KEY,
    Opening,
    commit,
    commit_vector,
    derive_vector_key,
    verify_opening,
)
from flchain.crypto.curves import get_secp256k1
from flchain.crypto.groups import Group
from flchain.crypto.sigma import linear, ranges
from flchain.crypto.sigma.claims import (
    Claim,
    EqualLogarithms,
    EqualValues,
    KnownLogarithm,
    KnownOpening,
)
from flchain.crypto.sigma.ranges import CommittedRange
from flchain.crypto.sigma.statements import Context
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST

BATCHES = 5
CONTEXT = Context(chain_id=31337, contract=ZERO_ADDRESS, round_key=ZERO_DIGEST, agent=ZERO_ADDRESS)
RANDOMNESS = bytes(range(32))
VALUE = 200
BLINDING, OTHER_BLINDING = 3**150, 5**100
OPENING = Opening(VALUE, BLINDING)
MAX_WEIGHT = 255
VECTOR = 64
SECRET, MESSAGE = bytes(range(1, 33)), bytes(32)
SUITES: dict[BackendName, vrf.Suite] = {
    "fast": vrf.SECP256K1_TAI,
    "py_ecc": replace(vrf.SECP256K1_TAI, curve=get_secp256k1(Backend.REFERENCE)),
}
LABELS: dict[BackendName, str] = {"fast": "", "pure": ", without gmpy2"}


@dataclass(frozen=True)
class Operation:
    """The same work by each of `backends`, one of which is py_ecc: a line for each other one."""

    what: str
    run: Callable[[BackendName], object]
    backends: tuple[BackendName, ...] = ("fast", "pure", "py_ecc")


def build_operations() -> Iterable[Operation]:
    """Yield every operation that is measured; another protocol's are one more `yield from`."""
    yield from build_group_operations()
    yield from build_commitment_operations()
    yield from build_linear_operations()
    yield from build_range_operations()
    yield from build_vrf_operations()


def build_group_operations() -> Iterable[Operation]:
    """Yield the products that everything else is made of."""
    point = derive_generator("benchmark")
    points = [derive_generator(f"benchmark/{place}") for place in range(VECTOR)]
    scalars = [pow(3, 160 + place, get_backend().order) for place in range(VECTOR)]
    yield Operation(
        "product, fixed base", lambda name: get_backend(name).multiply(GENERATOR, 3**160)
    )
    yield Operation("product, any base", lambda name: get_backend(name).multiply(point, 3**160))
    yield Operation(
        f"sum of {VECTOR} products", lambda name: get_backend(name).sum_products(points, scalars)
    )


def build_commitment_operations() -> Iterable[Operation]:
    """Yield committing and opening."""
    commitment = commit(get_backend(), BN254_KEY, OPENING)
    key, values = derive_vector_key(VECTOR), [pow(7, 100, 2**32)] * VECTOR
    yield Operation(
        "Pedersen, commit to a weight", lambda name: commit(get_backend(name), BN254_KEY, OPENING)
    )
    yield Operation(
        "Pedersen, verify an opening",
        lambda name: verify_opening(get_backend(name), BN254_KEY, commitment, OPENING),
    )
    yield Operation(
        f"Pedersen, commit to {VECTOR} 32-bit values",
        lambda name: commit_vector(get_backend(name), key, values, BLINDING),
    )


def build_linear_operations() -> Iterable[Operation]:
    """Yield proving and verifying for each claim about logarithms."""
    group = get_backend()
    other_base = derive_generator("benchmark")
    first = commit(group, BN254_KEY, OPENING)
    second = commit(group, BN254_KEY, Opening(VALUE, OTHER_BLINDING))
    key, other = group.multiply(GENERATOR, BLINDING), group.multiply(other_base, BLINDING)
    yield from build_claim(group, "Schnorr", KnownLogarithm(GENERATOR, key), (BLINDING,))
    yield from build_claim(group, "opening", KnownOpening(BN254_KEY, first), (VALUE, BLINDING))
    equal = EqualValues(BN254_KEY, first, BN254_KEY, second)
    yield from build_claim(group, "equal values", equal, (VALUE, BLINDING, OTHER_BLINDING))
    logarithms = EqualLogarithms(GENERATOR, key, other_base, other)
    yield from build_claim(group, "equal logarithms", logarithms, (BLINDING,))


def build_claim(
    group: Group, label: str, claim: Claim, secrets: tuple[int, ...]
) -> Iterable[Operation]:
    """Yield proving and verifying of one claim."""
    proof = linear.prove(group, claim, secrets, CONTEXT, RANDOMNESS)
    yield Operation(
        f"{label}, prove",
        lambda name: linear.prove(get_backend(name), claim, secrets, CONTEXT, RANDOMNESS),
    )
    yield Operation(
        f"{label}, verify", lambda name: linear.verify(get_backend(name), claim, proof, CONTEXT)
    )


def build_range_operations() -> Iterable[Operation]:
    """Yield proving and verifying that a sample count is in its range."""
    group = get_backend()
    claim = CommittedRange(BN254_KEY, commit(group, BN254_KEY, OPENING), 1, MAX_WEIGHT)
    proof = ranges.prove_range(group, claim, OPENING, CONTEXT, RANDOMNESS)
    yield Operation(
        f"range 1 to {MAX_WEIGHT}, prove",
        lambda name: ranges.prove_range(get_backend(name), claim, OPENING, CONTEXT, RANDOMNESS),
    )
    yield Operation(
        f"range 1 to {MAX_WEIGHT}, verify",
        lambda name: ranges.verify_range(get_backend(name), claim, proof, CONTEXT),
    )


def build_vrf_operations() -> Iterable[Operation]:
    """Yield proving, verifying and hinting for a draw; secp256k1 is coincurve's in the fast one.

    Python's integers alone do not occur: coincurve is always there.
    """
    backends: tuple[BackendName, ...] = ("fast", "py_ecc")
    secrets = {name: vrf.load_secret_key(SECRET, suite) for name, suite in SUITES.items()}
    key = secrets["fast"].public_key
    proof = vrf.prove(secrets["fast"], MESSAGE)
    yield Operation(
        "VRF, prove", lambda name: vrf.prove(secrets[name], MESSAGE, SUITES[name]), backends
    )
    yield Operation(
        "VRF, verify", lambda name: vrf.verify(key, MESSAGE, proof, SUITES[name]), backends
    )
    yield Operation(
        "VRF, hints for the contract",
        lambda name: vrf.compute_hints(key, MESSAGE, proof, SUITES[name]),
        backends,
    )


def measure(operation: Operation, seconds: float) -> list[Row]:
    """Return a row for each backend beside py_ecc, which is the peer."""
    runs = {name: partial(operation.run, name) for name in operation.backends}
    counts = {name: get_count(run, seconds) for name, run in runs.items()}
    times: dict[BackendName, list[float]] = {name: [] for name in runs}
    for _ in range(BATCHES):
        for name, run in runs.items():
            times[name].append(measure_batch(run, counts[name]))
    medians = {name: statistics.median(found) for name, found in times.items()}
    peer = medians.pop("py_ecc")
    return [
        Row(operation.what + LABELS[name], "ms", median, peer) for name, median in medians.items()
    ]


def get_count(run: Callable[[], object], seconds: float) -> int:
    """Return how many calls take about so long; the first call, which fills tables, is apart."""
    run()
    return max(1, round(seconds * 1000 / measure_batch(run, 1)))


def measure_batch(run: Callable[[], object], count: int) -> float:
    """Return milliseconds per call."""
    begun = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - begun) / count * 1000


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.05, help="per batch and backend")
    arguments = parser.parse_args()
    rows = [
        row for operation in build_operations() for row in measure(operation, arguments.seconds)
    ]
    setting = {
        "gmpy2": version("gmpy2") if find_spec("gmpy2") else "not installed",
        "py_ecc": version("py_ecc"),
        "batches": BATCHES,
        "threads": 1,
    }
    write_results("crypto", rows, setting)


if __name__ == "__main__":
    main()
