"""Manifests: the single raw block whose sha2-256 stands on chain.

A payload (an update, a state, a report) may have any size and hence many IPFS blocks. Its
manifest is one canonical block of at most 64 KiB, so a bytes32 on chain always leads to a
CID, and from there to every byte of the payload.

The payload's Merkle tree is the one of RFC 9162 section 2.1.1 with SHA-256 over leaves of
64 KiB: leaves are tagged 0x00, nodes 0x01, and the tree of no bytes is sha2-256 of nothing.
"""

import hashlib
import re
from dataclasses import asdict, dataclass

from flchain.protocol.canonical import CanonicalValue, decode_canonical, encode_canonical
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.types import Digest

FORMAT = "flchain-manifest-v1"
LEAF_SIZE = 65_536
MAX_MANIFEST_SIZE = 65_536
KINDS = (
    "aggregate",
    "complaint",
    "keys",
    "masked",
    "policy",
    "release",
    "report",
    "rewards",
    "sharing",
    "state",
    "update",
)
DTYPES = ("bytes", "int32", "int64", "json", "uint32")

_CID = re.compile(r"b[a-z2-7]{8,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What identifies one payload. Hex is lower case; "" means "does not apply".

    `agent` is the lower-case address of the update's author. `shape_digest` is the digest of
    the payload's sections, `round_key` and `policy_digest` are 32 bytes in hex without 0x.
    """

    kind: str
    cid: str
    length: int
    root: str
    dtype: str
    shape_digest: str = ""
    round_key: str = ""
    agent: str = ""
    policy_digest: str = ""


def build_manifest(
    payload: bytes,
    *,
    kind: str,
    cid: str,
    dtype: str,
    shape_digest: bytes = b"",
    round_key: bytes = b"",
    agent: str = "",
    policy_digest: bytes = b"",
) -> Manifest:
    """Describe `payload`, which the store knows as `cid`. `agent` may be in any case."""
    return Manifest(
        kind=kind,
        cid=cid,
        length=len(payload),
        root=compute_content_root(payload).hex(),
        dtype=dtype,
        shape_digest=shape_digest.hex(),
        round_key=round_key.hex(),
        agent=agent.lower(),
        policy_digest=policy_digest.hex(),
    )


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest's one block. Raises EncodingError on a malformed field."""
    _check_fields(manifest)
    return encode_canonical({"format": FORMAT, **asdict(manifest)})


def decode_manifest(block: bytes) -> Manifest:
    """Read an untrusted block; unknown, missing and duplicate keys are refused."""
    document = decode_canonical(block, max_size=MAX_MANIFEST_SIZE)
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise EncodingError(f"manifest: not a {FORMAT} document")
    _check_keys(set(document))
    fields = {key: value for key, value in document.items() if isinstance(value, str)}
    length = document["length"]
    if not isinstance(length, int) or isinstance(length, bool) or len(fields) != len(document) - 1:
        raise EncodingError("manifest: length must be an integer and all else a string")
    manifest = Manifest(length=length, **fields)
    _check_fields(manifest)
    return manifest


def compute_manifest_digest(manifest: Manifest) -> Digest:
    """Return the sha2-256 of the manifest's block: what goes on chain."""
    return Digest(hashlib.sha256(encode_manifest(manifest)).digest())


def verify_payload(manifest: Manifest, payload: bytes) -> None:
    """Raise ProofError, naming what differs, unless `payload` is the one described."""
    if len(payload) != manifest.length:
        raise ProofError(
            f"{manifest.kind} {manifest.cid}: length is {len(payload)} bytes, "
            f"the manifest says {manifest.length}"
        )
    root = compute_content_root(payload).hex()
    if root != manifest.root:
        raise ProofError(
            f"{manifest.kind} {manifest.cid}: content root is {root}, "
            f"the manifest says {manifest.root}"
        )


def verify_binding(manifest: Manifest, **expected: str | bytes) -> None:
    """Raise ProofError unless each named field has the expected value.

    Bytes are compared with the field's hex, addresses without regard to case:
    `verify_binding(manifest, kind="update", round_key=key, agent=address)`.
    """
    for name, value in expected.items():
        actual = getattr(manifest, name)
        wanted = value.hex() if isinstance(value, bytes) else value
        wanted = wanted.lower() if name == "agent" else wanted
        if actual != wanted:
            raise ProofError(
                f"{manifest.kind} {manifest.cid}: the manifest's {name} is "
                f"{actual!r}, expected {wanted!r}"
            )


def compute_content_root(payload: bytes) -> bytes:
    """Return the RFC 9162 Merkle root of `payload` in leaves of 64 KiB."""
    view = memoryview(payload)
    leaves = [
        _hash_leaf(view[start : start + LEAF_SIZE]) for start in range(0, len(payload), LEAF_SIZE)
    ]
    return _compute_root(leaves) if leaves else hashlib.sha256().digest()


def _hash_leaf(leaf: memoryview) -> bytes:
    digest = hashlib.sha256(b"\x00")
    digest.update(leaf)
    return digest.digest()


def _compute_root(nodes: list[bytes]) -> bytes:
    """Pair neighbours level by level; an odd last node moves up unchanged.

    This gives the same tree as RFC 9162's split at the largest power of two.
    """
    while len(nodes) > 1:
        paired = [
            hashlib.sha256(b"\x01" + left + right).digest()
            for left, right in zip(nodes[::2], nodes[1::2], strict=False)
        ]
        nodes = paired + nodes[len(paired) * 2 :]
    return nodes[0]


def _check_keys(keys: set[str]) -> None:
    known = set(Manifest.__dataclass_fields__)
    if unknown := sorted(keys - known):
        raise EncodingError(f"manifest: unknown key {unknown[0]!r}")
    if missing := sorted(known - keys):
        raise EncodingError(f"manifest: key {missing[0]!r} is missing")


def _check_fields(manifest: Manifest) -> None:
    digests = (manifest.shape_digest, manifest.round_key, manifest.policy_digest)
    checks: dict[str, CanonicalValue] = {
        f"kind is one of {', '.join(KINDS)}": manifest.kind in KINDS,
        f"dtype is one of {', '.join(DTYPES)}": manifest.dtype in DTYPES,
        "cid is a CIDv1 in base32": _CID.fullmatch(manifest.cid) is not None,
        "length is not negative": manifest.length >= 0,
        "root is 32 bytes of lower-case hex": _DIGEST.fullmatch(manifest.root) is not None,
        "digests and round_key are 32 bytes of lower-case hex or empty": all(
            not digest or _DIGEST.fullmatch(digest) for digest in digests
        ),
        "agent is a lower-case address or empty": (
            not manifest.agent or _ADDRESS.fullmatch(manifest.agent) is not None
        ),
    }
    for rule, is_met in checks.items():
        if not is_met:
            raise EncodingError(f"manifest: this must hold: {rule}")
