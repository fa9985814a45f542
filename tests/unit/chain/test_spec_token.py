# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
import pytest

from flchain.chain.spec.token import UNLIMITED, get_allowance
from flchain.protocol import calls, reverts
from flchain.protocol.eip712 import TOKEN_NAME, Domain, compute_signing_digest, hash_permit
from flchain.protocol.types import ZERO_ADDRESS
from tests.unit.chain.stage import ADDRESSES, FUNDS, SIGNERS, START, Stage

A1, A2 = ADDRESSES["a1"], ADDRESSES["a2"]


@pytest.fixture
def stage():
    return Stage()


def permit(stage, *, signer="a1", value=5, nonce=0, deadline=START):
    domain = Domain(stage.state.config.chain_id, stage.addresses.token, TOKEN_NAME)
    signed = hash_permit(A1, A2, value, nonce, deadline)
    raw = SIGNERS[signer].sign_digest(compute_signing_digest(domain, signed))
    return calls.Permit(A1, A2, value, deadline, raw[64], raw[:32], raw[32:64])


def test_transfer__to_somebody_and_to_oneself__keeps_the_supply(stage):
    stage.send("a1", calls.Transfer(A2, 5))
    stage.send("a2", calls.Transfer(A2, 7))
    assert (stage.balance("a1"), stage.balance("a2")) == (FUNDS - 5, FUNDS + 5)


def test_transfer__too_much_or_to_nobody__is_refused(stage):
    with pytest.raises(reverts.ERC20InsufficientBalance):
        stage.send("a1", calls.Transfer(A2, FUNDS + 1))
    with pytest.raises(reverts.ERC20InvalidReceiver):
        stage.send("a1", calls.Transfer(ZERO_ADDRESS, 1))


def test_transfer_from__allowance__is_used_up(stage):
    stage.send("a1", calls.Approve(A2, 6))
    stage.send("a2", calls.TransferFrom(A1, ADDRESSES["a3"], 4))
    assert stage.balance("a3") == FUNDS + 4
    assert get_allowance(stage.state, A1, A2) == 2
    with pytest.raises(reverts.ERC20InsufficientAllowance):
        stage.send("a2", calls.TransferFrom(A1, A2, 3))


def test_transfer_from__unlimited_allowance__is_not_used_up(stage):
    stage.send("a1", calls.Approve(A2, UNLIMITED))
    stage.send("a2", calls.TransferFrom(A1, A2, 4))
    assert get_allowance(stage.state, A1, A2) == UNLIMITED


def test_transfer_from__nobodys_nothing__is_refused_as_openzeppelin_does(stage):
    with pytest.raises(reverts.ERC20InvalidApprover):
        stage.send("a1", calls.TransferFrom(ZERO_ADDRESS, A1, 0))


def test_approve__nobody__is_refused(stage):
    with pytest.raises(reverts.ERC20InvalidSpender):
        stage.send("a1", calls.Approve(ZERO_ADDRESS, 1))


def test_permit__owners_signature__works_once(stage):
    call = permit(stage)
    stage.send("stranger", call)
    assert get_allowance(stage.state, A1, A2) == 5
    with pytest.raises(reverts.ERC2612InvalidSigner):
        stage.send("stranger", call)


def test_permit__somebody_elses_late_or_malleable__is_refused(stage):
    with pytest.raises(reverts.ERC2612InvalidSigner) as caught:
        stage.send("a1", permit(stage, signer="a2"))
    assert caught.value == reverts.ERC2612InvalidSigner(A2, A1)
    with pytest.raises(reverts.ERC2612ExpiredSignature):
        stage.send("a1", permit(stage, deadline=START - 1))
    good = permit(stage)
    malleable = calls.Permit(A1, A2, 5, START, good.v, good.r, b"\xff" * 32)
    with pytest.raises(reverts.ECDSAInvalidSignatureS):
        stage.send("a1", malleable)
    with pytest.raises(reverts.ECDSAInvalidSignature):
        stage.send("a1", calls.Permit(A1, A2, 5, START, 29, good.r, good.s))


def test_token__deployment_without_one__has_none():
    stage = Stage(has_token=False)
    for call in (calls.Approve(A2, 1), calls.Transfer(A2, 0), calls.TransferFrom(A1, A2, 0)):
        with pytest.raises(reverts.SafeERC20FailedOperation):
            stage.send("a1", call)
