"""The keys with which a validator is drawn: files, rotation, recovery."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from flchain.cli import actions, draws, nodes, passwords, records
from flchain.config import Settings
from flchain.crypto.keys import create_keystore
from flchain.crypto.vrf import load_secret_key
from flchain.protocol.errors import ConfigError, FlchainError
from flchain.protocol.events import SeatsProven
from flchain.protocol.reverts import NothingAnnounced, RecoveryNotDue
from flchain.protocol.types import Digest
from flchain.roles.drawing import Drawing, hash_secret
from tests.e2e.federation import make_vrf_secret
from tests.unit.roles.drawn import make_drawn, pass_time

FRESH = load_secret_key(b"\7" * 32)


@pytest.fixture
def files(tmp_path):
    """Settings that name an account's key file and one for draws."""
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    paths = [tmp_path / "account.json", tmp_path / "vrf.json"]
    for number, path in enumerate(paths, 1):
        create_keystore(path, bytes([number]) * 32, "correct horse", rounds=2)
    keystore, vrf_keystore = paths
    return Settings(tmp_path, keystore=keystore, vrf_keystore=vrf_keystore, password_file=password)


def test_vrf_secret__its_file__is_the_key(files):
    assert passwords.require_vrf_secret(files) == load_secret_key(b"\2" * 32)


def test_vrf_secret__none_named__is_required_or_left_out(files):
    bare = replace(files, vrf_keystore=None)
    assert passwords.load_vrf_secret(bare) is None
    with pytest.raises(ConfigError, match="--vrf-keystore"):
        passwords.require_vrf_secret(bare)


def test_vrf_secret__the_accounts_own_file__is_refused(files):
    with pytest.raises(ConfigError, match="another than the account's"):
        passwords.load_vrf_secret(replace(files, vrf_keystore=files.keystore))


def test_vrf_secret__no_file_or_wrong_password__says_which(files, tmp_path):
    with pytest.raises(FlchainError, match=r"gone\.json"):
        passwords.load_vrf_secret(replace(files, vrf_keystore=tmp_path / "gone.json"))
    files.password_file.write_text("wrong\n")
    with pytest.raises(FlchainError, match="password"):
        passwords.load_vrf_secret(files)


@pytest.fixture
def stage(monkeypatch):
    """A drawn federation and the account and VRF key that commands act for."""
    federation = make_drawn()
    validator = federation.validators[0]
    made = SimpleNamespace(
        federation=federation,
        ledger=federation.ledger,
        context=validator.context,
        account=validator.context.signer.address,
        signer=validator.context.signer,
        secret=make_vrf_secret(validator.context.signer.address),
    )

    @contextmanager
    def open_session(_settings):
        task_id = federation.task_id
        yield SimpleNamespace(ledger=made.ledger, get_task_id=lambda: task_id)

    monkeypatch.setattr(actions, "open_session", open_session)
    monkeypatch.setattr(actions, "load_signer", lambda _: made.signer)
    monkeypatch.setattr(actions, "require_vrf_secret", lambda _: made.secret)
    monkeypatch.setattr(nodes, "require_vrf_secret", lambda _: made.secret)
    return made


def build(stage):
    node = SimpleNamespace(context=stage.context, terms=stage.federation.terms)
    return nodes.build_drawing(None, node)


def get_key_hash(stage):
    member = stage.ledger.get_member(stage.federation.task_id, stage.account)
    return stage.ledger.get_draw_key(stage.federation.task_id, member.place)[0].key_hash


def test_drawing__right_key__takes_part(stage):
    assert build(stage) == Drawing(stage.context, stage.secret)


def test_drawing__nobody_is_drawn__needs_no_key(stage):
    terms = stage.federation.terms
    everybody = replace(terms, task=replace(terms.task, committee=0))
    node = SimpleNamespace(context=stage.context, terms=everybody)
    assert nodes.build_drawing(None, node) is None


def test_drawing__other_key__says_what_to_do(stage):
    stage.secret = FRESH
    with pytest.raises(ConfigError, match="rotate-key"):
        build(stage)


def test_rotate_key__then_old_and_new__only_the_new_takes_part(stage, capsys):
    old, stage.secret = stage.secret, FRESH
    stake = stage.ledger.get_agent(stage.account).stake
    actions.rotate_vrf_key(None)
    assert "two epochs on" in capsys.readouterr().out
    assert get_key_hash(stage) == hash_secret(FRESH)[:20]
    assert stage.ledger.get_agent(stage.account).stake == stake
    build(stage)
    stage.secret = old
    with pytest.raises(ConfigError, match="another VRF key"):
        build(stage)


def test_recovery__by_the_guardian__the_task_gets_the_key_by_rotating(stage):
    owner, guardian = stage.signer, stage.federation.agents[0].context.signer
    actions.set_guardian(None, guardian.address)
    stage.signer, stage.secret = guardian, FRESH
    actions.announce_recovery(None, stage.account)
    with pytest.raises(RecoveryNotDue):
        actions.end_recovery(None, stage.account)
    pass_time(stage.federation, stage.ledger.state.config.unbonding_period)
    actions.end_recovery(None, stage.account)
    assert stage.ledger.get_proven_key(stage.account) == hash_secret(FRESH)
    # The task still has the lost key, and says so instead of refusing every proof.
    with pytest.raises(ConfigError, match="still has an earlier VRF key"):
        build(stage)
    stage.signer = owner
    actions.rotate_vrf_key(None)
    assert build(stage).key_hash[:20] == get_key_hash(stage)


def test_recovery__owner_cancels__nothing_is_left_to_execute(stage):
    owner, guardian = stage.signer, stage.federation.agents[0].context.signer
    actions.set_guardian(None, guardian.address)
    before = stage.ledger.get_proven_key(stage.account)
    stage.signer, stage.secret = guardian, FRESH
    actions.announce_recovery(None, stage.account)
    stage.signer = owner
    actions.end_recovery(None, None)
    pass_time(stage.federation, stage.ledger.state.config.unbonding_period)
    with pytest.raises(NothingAnnounced):
        actions.end_recovery(None, stage.account)
    assert stage.ledger.get_proven_key(stage.account) == before


def test_seats__after_a_round__the_lowest_scores_sit():
    federation = make_drawn()
    past = federation.run(1).past
    session = SimpleNamespace(
        ledger=federation.ledger, get_task_id=lambda: federation.task_id, run=None
    )
    rows = records.list_seats(session, None)
    assert {row["round"] for row in rows} == {1}
    assert sum(row["seats"] for row in rows) == past.rounds[1].seats == 5
    scores = [row["score"] for row in rows if row["seats"]]
    assert max(scores) < min((row["score"] for row in rows if not row["seats"]), default=1 << 48)
    assert records.list_seats(session, 2) == []


def test_proofs__place_taken_later_and_proof_shown_twice__one_row_of_who_was_drawn():
    federation = make_drawn()
    past = federation.run(1).past.rounds[1]
    holders = draws.read_holders(federation.ledger, federation.task_id)
    proven = [event for event in past.draws if isinstance(event, SeatsProven)]
    place = proven[0].places[0]
    before = draws.list_proofs(past, holders)
    newcomer = draws.Holding(past.block + 1, place, "0x" + "ab" * 20)
    skipped = replace(proven[-1], places=(61,), outputs=(Digest(bytes(32)),))
    again = replace(
        past, draws=(*past.draws, replace(proven[0], committee=past.committee), skipped)
    )
    assert draws.list_proofs(again, [*holders, newcomer]) == before
    assert len({row["place"] for row in before}) == len(before)
