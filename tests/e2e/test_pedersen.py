"""BN254 in Python and in the EVM: the same points, the same refusals."""

import json
import subprocess
from pathlib import Path

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from flchain.chain.devnet import DevnetConfig, start_devnet
from flchain.chain.rpc import RpcError
from flchain.crypto.bn254 import (
    BLINDING_BASE,
    FIELD_MODULUS,
    GENERATOR,
    ORDER,
    POINT_SIZE,
    VALUE_BASE,
    decode_point,
    encode_point,
    hash_to_point,
)
from flchain.crypto.bn254_backends import get_backend
from flchain.crypto.commitments import (
    BN254_KEY,
    Opening,
    add_commitments,
    commit,
    verify_opening,
)
from flchain.crypto.groups import INFINITY, Point
from flchain.protocol.errors import EncodingError

pytestmark = pytest.mark.anvil

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "contracts/libraries/Pedersen.sol",
    "tests/contracts/Cheats.sol",
    "tests/contracts/libraries/Pedersen.t.sol",
)
HARNESS = "0x00000000000000000000000000000000000ca11e"
ADD, MULTIPLY = ("0x" + "00" * 19 + end for end in ("06", "07"))
BACKENDS = [get_backend(name) for name in ("fast", "pure", "py_ecc")]
FAST = BACKENDS[0]
RANDOM = [hash_to_point(bytes([number])) for number in range(4)]
EDGES = [INFINITY, GENERATOR, FAST.negate(GENERATOR), VALUE_BASE]
SCALARS = [0, 1, 2, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1, 0x1234567 << 200]
WEIGHTS = [(1, ORDER - 1), (255, 7), (0, 0), (0, 1), (1, 0), (ORDER - 1, ORDER - 1)]
X, Y = GENERATOR
NOT_CANONICAL = [
    Point(X + FIELD_MODULUS, Y),
    Point(X, Y + FIELD_MODULUS),
    Point(X, Y + 1),
    Point(FIELD_MODULUS, FIELD_MODULUS),
    Point(0, FIELD_MODULUS),
    Point(2**256 - 1, 2**256 - 1),
]


def compile_harness():
    """Return the harness's runtime bytecode."""
    task = {
        "language": "Solidity",
        "sources": {name: {"content": (ROOT / name).read_text()} for name in SOURCES},
        "settings": {
            "evmVersion": "prague",
            "viaIR": True,
            "optimizer": {"enabled": True, "runs": 200},
            "outputSelection": {SOURCES[-1]: {"PedersenHarness": ["evm.deployedBytecode"]}},
        },
    }
    done = subprocess.run(
        [ROOT / "tools" / "solc", "--standard-json"],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=True,
    )
    contract = json.loads(done.stdout)["contracts"][SOURCES[-1]]["PedersenHarness"]
    return "0x" + contract["evm"]["deployedBytecode"]["object"]


@pytest.fixture(scope="module")
def rpc(tmp_path_factory):
    """A node with the harness."""
    with start_devnet(DevnetConfig(folder=tmp_path_factory.mktemp("pedersen"))) as devnet:
        devnet.rpc.call("anvil_setCode", HARNESS, compile_harness())
        yield devnet.rpc


def call_precompile(rpc, precompile, data):
    """Return the precompile's answer, or None if it refuses."""
    try:
        answer = rpc.call("eth_call", {"to": precompile, "data": "0x" + data.hex()}, "latest")
    except RpcError:
        return None
    return bytes.fromhex(answer[2:])


def call_harness(rpc, signature, types, values):
    data = keccak(text=signature)[:4] + encode(types, values)
    request = {"to": HARNESS, "data": "0x" + data.hex(), "gas": hex(10_000_000)}
    return bytes.fromhex(rpc.call("eth_call", request, "latest")[2:])


def ask_opening(rpc, commitment, opening):
    """Return what the library says of an opening, or the selector that it reverts with."""
    signature = "verifyOpening((uint256,uint256),uint256,uint256)"
    values = (tuple(commitment), opening.value, opening.blinding)
    try:
        answer = call_harness(rpc, signature, ["(uint256,uint256)", "uint256", "uint256"], values)
    except RpcError as error:
        return error.data[:10]
    return decode(["bool"], answer)[0]


def ask_sum(rpc, points):
    signature = "sum((uint256,uint256)[])"
    try:
        answer = call_harness(rpc, signature, ["(uint256,uint256)[]"], [list(map(tuple, points))])
    except RpcError as error:
        return error.data[:10]
    return Point(*decode(["(uint256,uint256)"], answer)[0])


def get_selector(signature):
    return "0x" + keccak(text=signature)[:4].hex()


INVALID_POINT = get_selector("InvalidPoint(uint256,uint256)")
INVALID_SCALAR = get_selector("InvalidScalar(uint256)")


@pytest.mark.parametrize("scalar", SCALARS, ids=hex)
def test_multiplication__every_backend__is_the_precompiles(rpc, scalar):
    for point in EDGES + RANDOM[:1]:
        data = encode_point(point) + scalar.to_bytes(32, "big")
        expected = call_precompile(rpc, MULTIPLY, data)
        assert len(expected) == POINT_SIZE
        for group in BACKENDS:
            assert encode_point(group.multiply(point, scalar)) == expected


def test_addition__every_backend__is_the_precompiles(rpc):
    points = EDGES + RANDOM
    for left in points:
        for right in points:
            expected = call_precompile(rpc, ADD, encode_point(left) + encode_point(right))
            for group in BACKENDS:
                assert encode_point(group.add(left, right)) == expected


@pytest.mark.parametrize("point", NOT_CANONICAL, ids=range(len(NOT_CANONICAL)))
def test_malformed_point__is_refused_by_precompile_library_and_decoder(rpc, point):
    data = b"".join(coordinate.to_bytes(32, "big") for coordinate in point)
    assert not call_precompile(rpc, ADD, data + bytes(64))
    assert not call_precompile(rpc, MULTIPLY, data + bytes(32))
    with pytest.raises(EncodingError):
        decode_point(data, allows_infinity=True)
    assert ask_opening(rpc, point, Opening(1, 1)) == INVALID_POINT
    assert ask_sum(rpc, [GENERATOR, point]) == INVALID_POINT


def test_library__generators__are_pythons(rpc):
    types = ["(uint256,uint256)", "(uint256,uint256)"]
    value, blinding = decode(types, call_harness(rpc, "generators()", [], []))
    assert (Point(*value), Point(*blinding)) == (VALUE_BASE, BLINDING_BASE)


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_opening__library_and_python__agree(rpc, weights):
    opening = Opening(*weights)
    commitment = commit(FAST, BN254_KEY, opening)
    others = [
        opening,
        Opening((opening.value + 1) % ORDER, opening.blinding),
        Opening(opening.value, (opening.blinding + 1) % ORDER),
        Opening(opening.blinding, opening.value),
    ]
    for point in (commitment, FAST.negate(commitment), INFINITY, GENERATOR):
        for other in others:
            expected = verify_opening(FAST, BN254_KEY, point, other)
            assert ask_opening(rpc, point, other) is expected
    assert ask_opening(rpc, commitment, opening) is True


@pytest.mark.parametrize("scalars", [(ORDER, 0), (0, ORDER), (2**256 - 1, 5), (7, ORDER + 7)])
def test_opening__scalar_not_reduced__is_refused_by_both(rpc, scalars):
    opening = Opening(*scalars)
    reduced = commit(FAST, BN254_KEY, Opening(scalars[0] % ORDER, scalars[1] % ORDER))
    assert ask_opening(rpc, reduced, opening) == INVALID_SCALAR
    assert not verify_opening(FAST, BN254_KEY, reduced, opening)


@pytest.mark.parametrize("size", [0, 1, 2, 30])
def test_sum__of_commitments__library_and_python_agree(rpc, size):
    openings = [Opening(number % 256, pow(3, 100 + number, ORDER)) for number in range(size)]
    commitments = [commit(FAST, BN254_KEY, opening) for opening in openings]
    total = add_commitments(FAST, commitments)
    assert ask_sum(rpc, commitments) == total
    assert ask_sum(rpc, [*commitments, FAST.negate(total), INFINITY]) == INFINITY
    values = sum(opening.value for opening in openings)
    blindings = sum(opening.blinding for opening in openings) % ORDER
    assert ask_opening(rpc, total, Opening(values, blindings)) is True
