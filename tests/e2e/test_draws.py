"""Drawn committees over Anvil: the rules give every event, and every slot of storage."""

from dataclasses import replace

import pytest

from flchain.chain.deployment import RpcDeployer, deploy_suite
from flchain.chain.devnet import DevnetConfig, start_devnet
from flchain.chain.ethereum import EthereumLedger
from flchain.crypto import vrf
from flchain.crypto.vrf_hints import hash_key
from flchain.protocol import calls, events
from flchain.protocol.records import SeatProof, Vote, VrfKey, VrfProof
from flchain.protocol.reverts import NotEntitled, SeedIsFixed, WrongPhase
from flchain.protocol.sortition import draw_message, possession_message
from flchain.protocol.types import ZERO_DIGEST, Phase, Role, Verdict
from flchain.roles.audit.authenticity import ChainAudit
from flchain.roles.audit.report import Findings, Status
from flchain.roles.audit.storage import audit_code, audit_storage
from tests.e2e import chain_players
from tests.e2e.chain_players import NETWORK, Players, derive_signers, require

pytestmark = pytest.mark.anvil

AGENTS, VALIDATORS, COMMITTEE, SEAT_WINDOW, STAGES = 2, 6, 5, 10, 4
SEAT_ROLE, PLACES = 1, 64


class Drawn(Players):
    """Players whose validators have VRF keys and are drawn."""

    def get_secret(self, who):
        index = self.validators.index(who)
        return vrf.load_secret_key((1_000 + index).to_bytes(32, "big"))

    def prove(self, who, message):
        secret = self.get_secret(who)
        hinted = vrf.compute_hints(secret.public_key, message, vrf.prove(secret, message))
        return VrfKey(*vrf.get_key_words(secret.public_key)), VrfProof(*hinted)

    def register_validators(self):
        registry = self.ledger.addresses.agent_registry
        for who in self.validators:
            message = possession_message(self.ledger.chain_id, registry, who.address)
            proven = self.prove(who, message)
            stake = NETWORK.validator_stake
            self.ledger.send(calls.Transfer(who.address, stake), self.sponsor)
            self.ledger.send(calls.Approve(registry, stake), who)
            self.ledger.send(calls.RegisterWithKey(Role.VALIDATOR, stake, *proven), who)
            assert self.ledger.get_proven_key(who.address) == hash_key(proven[0])

    def reach_seat(self):
        number = self.open_round()
        self.submit_all(number)
        self.attest_all(number)
        self.propose(number)
        assert self.ledger.get_phase(self.task_id) == Phase.SEAT
        return number

    def prove_seats(self, number):
        """Send everybody's proof in the stage that admits everybody."""
        self.pass_time((STAGES - 1) * SEAT_WINDOW)
        view = self.ledger.get_draw(self.task_id)
        message = draw_message(
            self.ledger.chain_id,
            self.ledger.addresses.round_manager,
            self.task_id,
            number,
            role=SEAT_ROLE,
            attempt=view.draw.attempt,
            seed=view.seed,
        )
        proofs = tuple(SeatProof(self.get_place(who), *self.prove(who, message)) for who in self.up)
        receipt = self.ledger.send(calls.ProveSeats(self.task_id, number, proofs), self.sponsor)
        self.pass_time(SEAT_WINDOW)
        assert self.ledger.get_phase(self.task_id) == Phase.VOTE
        return receipt

    @property
    def up(self):
        """Validators that this round's draw admits."""
        opened = self.ledger.get_round(self.task_id).opened_at
        epoch = opened // NETWORK.epoch_length
        found = []
        for who in self.validators:
            known, holder = self.ledger.get_draw_key(self.task_id, self.get_place(who))
            assert holder == who.address
            if known.active_from <= epoch:
                found.append(who)
        return found

    @property
    def seated(self):
        """Validators with a seat, by place."""
        committee = self.ledger.get_draw(self.task_id).committee
        return [who for who in self.validators if committee >> 4 * self.get_place(who) & 15]

    def get_place(self, who):
        return self.ledger.get_member(self.task_id, who.address).place

    def vote(self, number, *names):
        proposal_id = self.ledger.get_proposal(self.task_id).proposal_id
        paper = Vote(proposal_id, Verdict.APPROVE)
        cast = [(calls.CastVote(self.task_id, number, paper), who) for who in names]
        return require(self.ledger.send_all(cast))

    def pass_time(self, seconds):
        self.devnet.control.advance_time(seconds)
        self.devnet.control.mine()


@pytest.fixture(scope="module")
def players(tmp_path_factory):
    folder = tmp_path_factory.mktemp("draws")
    with start_devnet(DevnetConfig(folder=folder)) as devnet:
        yield gather(devnet)


def gather(devnet):
    sponsor, *others = derive_signers(1 + AGENTS + VALIDATORS)
    book = deploy_suite(RpcDeployer(devnet.rpc, sponsor), NETWORK, sponsor.address)
    ledger = EthereumLedger(devnet.rpc, book)
    agents, validators = others[:AGENTS], others[AGENTS:]
    plain = Players(devnet, ledger, sponsor, agents, [])
    plain.register_all()
    drawn = Drawn(devnet, ledger, sponsor, agents, validators)
    drawn.register_validators()
    return drawn


def create_drawn_task(players, monkeypatch):
    build = chain_players.build_task

    def build_drawn(*arguments):
        task = build(*arguments)
        return replace(task, min_validators=COMMITTEE, committee=COMMITTEE, seat_window=SEAT_WINDOW)

    monkeypatch.setattr(chain_players, "build_task", build_drawn)
    players.create_task()


def audit(players):
    """Return what an audit of the whole chain finds."""
    findings = Findings()
    book = players.ledger.book
    chain = ChainAudit(
        players.ledger.rpc,
        players.ledger,
        players.task_id,
        book.first_block,
        None,
        findings,
        lambda *_: None,
    ).prove()
    if chain is not None:
        audit_code(players.ledger.rpc, chain, findings)
        audit_storage(players.ledger.rpc, chain, players.task_id, findings)
    return {check.subject: check for check in findings.checks}


def require_sound(players):
    checks = audit(players)
    wrong = [check for check in checks.values() if check.status is Status.FAILED]
    assert wrong == []
    assert {"rules", "code", "storage"} <= {
        name for name, check in checks.items() if check.status is Status.PASSED
    }


def test_draws__two_rounds_with_a_silent_member__are_as_the_rules_say(players, monkeypatch):
    create_drawn_task(players, monkeypatch)
    ledger, task_id = players.ledger, players.task_id
    number = players.reach_seat()
    assert ledger.get_total_weight(task_id) == 1_000 * VALIDATORS
    open_first_seats(players, number)
    (proven,) = players.prove_seats(number).events
    assert proven.committee == ledger.get_draw(task_id).committee
    vote_and_replace(players, number)
    assert ledger.get_latest_version(task_id) == 1
    require_sound(players)
    check_second_round(players, ledger.get_draw(task_id).seats[0] % PLACES)


def open_first_seats(players, number):
    """Without a draw before, a block's hash is the seed."""
    ledger, task_id = players.ledger, players.task_id
    players.devnet.control.mine()
    ledger.send(calls.StartSeed(task_id), players.sponsor)
    with pytest.raises(SeedIsFixed):
        ledger.send(calls.StartSeed(task_id), players.sponsor)
    (opened,) = ledger.send(calls.OpenSeats(task_id, number), players.sponsor).events
    assert isinstance(opened, events.SeatsOpened)
    assert opened.seed == ledger.get_draw(task_id).seed != ZERO_DIGEST


def vote_and_replace(players, number):
    """Two members are silent; the spare one takes a seat and decides."""
    first = players.seated
    assert len(first) == COMMITTEE
    (spare,) = set(players.validators) - set(first)
    with pytest.raises(NotEntitled):
        players.vote(number, spare)
    players.vote(number, *first[:3])
    require_sound(players)
    players.pass_time(players.ledger.get_task(players.task_id).vote_window)
    replaced = players.settle().events
    assert any(isinstance(event, events.SeatsReplaced) for event in replaced)
    slashed = {event.agent for event in replaced if isinstance(event, events.AgentSlashed)}
    assert slashed == {who.address for who in first[3:]}
    assert set(players.seated) == {*first[:3], spare}
    require_sound(players)
    players.vote(number, spare)
    players.settle()


def check_second_round(players, leader):
    """A beacon, the leader of the draw before, gives the next seed."""
    ledger, task_id = players.ledger, players.task_id
    players.pass_time(3 * NETWORK.epoch_length)
    number = players.reach_seat()
    draw = ledger.get_draw(task_id).draw
    assert draw.beacons & 0xFF == leader + 1
    players.devnet.control.mine()
    (who,) = [who for who in players.validators if players.get_place(who) == leader]
    proven = players.prove(who, ledger.get_beacon_message(task_id))
    (fixed,) = ledger.send(calls.RevealSeed(task_id, 0, *proven), players.sponsor).events
    assert isinstance(fixed, events.SeedFixed)
    ledger.send(calls.OpenSeats(task_id, number), players.sponsor)
    players.prove_seats(number)
    players.vote(number, *players.seated[:4])
    with pytest.raises(WrongPhase):
        players.vote(number, players.seated[4])
    players.settle()
    assert ledger.get_latest_version(task_id) == 2
    ledger.send(calls.RefreshDrawKey(task_id, who.address), who)
    ledger.send(calls.LeaveTask(task_id), who)
    require_sound(players)
