"""Masked rounds over Anvil in which a node lies, the chain goes back, or somebody cheats."""

from dataclasses import replace
from functools import partial
from itertools import count

import pytest

from flchain.crypto.bn254_backends import get_backend
from flchain.crypto.commitments import BN254_KEY, Opening, commit
from flchain.crypto.secagg.errors import (
    ForeignRound,
    ForeignSender,
    KeyReused,
    MalformedMessage,
    WeightSumMismatch,
)
from flchain.crypto.secagg.keys import (
    collect_keys,
    decode_keys,
    derive_randomness,
    derive_secrets,
    get_public_keys,
    prove_keys,
)
from flchain.crypto.secagg.weights import WeightCommitment, commit_weight, encode_weight
from flchain.protocol.calls import PostRecord, RelayRecords, ReportEquivocation
from flchain.protocol.digests import WORD, pack_bits
from flchain.protocol.errors import ProofError
from flchain.protocol.events import AgentSlashed, RecordVoided
from flchain.protocol.reverts import (
    AlreadyPosted,
    AlreadyPunished,
    NoOffence,
    NotEntitled,
    StaleView,
)
from flchain.protocol.types import Bitmap, Digest, Outcome, Phase, RoundId
from flchain.roles.archive import MalformedPayload
from flchain.roles.audit import verify_task
from flchain.roles.execution import compute_survivors
from flchain.roles.masked.blobs import Messages, join_messages, split_join
from flchain.roles.masked.rosters import decode_join
from tests.e2e.federation import open_site
from tests.e2e.masked_attacks import (
    AGENTS,
    FIRST,
    MEMBERS,
    SECOND,
    THRESHOLD,
    LyingNode,
    WithholdingArchive,
    change_context,
    forge_message,
    make_arena,
    sign_record,
    strip_anchor,
    use_keys,
)
from tests.e2e.masked_stage import PATIENT
from tests.unit.roles.masked.scenes import reach, tick_all

pytestmark = [pytest.mark.anvil, pytest.mark.slow, pytest.mark.timeout(300)]

ARENAS = 30
LAST = AGENTS - 1
"""The agent that cheats, or is cheated."""
PENALTY = PATIENT.network.validator_stake // 100

_turns = count()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masked")
    with open_site(folder, PATIENT, members=1 + ARENAS * MEMBERS) as opened:
        yield opened


@pytest.fixture
def keys(site):
    """Members whom no other test has slashed."""
    start = 1 + MEMBERS * next(_turns)
    return site.keys[start : start + MEMBERS]


@pytest.fixture
def arena(site, keys):
    return make_arena(site, keys)


def play(arena, rounds=1):
    return arena.federation.run(rounds, claims=False)


def get_survivors(seen, number=FIRST):
    return {each.agent for each in compute_survivors(seen.past.rounds[number])}


def get_released(seen, number=FIRST):
    """Return whose releases stand on the chain."""
    masked = seen.past.rounds[number].masked
    return {seen.past.holders[place] for place in masked.get_records(Phase.UNMASK)}


def get_members(seen, number=FIRST):
    masked = seen.past.rounds[number].masked
    return {seen.past.holders[place] for place in masked.get_set(Phase.CHECK)}


def is_sound(arena):
    """Execute every round again. This node goes back in time and then proves no state any more."""
    federation = arena.federation
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound, [str(check) for check in report.failures]
    return report


def test_agent__released_before_the_chain_went_back__tells_no_other_share(site, arena):
    federation = arena.federation
    reach(federation, Phase.ATTEST)
    snapshot = site.control.take_snapshot()
    reach(federation, Phase.UNMASK)
    told, others = federation.agents[:THRESHOLD], federation.agents[THRESHOLD:]
    tick_all(federation, told)
    kept = [agent._participant.vault.get_record(FIRST, Phase.UNMASK) for agent in told]
    before = sorted(arena.list_messages("release"))
    assert len(before) == THRESHOLD
    # On the other branch one survivor less: its key share is asked for instead of the other one.
    arena.go_back(snapshot)
    arena.attest(Phase.ATTEST, arena.get_accounts() - {arena.get_account(LAST)})
    reach(federation, Phase.UNMASK, [federation.orchestrator])
    restarted = [replace(agent) for agent in told]
    for _ in range(2):
        tick_all(federation, [*told, *restarted])
    assert get_released(federation.watch.observe()) == set()
    assert sorted(arena.list_messages("release")) == before
    assert [agent._participant.vault.get_record(FIRST, Phase.UNMASK) for agent in told] == kept
    reason = "the chain went another way after a record was made"
    for number in range(THRESHOLD):
        assert arena.get_reasons(number) == [reason, reason]
    # The others have told nothing yet, so they tell what this branch asks for.
    tick_all(federation, others)
    assert get_released(federation.watch.observe()) == arena.get_accounts(range(THRESHOLD, AGENTS))


def test_agent__same_branch_again__tells_the_same_release_and_no_other(site, arena):
    federation = arena.federation
    seen = reach(federation, Phase.UNMASK)
    snapshot = site.control.take_snapshot()
    tick_all(federation, federation.agents[:1])
    place = seen.find_place(arena.get_account(0))
    first = federation.watch.observe().masked_past.get_records(Phase.UNMASK)
    arena.go_back(snapshot)
    assert federation.watch.observe().masked_past.get_records(Phase.UNMASK) == {}
    tick_all(federation, [replace(federation.agents[0])])
    seen = federation.watch.observe()
    assert seen.masked_past.get_records(Phase.UNMASK) == first == {place: first[place]}
    call = PostRecord(federation.task_id, FIRST, Phase.UNMASK, seen.masked.anchor, bytes(31) + b"1")
    with pytest.raises(AlreadyPosted):
        federation.ledger.send(call, federation.agents[0].context.signer)


@pytest.mark.parametrize("is_thorough", [False, True], ids=["events", "events and anchor"])
def test_node__shows_one_agent_other_survivors__nothing_is_told_and_the_round_goes_on(
    site, arena, is_thorough
):
    federation, victim = arena.federation, arena.federation.agents[0]
    seen = reach(federation, Phase.UNMASK)
    key = victim.context.get_round_key(FIRST)
    left_out = seen.find_place(arena.get_account(LAST))
    liar = LyingNode(arena.line, key, left_out, is_thorough=is_thorough)
    shown = replace(federation, ledger=liar)
    fooled = replace(victim, context=replace(victim.context, ledger=liar), upkeep=None)
    seen = shown.watch.observe()
    assert seen.name_set(Phase.ATTEST) == arena.get_accounts(range(LAST))
    fooled.tick(seen)
    (reason,) = arena.get_reasons(0)
    # Where the node's story fits together the chain refuses the record, and nothing is published.
    named = str(StaleView(bytes(32), bytes(32))) if is_thorough else "the set of ATTEST differs"
    assert named in reason
    assert arena.list_messages("release") == []
    # Nor does it tell anything once it sees the truth.
    rest = [role for role in federation.roles if role is not victim]
    final = federation.run_roles([replace(fooled, context=victim.context), *rest], is_final)
    assert final.live.outcome is Outcome.FINALIZED
    if is_thorough:
        assert get_released(final) == arena.get_accounts(range(1, AGENTS))
    assert get_survivors(final) == arena.get_accounts()
    assert is_sound(arena)


def is_final(seen):
    return seen.round.outcome is not Outcome.NONE


def test_reorganisation__takes_a_vector_back__no_owner_has_both_secrets_told(site, arena):
    federation = arena.federation
    reach(federation, Phase.SUBMIT)
    tick_all(federation, federation.agents[:LAST])
    snapshot = site.control.take_snapshot()
    tick_all(federation, federation.agents[LAST:])
    reach(federation, Phase.UNMASK)
    early = arena.get_accounts(range(2))
    tick_all(federation, federation.agents[:2])
    arena.go_back(snapshot)
    # The last vector never comes on this branch.
    rest = [federation.orchestrator, *federation.agents[:LAST], *federation.validators]
    reach(federation, Phase.UNMASK, rest)
    final = federation.run_roles(federation.roles, is_final)
    assert final.live.outcome is Outcome.FINALIZED
    assert get_survivors(final) == arena.get_accounts(range(LAST))
    assert get_released(final) == arena.get_accounts() - early
    # Two holders told a share of its self-mask secret on the other branch: too few to restore it.
    assert len(early) < THRESHOLD
    assert sorted(arena.list_messages("release")) == sorted(map(str.lower, arena.get_accounts()))
    assert is_sound(arena)


KINDS = {
    Phase.JOIN: "keys",
    Phase.SHARES: "sharing",
    Phase.SUBMIT: "masked",
    Phase.UNMASK: "release",
}


@pytest.mark.parametrize("phase", KINDS, ids=lambda phase: phase.name)
def test_message__digest_posted_and_blob_withheld__the_round_goes_on_without_it(arena, phase):
    agent = arena.federation.agents[LAST]
    archive = WithholdingArchive(agent.context.archive, {KINDS[phase]})
    change_context(agent, shared_archive=archive)
    others, everybody = arena.get_accounts(range(LAST)), arena.get_accounts()
    seen = play(arena)
    past = seen.live
    assert past.outcome is Outcome.FINALIZED
    assert seen.name_records(phase).keys() == everybody
    assert str.lower(arena.get_account(LAST)) not in arena.list_messages(KINDS[phase])
    assert get_members(seen) == (others if phase <= Phase.SHARES else everybody)
    assert get_survivors(seen) == (everybody if phase is Phase.UNMASK else others)


@pytest.mark.parametrize("phase", KINDS, ids=lambda phase: phase.name)
def test_message__of_the_round_before__is_refused(site, keys, phase):
    arena = make_arena(site, keys, rounds=2)
    agent, account = arena.federation.agents[LAST], arena.get_account(LAST)
    first = play(arena)
    old = first.name_records(phase)[account]
    terms, context = arena.federation.terms, arena.federation.validators[0].context
    messages = Messages(terms, context.archive, context.get_origin(SECOND))
    with pytest.raises(MalformedPayload):
        messages.fetch(account, phase, old)
    post_instead(agent, phase, old)
    seen = play(arena, 2)
    past = seen.past.rounds[SECOND]
    assert past.outcome is Outcome.FINALIZED
    assert seen.name_records(phase)[account] == old
    others = arena.get_accounts(range(LAST))
    assert (account in get_members(seen, SECOND)) == (phase >= Phase.SUBMIT)
    assert get_survivors(seen, SECOND) == (
        arena.get_accounts() if phase is Phase.UNMASK else others
    )


def post_instead(agent, phase, digest):
    """Let an agent post this digest in a phase instead of what it makes."""
    part = agent._participant
    post = part._posting.post

    def replay(seen, kept):
        if seen.phase is not phase:
            return post(seen, kept)
        if seen.name_records(phase).get(agent.context.signer.address) == digest:
            return False
        call = PostRecord(agent.context.task_id, seen.round.round, phase, kept.anchor, digest)
        agent.context.send(call, seen.round.round)
        return True

    part._posting.post = replay


def test_keys__of_the_round_before_or_of_another_agent__are_refused_by_name(site, keys):
    arena = make_arena(site, keys, rounds=2)
    play(arena)
    agent, other = arena.federation.agents[:2]
    bound = [
        each.context.get_origin(FIRST).bind(each.context.signer.address) for each in (agent, other)
    ]
    messages = Messages(
        arena.federation.terms, agent.context.archive, agent.context.get_origin(FIRST)
    )
    seen = arena.federation.watch.observe()
    account = agent.context.signer.address
    data, _ = split_join(
        messages.fetch(account, Phase.JOIN, seen.name_records(Phase.JOIN)[account])
    )
    decode_keys(data, bound[0])
    with pytest.raises(ForeignSender):
        decode_keys(data, bound[1])
    with pytest.raises(ForeignRound):
        decode_keys(data, agent.context.get_origin(SECOND).bind(account))
    # Sealed anew as a message of this round it is refused all the same.
    forge_message(arena.federation.agents[LAST], "_join", lambda own: data + own[len(data) :])
    seen = play(arena, 2)
    assert get_survivors(seen, SECOND) == arena.get_accounts(range(LAST))


def relay(arena, phase, forged=()):
    """Relay what the agents offer, all but the last one's, and what is forged for somebody."""
    federation, upkeep = arena.federation, arena.federation.orchestrator.upkeep
    seen = federation.watch.observe()
    found = upkeep.relaying.gather(seen)
    found.pop(seen.find_place(arena.get_account(LAST)), None)
    for agent in forged:
        place = seen.find_place(agent.context.signer.address)
        record = sign_record(agent, seen, Digest(b"forged".ljust(32)), upkeep.context.signer)
        found[place] = strip_anchor(record)
    places = sorted(found)
    bitmap = Bitmap(pack_bits(places, AGENTS, WORD))
    records = tuple(found[place] for place in places)
    call = RelayRecords(federation.task_id, FIRST, phase, seen.masked.anchor, bitmap, records)
    arena.line.send(call, upkeep.context.signer)


@pytest.fixture
def relayed(arena):
    """An arena in SHARES, where all agents have offered their records to a relayer."""
    for agent in arena.federation.agents:
        agent.is_relayed = True
    reach(arena.federation, Phase.SHARES)
    tick_all(arena.federation, arena.federation.agents)
    assert arena.federation.watch.observe().name_records(Phase.SHARES) == {}
    return arena


def test_relayer__leaves_an_agent_out__the_agent_posts_itself_and_survives(site, relayed):
    relay(relayed, Phase.SHARES)
    seen = relayed.federation.watch.observe()
    assert seen.name_records(Phase.SHARES).keys() == relayed.get_accounts(range(LAST))
    relayed.federation.orchestrator.upkeep.relaying.tick = lambda seen: False
    seen = play(relayed)
    assert seen.live.outcome is Outcome.FINALIZED
    assert get_survivors(seen) == relayed.get_accounts()
    place = seen.find_place(relayed.get_account(LAST))
    assert place in seen.masked_past.get_posted(Phase.SHARES)
    assert is_sound(relayed)


def test_relayer__forges_a_record__it_is_voided_the_relayer_slashed_and_the_agent_survives(
    site, relayed
):
    federation = relayed.federation
    relayer = federation.orchestrator.upkeep.context.signer.address
    stake = relayed.get_stake(relayer)
    relay(relayed, Phase.SHARES, forged=[federation.agents[LAST]])
    seen = federation.watch.observe()
    assert seen.name_records(Phase.SHARES)[relayed.get_account(LAST)] == b"forged".ljust(32)
    federation.orchestrator.upkeep.relaying.tick = lambda seen: False
    seen = play(relayed)
    voided = [e.event for e in federation.ledger.get_events(kinds=(RecordVoided,))]
    assert [e.agent for e in voided if e.task_id == federation.task_id] == [
        relayed.get_account(LAST)
    ]
    assert stake - relayed.get_stake(relayer) == PATIENT.network.validator_stake // 2
    assert seen.live.outcome is Outcome.FINALIZED
    assert get_survivors(seen) == relayed.get_accounts()
    assert is_sound(relayed)


def spoil_last_share(payload):
    return payload[:-1] + bytes([payload[-1] ^ 1])


def test_shares__one_is_bad__the_complaint_convicts_its_dealer_and_costs_nobody_else(site, arena):
    forge_message(arena.federation.agents[LAST], "_share", spoil_last_share)
    stakes = {account: arena.get_stake(account) for account in arena.get_accounts()}
    seen = play(arena)
    (complaint,) = seen.masked_past.complaints
    assert seen.past.holders[complaint.accused] == arena.get_account(LAST)
    assert seen.live.outcome is Outcome.FINALIZED
    assert get_members(seen) == get_survivors(seen) == arena.get_accounts(range(LAST))
    assert {account: arena.get_stake(account) for account in stakes} == stakes
    # Whoever is left out has no part in what follows.
    call = PostRecord(arena.federation.task_id, FIRST, Phase.SUBMIT, bytes(32), bytes(32))
    assert arena.get_account(LAST) not in seen.name_records(Phase.SUBMIT)
    assert call.phase is Phase.SUBMIT
    assert is_sound(arena)


def test_complaint__share_is_right__convicts_nobody_and_costs_the_accuser(site, arena):
    federation = arena.federation
    seen = reach(federation, Phase.CHECK)
    part = federation.agents[LAST]._participant
    roster, secrets, _ = part._read_sharings(seen, Phase.SHARES)
    part._complain(seen, roster, secrets, arena.get_account(0))
    stakes = {account: arena.get_stake(account) for account in arena.get_accounts()}
    seen = play(arena)
    assert get_survivors(seen) == arena.get_accounts()
    taken = {account: before - arena.get_stake(account) for account, before in stakes.items()}
    assert taken == {**dict.fromkeys(stakes, 0), arena.get_account(LAST): PENALTY}
    assert is_sound(arena)


def test_weight__another_than_committed__no_model_nobody_slashed_and_the_audit_says_so(site, arena):
    part = arena.federation.agents[LAST]._participant
    get = part._secrets

    def lie(seen):
        secret, secrets = get(seen)
        return replace(secret, weight=secret.weight + 1), secrets

    part._secrets = lie
    stakes = {account: arena.get_stake(account) for account in arena.get_accounts()}
    seen = play(arena)
    assert seen.live.outcome is Outcome.REJECTED_QUALITY
    assert get_survivors(seen) == arena.get_accounts()
    assert arena.federation.ledger.get_latest_version(arena.federation.task_id) == 0
    assert {account: arena.get_stake(account) for account in stakes} == stakes
    assert not slashed_in(arena)
    report = is_sound(arena)
    assert [c for c in report.checks if WeightSumMismatch.__name__ in str(c)]


def slashed_in(arena):
    events = [entry.event for entry in arena.federation.ledger.get_events(kinds=(AgentSlashed,))]
    return [e for e in events if e.agent in arena.get_accounts()]


def forge_weight(agent, weight, most, own):
    """Return a message of JOIN with a commitment to `weight`.

    `most` is the bound that its proof is for; with None the proof is that of a right weight.
    """
    bound = agent.context.get_origin(FIRST).bind(agent.context.signer.address)
    seed = b"weight".ljust(32)
    if most is None:
        true, opening = commit_weight(1, agent.terms.policy.update.w_max, bound, seed)
        point = commit(get_backend(), BN254_KEY, Opening(weight, opening.blinding))
        forged = WeightCommitment(point, true.proof)
    else:
        forged, _ = commit_weight(weight, most, bound, seed)
    return join_messages(split_join(own)[0], encode_weight(forged, bound))


@pytest.mark.parametrize(
    ("over", "factor", "error"),
    [(0, None, ProofError), (1, None, ProofError), (1, 4, MalformedMessage)],
    ids=["zero", "proof of another", "larger bound"],
)
def test_weight__out_of_range__is_left_out(arena, over, factor, error):
    agent = arena.federation.agents[LAST]
    most = arena.federation.terms.policy.update.w_max
    weight = most + over if over else 0
    forge = partial(forge_weight, agent, weight, factor and factor * most)
    forge_message(agent, "_join", forge)
    seen = play(arena)
    assert seen.live.outcome is Outcome.FINALIZED
    assert arena.get_account(LAST) in seen.name_records(Phase.JOIN)
    assert get_members(seen) == get_survivors(seen) == arena.get_accounts(range(LAST))
    origin = agent.context.get_origin(FIRST)
    messages = Messages(
        arena.federation.terms, arena.federation.validators[0].context.archive, origin
    )
    account = arena.get_account(LAST)
    data = messages.fetch(account, Phase.JOIN, seen.name_records(Phase.JOIN)[account])
    with pytest.raises(error):
        decode_join(data, most, origin.bind(account))
    with pytest.raises(ProofError):
        commit_weight(weight, most, origin.bind(account), bytes(32))


def prove(agent, number, secrets):
    bound = agent.context.get_origin(number).bind(agent.context.signer.address)
    return prove_keys(secrets, bound, derive_randomness(bytes(32), bound, "keys")), bound


def make_secrets(agent):
    bound = agent.context.get_origin(FIRST).bind(agent.context.signer.address)
    return derive_secrets(b"used twice".ljust(32), bound)


def test_keys__the_same_of_two_agents__both_are_left_out(arena):
    pair = arena.federation.agents[LAST - 1 :]
    secrets = make_secrets(pair[0])
    for agent in pair:
        use_keys(agent, secrets)
    seen = play(arena)
    assert seen.live.outcome is Outcome.FINALIZED
    assert seen.name_records(Phase.JOIN).keys() == arena.get_accounts()
    assert get_members(seen) == arena.get_accounts(range(LAST - 1))
    proven = {each.context.signer.address: prove(each, FIRST, secrets)[0] for each in pair}
    with pytest.raises(KeyReused):
        collect_keys(proven, prove(pair[0], FIRST, secrets)[1])


def test_keys__of_the_round_before_proven_anew__are_left_out(site, keys):
    arena = make_arena(site, keys, rounds=2)
    agent = arena.federation.agents[LAST]
    secrets = make_secrets(agent)
    use_keys(agent, secrets)
    seen = play(arena, 2)
    assert get_survivors(seen, FIRST) == arena.get_accounts()
    assert get_survivors(seen, SECOND) == arena.get_accounts(range(LAST))
    proven, bound = prove(agent, SECOND, secrets)
    used = get_public_keys(secrets)
    with pytest.raises(KeyReused):
        collect_keys({bound.agent: proven}, bound, used=[used.masking])


def test_rounds__repeated_without_one_agent__second_sum_is_never_opened(site, keys):
    arena = make_arena(site, keys, rounds=3)
    federation = arena.federation
    # The sum of all six is opened on chain, but too few release.
    reach(federation, Phase.UNMASK)
    tick_all(federation, federation.agents[:2])
    idle = [federation.orchestrator, *federation.validators]
    seen = federation.run_roles(idle, is_final)
    assert seen.live.outcome is Outcome.ABORTED_UNMASK
    without = [*idle, *federation.agents[:LAST]]
    seen = federation.run_roles(without, lambda seen: seen.round.round == 2 and is_final(seen))
    assert seen.live.outcome is Outcome.ABORTED_DIFFERENCING
    assert len(seen.name_records(Phase.SUBMIT)) == LAST
    assert arena.list_messages("release", SECOND) == []
    assert get_released(seen, SECOND) == set()
    # With all six again nothing more can be learnt.
    seen = play(arena, 3)
    assert seen.live.outcome is Outcome.FINALIZED
    assert get_survivors(seen, RoundId(3)) == arena.get_accounts()
    assert is_sound(arena)


def test_agent__signs_two_records_of_a_phase__is_slashed_once_and_the_reporter_paid(arena):
    federation, cheat = arena.federation, arena.federation.agents[LAST]
    seen = reach(federation, Phase.SHARES)
    first, second = (sign_record(cheat, seen, Digest(bytes([n]) * 32)) for n in (1, 2))
    account, reporter = arena.get_account(LAST), federation.agents[0].context.signer
    stake, balance = arena.get_stake(account), federation.ledger.get_balance(reporter.address)
    report = partial(ReportEquivocation, federation.task_id, FIRST, Phase.SHARES, account)
    with pytest.raises(NoOffence):
        federation.ledger.send(report(first, first), reporter)
    federation.ledger.send(report(first, second), reporter)
    taken = stake - arena.get_stake(account)
    assert taken == min(stake, PATIENT.network.validator_stake // 2)
    assert federation.ledger.get_balance(reporter.address) - balance == taken // 10
    with pytest.raises(AlreadyPunished):
        federation.ledger.send(report(second, first), reporter)


def test_agent__that_missed_a_step__cannot_come_back_in_the_round(arena):
    federation = arena.federation
    reach(federation, Phase.SHARES)
    rest = [role for role in federation.roles if role is not federation.agents[LAST]]
    seen = reach(federation, Phase.SUBMIT, rest)
    call = PostRecord(federation.task_id, FIRST, Phase.SUBMIT, seen.masked.anchor, b"1" * 32)
    with pytest.raises(NotEntitled):
        federation.ledger.send(call, federation.agents[LAST].context.signer)
