"""Masks are AES's key stream to the bit, and what is under them looks like nothing."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from flchain.crypto.secagg import masks
from flchain.crypto.secagg.errors import MalformedMessage
from flchain.crypto.secagg.masking import decode_words, encode_words, from_words, to_words
from flchain.crypto.secagg.masks import Masks, apply_masks, expand_mask, sum_words
from flchain.protocol.errors import ConfigError, EncodingError
from tests.unit.crypto.secagg_round import compute_excess, digest

KEYS = [digest("mask", number)[:16] for number in range(5)]
BORDERS = (masks._HEAD, masks._BLOCK, masks._HEAD + masks._BLOCK)
SIZES = [
    0,
    1,
    5,
    *(border + more for border in BORDERS for more in (-1, 0, 1)),
    2 * masks._BLOCK + 3,
]


def expand_slowly(key, size):
    # Counter mode from its definition: AES of each counter, one after another.
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    blocks = -(-4 * size // 16)
    stream = b"".join(aes.update(counter.to_bytes(16, "big")) for counter in range(blocks))
    return np.frombuffer(stream, "<u4")[:size]


@pytest.mark.parametrize("size", SIZES)
def test_mask__of_any_length__is_the_key_stream_in_counter_mode(size):
    assert np.array_equal(expand_mask(KEYS[0], size), expand_slowly(KEYS[0], size))


def test_mask__published_key_stream__is_reproduced():
    # AES-128 of zeros under a key of zeros: H in test case 1 of the GCM specification.
    key = bytes(16)
    assert expand_mask(key, 4).tobytes().hex() == "66e94bd4ef8a2c3b884cfa59ca342b2e"


def test_masks__added_and_subtracted__wrap_and_undo_each_other():
    size = masks._BLOCK + 7
    vector = np.full(size, 2**32 - 1, "<u4")
    original = vector.copy()
    apply_masks(vector, Masks(tuple(KEYS[:3]), tuple(KEYS[3:])))
    expected = original + sum_slowly(KEYS[:3], KEYS[3:], size)
    assert np.array_equal(vector, expected % 2**32)
    apply_masks(vector, Masks(tuple(KEYS[3:]), tuple(KEYS[:3])))
    assert np.array_equal(vector, original)


def sum_slowly(added, subtracted, size):
    expected = np.zeros(size, np.int64)
    for keys, sign in ((added, 1), (subtracted, -1)):
        for key in keys:
            expected += sign * expand_slowly(key, size).astype(np.int64)
    return expected % 2**32


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [0, 1, *BORDERS, 2 * masks._BLOCK + 3])
def test_masks__by_any_number_of_threads__are_the_same(size, threads):
    vector = np.zeros(size, "<u4")
    apply_masks(vector, Masks(tuple(KEYS[:2]), tuple(KEYS[2:])), threads=threads)
    assert np.array_equal(vector, sum_slowly(KEYS[:2], KEYS[2:], size))


@pytest.mark.parametrize("threads", [1, 2])
def test_masks__more_than_are_open_at_a_time__are_all_applied(threads):
    keys = [digest("many", number)[:16] for number in range(2 * masks._OPEN_STREAMS + 3)]
    vector = np.zeros(20, "<u4")
    apply_masks(vector, Masks(tuple(keys[:70]), tuple(keys[70:])), threads=threads)
    assert np.array_equal(vector, sum_slowly(keys[:70], keys[70:], 20))


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_masks__by_threads_without_work__leave_the_vector(threads):
    vector = np.arange(9, dtype="<u4")
    apply_masks(vector, Masks(), threads=threads)
    assert np.array_equal(vector, np.arange(9))


@pytest.mark.parametrize("threads", [0, -1])
def test_masks__without_a_thread__are_refused(threads):
    with pytest.raises(ConfigError, match="at least one thread"):
        apply_masks(np.zeros(4, "<u4"), Masks(), threads=threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_masks__one_key_of_another_length__leave_the_vector(threads):
    vector = np.zeros(40, "<u4")
    with pytest.raises(EncodingError, match="16 bytes"):
        apply_masks(vector, Masks(tuple(KEYS), (bytes(15),)), threads=threads)
    assert not vector.any()


@pytest.mark.parametrize("block", [64, 4096])
def test_masks__with_other_blocks__are_the_same(block, monkeypatch):
    expected = expand_mask(KEYS[0], 5000)
    monkeypatch.setattr(masks, "_BLOCK_BYTES", block)
    monkeypatch.setattr(masks, "_BLOCK", block // 4)
    monkeypatch.setattr(masks, "_ZEROS", bytes(block))
    assert np.array_equal(expand_mask(KEYS[0], 5000), expected)


def test_masked_zeros__byte_by_byte__look_uniform():
    counts = np.bincount(expand_mask(KEYS[1], 50_000).view(np.uint8), minlength=256)
    assert compute_excess(counts.tolist()) < 4


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(4, np.int32),
        np.zeros(4, ">u4"),
        np.zeros((2, 2), np.uint32),
        np.zeros(8, np.uint32)[::2],
    ],
    ids=["signed", "big-endian", "two dimensions", "strided"],
)
def test_masks__on_another_kind_of_vector__are_refused(vector):
    for use in (lambda: apply_masks(vector, Masks()), lambda: from_words(vector)):
        with pytest.raises(EncodingError, match="little-endian"):
            use()


def test_masks__on_received_bytes__are_refused_and_leave_them():
    with pytest.raises(EncodingError, match="written"):
        apply_masks(decode_words(bytes(8), 2), Masks((KEYS[0],)))


@pytest.mark.parametrize("key", [b"", bytes(15), bytes(32)])
def test_mask__key_of_another_length__is_refused(key):
    with pytest.raises(EncodingError, match="16 bytes"):
        expand_mask(key, 4)


def test_masks__printed__hide_their_keys():
    assert KEYS[0].hex() not in repr(Masks((KEYS[0],)))
    assert repr(KEYS[0]) not in repr(Masks((KEYS[0],)))


def test_words__of_negative_integers__are_twos_complement():
    values = np.array([0, 1, -1, 2**31 - 1, -(2**31)], np.int32)
    words = to_words(values)
    assert words.tolist() == [0, 1, 2**32 - 1, 2**31 - 1, 2**31]
    assert np.array_equal(from_words(words), values)
    assert encode_words(words)[:12].hex() == "0000000001000000ffffffff"
    assert np.array_equal(decode_words(encode_words(words), 5), words)


@pytest.mark.parametrize(
    "values", [np.zeros(3), np.zeros(3, np.int64), np.zeros((1, 3), np.int32)], ids=str
)
def test_words__of_other_numbers__are_refused(values):
    with pytest.raises(EncodingError, match="32-bit integers"):
        to_words(values)


@pytest.mark.parametrize("size", [1, 3])
def test_words__of_another_length__are_refused(size):
    with pytest.raises(MalformedMessage, match="bytes needed"):
        decode_words(bytes(8), size)
    with pytest.raises(EncodingError, match="it must have"):
        sum_words([np.zeros(2, "<u4")], size)
