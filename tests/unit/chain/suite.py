"""Addresses and an address book that no chain has."""

from eth_utils.address import to_checksum_address

from flchain.chain.address_book import AddressBook
from flchain.chain.base import Addresses
from flchain.protocol.params import MINIMAL
from flchain.protocol.types import Address


def name_address(number):
    return Address(to_checksum_address(f"0x{number:040x}"))


ADDRESSES = Addresses(
    *(name_address(number) for number in (0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0x99, 0x88))
)
BOOK = AddressBook(
    chain_id=31337,
    addresses=ADDRESSES,
    first_block=1,
    governance=name_address(0xF6),
    network=MINIMAL.network,
    libraries={"Settlement": name_address(0x17)},
    builds={"RoundManager": "00" * 32},
)
