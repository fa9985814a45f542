"""The code at a contract's address against the code that its constructor leaves there.

The compiler leaves 32 zero bytes after a PUSH32 for each immutable, 20 for each library, and 20
after a leading PUSH20 for a library's own address; the constructor fills them in. All else must
be equal, and what was filled in must be one of the deployment's own constants.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from eth_utils.crypto import keccak

from flchain.chain.proofs.creations import Deployment
from flchain.chain.proofs.layout import encode_text
from flchain.protocol.eip712 import TOKEN_NAME, Domain, compute_domain_separator
from flchain.protocol.errors import ProofError
from flchain.protocol.types import Address

_IMMUTABLE = b"\x7f" + bytes(32)
_OWN_ADDRESS = b"\x73" + bytes(20)
_LIBRARY = re.compile(r"__\$[0-9a-f]{34}\$__")
_TEXTS = ("flchain", "1", TOKEN_NAME)
"""Names and versions of the EIP-712 domains."""


@dataclass(frozen=True, slots=True)
class Template:
    """Runtime code with the places that a constructor fills in, as (start, end)."""

    code: bytes
    gaps: tuple[tuple[int, int], ...]


def verify_code(name: str, code: bytes, constants: frozenset[int]) -> None:
    """Raise ProofError unless `code` is the contract's, filled in with `constants`."""
    template = load_template(name)
    if len(code) != len(template.code):
        raise ProofError(f"it has {len(code)} bytes, {name} has {len(template.code)}")
    blank = bytearray(code)
    for start, end in template.gaps:
        if int.from_bytes(code[start:end], "big") not in constants:
            raise ProofError(f"byte {start}: {code[start:end].hex()} is no constant of {name}")
        blank[start:end] = bytes(end - start)
    if blank != template.code:
        place = next(i for i, byte in enumerate(template.code) if blank[i] != byte)
        raise ProofError(
            f"byte {place} is {code[place]:#04x}, should be {template.code[place]:#04x}"
        )


def list_constants(deployment: Deployment, address: Address) -> frozenset[int]:
    """Return what the constructor of the contract at `address` may have filled in."""
    config = deployment.config
    chain_id = config.chain_id
    domains = [Domain(chain_id, address), Domain(chain_id, address, name=TOKEN_NAME)]
    addresses = [getattr(config.addresses, name) for name in config.addresses.__slots__]
    known = [address, config.governance, *addresses, *deployment.libraries.values()]
    numbers = (
        *(chain_id, config.epoch_length, config.unbonding_period),
        *(config.agent_stake, config.validator_stake, config.proposer_stake),
    )
    words = [*map(keccak, map(str.encode, _TEXTS)), *map(compute_domain_separator, domains)]
    short = [encode_text(text) for text in _TEXTS]
    # OpenZeppelin's ShortString holds the length itself, not twice the length.
    inline = [word - len(text.encode()) for word, text in zip(short, _TEXTS, strict=True)]
    return frozenset({0, *numbers, *inline, *_read(words), *(int(item, 16) for item in known)})


@cache
def load_template(name: str) -> Template:
    """Return the runtime code of a contract or library as it was compiled."""
    resource = files("flchain.chain") / "artifacts" / f"{name}.json"
    text = json.loads(resource.read_text())["deployedBytecode"].removeprefix("0x")
    links = [match.start() // 2 for match in _LIBRARY.finditer(text)]
    code = bytes.fromhex(_LIBRARY.sub("00" * 20, text))
    fixed = [match.start() + 1 for match in re.finditer(re.escape(_IMMUTABLE), code)]
    gaps = [*((at, at + 20) for at in links), *((at, at + 32) for at in fixed)]
    if code.startswith(_OWN_ADDRESS):
        gaps.append((1, 21))
    return Template(code, tuple(gaps))


def _read(words: Iterable[bytes]) -> list[int]:
    return [int.from_bytes(word, "big") for word in words]
