"""Presets fit the contracts' rules."""

import pytest

from flchain.protocol.digests import compute_quorum
from flchain.protocol.params import LOCAL, MAINNET, MINIMAL, PRESETS
from flchain.protocol.sortition import compute_cap

SEED_WINDOWS, STAGES = 3, 4
READABLE_BLOCKS, BLOCK_SECONDS = 256, 2
"""What `blockhash` reaches back, and the shortest blocks that the preset is for."""


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_preset__committee__is_within_reach_of_the_fewest_validators(preset):
    schedule = preset.schedule
    assert (schedule.committee == 0) == (schedule.seat_window == 0)
    if schedule.committee:
        most = (schedule.min_validators - 1) * compute_cap(schedule.committee)
        assert compute_quorum(schedule.committee) <= most


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_preset__longest_round__ends_before_stake_can_leave(preset):
    s = preset.schedule
    attempt = s.propose_ranks * s.propose_window + 2 * s.vote_window
    attempt += (SEED_WINDOWS + STAGES) * s.seat_window
    longest = s.submit_window + s.attest_window + s.max_attempts * attempt
    assert longest <= preset.network.unbonding_period


def test_mainnet__windows_of_all_beacons__end_while_the_pinned_block_can_be_read():
    assert SEED_WINDOWS * MAINNET.schedule.seat_window < READABLE_BLOCKS * BLOCK_SECONDS


def test_presets__committees__are_those_of_the_networks_they_are_for():
    assert [preset.schedule.committee for preset in (MINIMAL, LOCAL, MAINNET)] == [0, 5, 21]
