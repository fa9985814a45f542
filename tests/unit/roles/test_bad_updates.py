"""Agents with nothing good to send: the round goes on, they earn nothing, and they are named."""

import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest

from flchain.learning.compression import compress_update
from flchain.learning.parameters import QuantizedUpdate
from flchain.learning.payloads import Payload, encode_payload
from flchain.learning.presets import load_preset
from flchain.learning.schemas import encode_update, get_update_schema
from flchain.protocol.types import Outcome, RoundId
from flchain.roles.archive import Archive
from flchain.roles.audit import verify_task
from flchain.roles.execution import fetch_rewards
from tests.e2e.federation import make_memory_federation, make_policy

SIZE = make_policy().model.parameters
BAD = 0
"""Which agent is bad."""


def play(federation):
    heard = []
    for agent in federation.agents:
        agent.context = replace(agent.context, report=heard.append)
    return federation.run(1), [notice for notice in heard if notice.detail]


def get_paid(federation, seen):
    root = seen.past.rounds[RoundId(1)].final_proposal.content.aggregate_root
    return {reward.account for reward in fetch_rewards(Archive(federation.store), root)}


def check_round(federation, seen, sent):
    past = seen.past.rounds[RoundId(1)]
    assert past.outcome is Outcome.FINALIZED
    assert len(past.submissions) == sent
    paid = get_paid(federation, seen)
    agents = [agent.context.signer.address for agent in federation.agents]
    assert [agent in paid for agent in agents] == [False, True, True]


def remove_rows(data):
    return data.select(slice(0, 0))


def spoil_row(data):
    inputs = data.inputs.copy()
    inputs[3, 5] = np.nan
    return replace(data, inputs=inputs)


def blow_up(data):
    return replace(data, inputs=data.inputs * np.float32(1e30))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (remove_rows, "there are no rows to train on"),
        (spoil_row, "holds NaN or infinity; clean the data"),
        (blow_up, "holds NaN or infinity; clean the data"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_round__an_agent_can_make_no_update__goes_on_and_names_it_once(spoil, says):
    federation = make_memory_federation()
    agent = federation.agents[BAD]
    agent.data = spoil(agent.data)
    seen, said = play(federation)
    check_round(federation, seen, sent=2)
    (notice,) = said
    address = agent.context.signer.address
    assert notice.action == "no-update"
    assert notice.detail.startswith(f"agent {address} stays out of round 1: ")
    assert says in notice.detail


def make_update(policy, key, agent, **changes):
    values = {"delta": np.ones(policy.model.parameters, np.int32)} | changes
    return encode_update(
        QuantizedUpdate(values, {"samples": 120}), policy, round_key=key, agent=agent
    )


def send_other_shape(policy, key, agent):
    return make_update(load_preset("digits"), key, agent)


def send_floats(policy, key, agent):
    data = make_update(policy, key, agent)
    assert b"int32" in data
    return data.replace(b"int32", b"float", 1)


def send_nan(policy, key, agent):
    data = make_update(policy, key, agent)
    return data[: -4 * SIZE] + np.full(SIZE, np.nan, np.float32).tobytes()


def send_infinity(policy, key, agent):
    data = make_update(policy, key, agent)
    return data[:-4] + np.float32(np.inf).tobytes()


def send_no_samples(policy, key, agent):
    return declare(policy, key, agent, 0)


def send_other_weight(policy, key, agent):
    return declare(policy, key, agent, 10**6)


def declare(policy, key, agent, samples):
    payload = Payload({"delta": np.ones(SIZE, np.int32)}, {"samples": samples})
    return encode_payload(payload, get_update_schema(policy), round_key=key, agent=agent)


def send_other_round(policy, key, agent):
    return make_update(policy, bytes(32), agent)


def send_anothers(policy, key, agent):
    return make_update(policy, key, "0x" + "11" * 20)


def send_half(policy, key, agent):
    data = make_update(policy, key, agent)
    return data[: len(data) // 2]


def send_nothing(policy, key, agent):
    return b""


def send_bomb(policy, key, agent):
    """Return what inflates to 100 MB; the header is that of an honest update."""
    update = QuantizedUpdate({"delta": np.zeros(SIZE, np.int32)}, {"samples": 120})
    schema = get_update_schema(policy)
    honest = compress_update(
        update,
        policy,
        schema,
        round_key=key,
        agent=agent,
        memories={},
        rng=np.random.default_rng(1),
    ).payload
    # The last section is its length in four bytes, then the stream.
    starts = range(4, len(honest))
    fits = (p for p in starts if int.from_bytes(honest[p - 4 : p], "little") == len(honest) - p)
    coder = zlib.compressobj(9)
    bomb = b"".join([*(coder.compress(bytes(10**6)) for _ in range(100)), coder.flush()])
    return honest[: next(fits) - 4] + len(bomb).to_bytes(4, "little") + bomb


def spoil_updates(federation, make):
    agent = federation.agents[BAD]
    policy = federation.terms.policy

    def make_bad(seen):
        number = seen.round.round
        key = agent.context.get_round_key(number)
        return agent._seal(make(policy, key, agent.context.signer.address), number)

    agent._make_update = make_bad


def check_named(federation):
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound, report.failures
    address = federation.agents[BAD].context.signer.address
    (found,) = [check for check in report.checks if "counts for nothing" in check.detail]
    assert address in found.subject
    return found.detail


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (send_other_shape, "sections"),
        (send_floats, "dtype"),
        (send_nan, "the bound is"),
        (send_infinity, "the bound is"),
        (send_no_samples, "samples is 0"),
        (send_other_weight, "recorded is"),
        (send_other_round, "round_key"),
        (send_anothers, "agent"),
        (send_half, "bytes"),
        (send_nothing, "do not begin"),
    ],
)
def test_round__an_agent_sends_what_is_no_update__goes_on_and_the_audit_names_it(make, says):
    federation = make_memory_federation()
    spoil_updates(federation, make)
    seen, _ = play(federation)
    check_round(federation, seen, sent=3)
    assert says in check_named(federation)


def test_round__an_agent_sends_a_bomb__goes_on_without_holding_what_it_inflates_to():
    federation = make_memory_federation(policy=make_policy(compression={"name": "zlib"}))
    spoil_updates(federation, send_bomb)
    tracemalloc.start()
    try:
        seen, _ = play(federation)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    check_round(federation, seen, sent=3)
    assert peak < 50_000_000
    assert "exactly" in check_named(federation)
