"""The two branches of a bit: a commitment hides 0, or it hides 1.

With C = bit * V + r * B, branch e claims knowledge of the logarithm r of C - e * V to the base B.
The prover simulates the branch that is false with a share of the challenge that it draws, and the
true one takes the rest: share 0 xor share 1 is the challenge, so one of them was not chosen
(Cramer, Damgard, Schoenmakers, CRYPTO '94).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from flchain.crypto.commitments import CommitmentKey, Opening
from flchain.crypto.groups import INFINITY, Group, Point
from flchain.crypto.scalars import SCALAR_SIZE, decode_scalar, encode_scalar, is_scalar
from flchain.crypto.sigma.equations import Terms
from flchain.crypto.sigma.statements import NonceSource
from flchain.crypto.transcript import CHALLENGE_BITS

SHARE_SIZE = CHALLENGE_BITS // 8
_BRANCHES = 2


@dataclass(frozen=True, slots=True)
class Branches:
    """Both branches' announcements and responses, and branch 0's share of the challenge."""

    announcements: tuple[Point, Point]
    share: int
    responses: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Draft:
    """What the prover keeps between announcement and response; secret."""

    opening: Opening
    nonce: int
    share: int
    response: int


def draft_branches(opening: Opening, source: NonceSource, label: str) -> Draft:
    """Return the true branch's nonce and the false one's share and response."""
    share = source.derive(f"{label}/share") % (1 << CHALLENGE_BITS)
    return Draft(
        opening, source.derive(f"{label}/nonce"), share, source.derive(f"{label}/response")
    )


def announce(group: Group, key: CommitmentKey, draft: Draft) -> tuple[Point, Point]:
    """Return both announcements.

    The false branch's is response * B - share * (C - e * V), here over the two bases alone.
    """
    bit, blinding = draft.opening.value, draft.opening.blinding
    true = group.multiply(key.blinding_base, draft.nonce)
    scalars = (draft.share * (1 - 2 * bit), draft.response - draft.share * blinding)
    false = group.sum_products((key.value_base, key.blinding_base), scalars)
    return (false, true) if bit else (true, false)


def respond(
    group: Group, draft: Draft, announcements: tuple[Point, Point], challenge: int
) -> Branches:
    """Return the branches once the challenge is known."""
    share = challenge ^ draft.share
    response = (draft.nonce + share * draft.opening.blinding) % group.order
    if draft.opening.value:
        return Branches(announcements, draft.share, (draft.response, response))
    return Branches(announcements, share, (response, draft.response))


def is_well_formed(group: Group, branches: Branches) -> bool:
    """Return whether every part has the form that its encoding would have."""
    are_pairs = len(branches.announcements) == len(branches.responses) == _BRANCHES
    is_short = 0 <= branches.share < 1 << CHALLENGE_BITS
    are_scalars = all(is_scalar(response, group.order) for response in branches.responses)
    return are_pairs and is_short and are_scalars and INFINITY not in branches.announcements


def get_terms(
    key: CommitmentKey, commitment: Point, branches: Branches, challenge: int
) -> Iterator[Terms]:
    """Yield each branch's equation: announcement + share * (C - e * V) - response * B = 0."""
    shares = (branches.share, challenge ^ branches.share)
    for bit, share in enumerate(shares):
        yield (
            (1, branches.announcements[bit]),
            (share, commitment),
            (-share * bit, key.value_base),
            (-branches.responses[bit], key.blinding_base),
        )


def get_size(group: Group) -> int:
    """Return the bytes of encoded branches."""
    return 2 * group.point_size + SHARE_SIZE + 2 * SCALAR_SIZE


def encode_branches(group: Group, branches: Branches) -> bytes:
    """Return announcements, share and responses, one after another."""
    points = map(group.encode_point, branches.announcements)
    scalars = (encode_scalar(response, group.order) for response in branches.responses)
    return b"".join((*points, branches.share.to_bytes(SHARE_SIZE, "big"), *scalars))


def decode_branches(group: Group, data: bytes) -> Branches:
    """Return the branches in untrusted bytes of the right length. Raises EncodingError."""
    size = group.point_size
    after = 2 * size + SHARE_SIZE
    return Branches(
        (group.decode_point(data[:size]), group.decode_point(data[size : 2 * size])),
        int.from_bytes(data[2 * size : after], "big"),
        (
            decode_scalar(data[after : after + SCALAR_SIZE], group.order),
            decode_scalar(data[after + SCALAR_SIZE :], group.order),
        ),
    )
