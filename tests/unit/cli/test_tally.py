"""Figures of a run: gas by action, seconds by phase."""

import threading
from types import SimpleNamespace

from flchain.cli.tally import GasUse, MeteredLedger, PhaseClock, Tally, meter
from flchain.crypto.signing import LocalSigner
from flchain.protocol.calls import Transfer
from flchain.protocol.params import LOCAL
from flchain.protocol.reverts import ERC20InsufficientBalance
from flchain.protocol.types import Phase, RoundId, Wei
from flchain.roles.context import Notice
from flchain.roles.simulation import SimulatedClock, build_memory_ledger, derive_cast


def notice(action, number, gas, seconds=1.0):
    return Notice("agent", "0x0", action, RoundId(number), seconds, gas)


def test_gas__first_round_is_dearer__later_leaves_it_out():
    use = GasUse()
    for number, gas in ((1, 50), (2, 30), (3, 40)):
        use.add(gas, RoundId(number))
    assert (use.count, use.total, use.least, use.most, use.later) == (3, 120, 30, 50, 40)


def test_tally__notices_from_many_threads__all_counted():
    tally = Tally()
    threads = [
        threading.Thread(target=lambda: [tally.add(notice("Submit", 2, 10)) for _ in range(200)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tally.gas["Submit"].count, tally.total_gas) == (800, 8000)
    assert tally.seconds["Submit"] == 800.0


def test_tally__activity_without_gas__seconds_alone():
    tally = Tally()
    tally.add(notice("train", 1, 0, 2.5))
    assert tally.seconds == {"train": 2.5}
    assert dict(tally.gas) == {}


def look(number, phase):
    return SimpleNamespace(phase=phase, round=SimpleNamespace(round=RoundId(number)))


def test_phase_clock__observations__time_belongs_to_what_was_seen_before():
    times = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    clock = PhaseClock(lambda: next(times))
    for number, phase in (
        (0, Phase.NONE),
        (1, Phase.SUBMIT),
        (1, Phase.VOTE),
        (1, Phase.ENDED),
        (2, Phase.SUBMIT),
        (2, Phase.SUBMIT),
    ):
        clock.observe(look(number, phase))
    assert clock.rounds[1] == {"open": 1.0, "submit": 2.0, "vote": 3.0}
    assert clock.rounds[2] == {"open": 4.0, "submit": 5.0}
    assert clock.sum_phases() == {"open": 5.0, "submit": 7.0, "vote": 3.0}


def test_metered_ledger__some_calls_refused__those_that_went_through_are_reported():
    cast = derive_cast("test test test test test test test test test test test junk", 1, 1)
    ledger = build_memory_ledger(cast, LOCAL, SimulatedClock())
    seen: list[Notice] = []
    metered = meter(ledger, "setup", seen.append)
    stranger = LocalSigner(b"\x07" * 32)
    gift = Transfer(stranger.address, Wei(5))
    answers = metered.send_all([(gift, cast.sponsor), (gift, cast.agents[0])])
    assert isinstance(answers[1], ERC20InsufficientBalance)
    metered.send(gift, stranger)
    assert [(item.account, item.action) for item in seen] == [
        (cast.sponsor.address, "Transfer"),
        (stranger.address, "Transfer"),
    ]
    assert isinstance(metered, MeteredLedger)
    assert metered.get_balance(stranger.address) == 5
