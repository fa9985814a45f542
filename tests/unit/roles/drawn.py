"""Federations in memory whose votes are those of a drawn committee."""

from flchain.protocol.records import DrawView
from flchain.protocol.types import Phase
from flchain.roles.validator import Validator
from tests.e2e.federation import DRAWN, Federation, make_memory_federation

SEATS, VALIDATORS = DRAWN.schedule.committee, 7
WINDOW = int(DRAWN.schedule.seat_window)


def make_drawn(**options) -> Federation:
    """Return a federation of seven validators with a committee of five."""
    options.setdefault("preset", DRAWN)
    options.setdefault("validators", VALIDATORS)
    return make_memory_federation(**options)


def reach_seat(federation: Federation, number: int = 1) -> None:
    """Play up to the draw of round `number`, in which nothing has been done yet."""

    def until(seen):
        return seen.round.round == number and seen.phase is Phase.SEAT

    federation.run_roles(federation.roles, until)
    # The next block's hash goes into the seed; the orchestrator waits until it is not the newest.
    pass_time(federation, 1)
    pass_time(federation, 1)


def pass_time(federation: Federation, seconds: int) -> None:
    federation.ledger._clock.now += seconds
    federation.ledger.get_head()


def get_view(federation: Federation) -> DrawView:
    return federation.ledger.get_draw(federation.task_id)


def get_place(federation: Federation, validator: Validator) -> int:
    account = validator.context.signer.address
    return federation.ledger.get_member(federation.task_id, account).place


def find_validator(federation: Federation, place: int) -> Validator:
    return next(v for v in federation.validators if get_place(federation, v) == place)


def list_leaders(federation: Federation) -> list[Validator]:
    """Return the beacons of the newest draw, in turn."""
    word = get_view(federation).draw.beacons
    places = [(word >> 8 * rank & 0xFF) - 1 for rank in range(3)]
    return [find_validator(federation, place) for place in places]


def list_seated(federation: Federation) -> list[Validator]:
    word = get_view(federation).committee
    return [v for v in federation.validators if word >> 4 * get_place(federation, v) & 15]


def listen(federation: Federation) -> list:
    """Return a list that fills with the accounts and calls that the ledger accepts."""
    sent, send_call = [], federation.ledger.send

    def send(call, signer):
        receipt = send_call(call, signer)
        sent.append((signer.address, call))
        return receipt

    federation.ledger.send = send
    return sent


def tick_drawings(federation: Federation, *validators: Validator) -> list[bool]:
    """Let validators take part in the draw, each on a look of its own."""
    return [v.drawing.tick(federation.watch.observe()) for v in validators]


def name(sent) -> list:
    return [(account, type(call).__name__) for account, call in sent]
