"""The transcript against vectors made with hashlib alone."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.crypto.transcript import Transcript
from flchain.protocol.errors import EncodingError

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "transcript.json").read_text(encoding="utf-8")
)
LABELS = st.text(st.characters(codec="ascii"), max_size=8)
STEPS = st.lists(st.tuples(LABELS, st.binary(max_size=12)), max_size=4)


def replay(steps):
    """Return the challenges in hexadecimal and the last state."""
    transcript, challenges = Transcript(), []
    for step in steps:
        if step["step"] == "absorb":
            transcript = transcript.absorb(step["label"], bytes.fromhex(step["data"][2:]))
        elif step["step"] == "challenge":
            number, transcript = transcript.challenge(step["label"])
            challenges.append(f"0x{number:032x}")
        else:
            order = int(step["order"], 16)
            number, transcript = transcript.challenge_scalar(step["label"], order)
            challenges.append(f"0x{number:064x}")
    return challenges, "0x" + transcript.state.hex()


def absorb_all(steps):
    transcript = Transcript()
    for label, data in steps:
        transcript = transcript.absorb(label, data)
    return transcript


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["description"])
def test_transcript__vector__has_its_challenges(vector):
    assert replay(vector["steps"]) == (vector["challenges"], vector["state"])


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["description"])
def test_transcript__invalid_twin__has_another_challenge(vector):
    challenges, _ = replay(vector["steps"])
    assert challenges[-1] != vector["challenge"]


@given(steps=STEPS, others=STEPS)
def test_transcript__other_steps__other_state(steps, others):
    assert (absorb_all(steps) == absorb_all(others)) == (steps == others)


@given(steps=STEPS)
def test_transcript__used_twice__says_the_same(steps):
    transcript = absorb_all(steps)
    assert transcript.challenge("c") == transcript.challenge("c")
    assert transcript == absorb_all(steps)


@pytest.mark.parametrize("label", ["l" * 256, "é", "日"])
def test_label__too_long_or_not_ascii__is_refused(label):
    for use in (Transcript().challenge, lambda name: Transcript().absorb(name, b"")):
        with pytest.raises(EncodingError, match="label"):
            use(label)
