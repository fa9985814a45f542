"""The vault: sealed for one account, one record per phase for ever, wiped when a round is over."""

from dataclasses import replace

import pytest

from flchain.protocol.errors import ConfigError
from flchain.protocol.types import Phase, RoundId, TaskId
from flchain.roles.journal import DiskJournal, MemoryJournal
from flchain.roles.masked.vault import KeptRecord, Vault
from tests.e2e.federation import make_key
from tests.unit.roles.masked.scenes import make_entropy, make_secure

ONE, TWO = RoundId(1), RoundId(2)
RECORD = KeptRecord(b"a" * 32, b"d" * 32, b"payload")


@pytest.fixture(scope="module")
def context():
    return make_secure(3).agents[0].context


@pytest.fixture
def make(context):
    journal = MemoryJournal()

    def build(**changes):
        made = replace(context, **{"journal": journal, **changes})
        return Vault(made, make_entropy("vault"))

    return build


def list_names(vault):
    return sorted(vault.context.journal.names())


def test_begin__twice__gives_the_first_secret_and_weight(make):
    vault = make()
    assert vault.get_secret(ONE) is None
    secret = vault.begin(ONE, 5)
    assert len(secret.seed) == 32
    assert secret.weight == 5
    assert vault.begin(ONE, 7) == secret == make().get_secret(ONE)
    assert vault.begin(TWO, 5).seed != secret.seed


def test_secret__shown__tells_no_seed(make):
    secret = make().begin(ONE, 5)
    assert secret.seed.hex() not in repr(secret)
    assert repr(secret.seed) not in repr(secret)


def test_record__kept__comes_back_after_a_restart_and_stays_the_only_one(make):
    vault = make()
    assert vault.get_record(ONE, Phase.SUBMIT) is None
    vault.keep_record(ONE, Phase.SUBMIT, RECORD)
    assert make().get_record(ONE, Phase.SUBMIT) == RECORD
    with pytest.raises(ConfigError, match="has a record of SUBMIT already"):
        make().keep_record(ONE, Phase.SUBMIT, replace(RECORD, payload=b"another"))
    with pytest.raises(ConfigError, match="already"):
        make().keep_record(ONE, Phase.SUBMIT, RECORD)
    assert make().get_record(ONE, Phase.SUBMIT) == RECORD
    assert make().get_record(ONE, Phase.UNMASK) is None
    assert make().get_record(TWO, Phase.SUBMIT) is None


def test_entry__in_the_journal__has_nothing_in_the_clear(make):
    vault = make()
    seed = vault.begin(ONE, 5).seed
    vault.keep_record(ONE, Phase.JOIN, RECORD)
    for name in list_names(vault):
        data = vault.context.journal.read(name)
        assert seed not in data
        assert RECORD.payload not in data
        assert RECORD.digest not in data


def test_entry__same_data_twice__is_sealed_differently(context):
    vault = Vault(replace(context, journal=MemoryJournal()), make_entropy("one"))
    vault.keep_record(ONE, Phase.JOIN, RECORD)
    vault.keep_record(ONE, Phase.SHARES, RECORD)
    first, second = (vault.context.journal.read(name) for name in list_names(vault))
    assert first[:12] != second[:12]
    assert first[12:] != second[12:]


def test_entry__another_account__cannot_be_read(make):
    make().begin(ONE, 5)
    make().keep_record(ONE, Phase.JOIN, RECORD)
    other = make(signer=make_key(9))
    with pytest.raises(ConfigError, match="another account's"):
        other.get_secret(ONE)
    with pytest.raises(ConfigError, match="another account's"):
        other.get_record(ONE, Phase.JOIN)
    # It does not begin anew either: that would be a second set of secrets.
    with pytest.raises(ConfigError, match="stay out of the round"):
        other.begin(ONE, 5)


@pytest.mark.parametrize("place", [0, 11, 12, 30, -1])
def test_entry__flipped_byte__is_refused(make, place):
    vault = make()
    vault.begin(ONE, 5)
    (name,) = list_names(vault)
    data = bytearray(vault.context.journal.read(name))
    data[place] ^= 1
    vault.context.journal.write(name, bytes(data))
    with pytest.raises(ConfigError, match=f"journal entry {name} is damaged"):
        make().begin(ONE, 5)


@pytest.mark.parametrize("size", [0, 5, 12, 20])
def test_entry__cut_short__is_refused(make, size):
    vault = make()
    vault.keep_record(ONE, Phase.JOIN, RECORD)
    (name,) = list_names(vault)
    vault.context.journal.write(name, vault.context.journal.read(name)[:size])
    with pytest.raises(ConfigError, match="damaged"):
        make().get_record(ONE, Phase.JOIN)


def test_entry__moved_to_another_round_or_phase__is_refused(make):
    vault = make()
    vault.keep_record(ONE, Phase.JOIN, RECORD)
    (name,) = list_names(vault)
    journal = vault.context.journal
    for other in (name.replace("00000001", "00000002"), name.replace("-join", "-unmask")):
        assert other != name
        journal.write(other, journal.read(name))
    with pytest.raises(ConfigError):
        vault.get_record(TWO, Phase.JOIN)
    with pytest.raises(ConfigError):
        vault.get_record(ONE, Phase.UNMASK)


def test_wipe__one_of_two_rounds__leaves_the_later_and_what_is_not_its_own(make):
    vault = make()
    vault.context.journal.write("memory-1", b"kept")
    for number in (ONE, TWO):
        vault.begin(number, 5)
        vault.keep_record(number, Phase.JOIN, RECORD)
    vault.wipe(ONE)
    assert vault.get_secret(ONE) is None
    assert vault.get_record(ONE, Phase.JOIN) is None
    assert vault.get_record(TWO, Phase.JOIN) == RECORD
    vault.wipe(TWO)
    assert list_names(vault) == ["memory-1"]


def test_wipe__another_task_in_the_same_journal__keeps_its_secrets(make):
    mine, theirs = make(), make(task_id=TaskId(2))
    secret = theirs.begin(ONE, 5)
    mine.begin(ONE, 5)
    mine.wipe(ONE)
    assert mine.get_secret(ONE) is None
    assert theirs.get_secret(ONE) == secret


def test_vault__on_disk__is_there_after_a_restart(context, tmp_path):
    made = replace(context, journal=DiskJournal(tmp_path))
    secret = Vault(made, make_entropy("disk")).begin(ONE, 5)
    again = Vault(replace(context, journal=DiskJournal(tmp_path)), make_entropy("other"))
    assert again.begin(ONE, 9) == secret
    again.wipe(ONE)
    assert not [path for path in tmp_path.rglob("*") if secret.seed in path.name.encode()]
    assert again.get_secret(ONE) is None
