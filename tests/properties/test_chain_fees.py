"""Prices stay within their cap, and replacements are what nodes accept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.chain.fees import (
    FeePolicy,
    Fees,
    compute_bumped_fees,
    compute_fees,
    compute_gas_limit,
)
from flchain.protocol.errors import AdapterError

WEI = st.integers(min_value=0, max_value=10**13)


@given(WEI, WEI, WEI)
def test_fees__any_base_fee__offer_covers_it_within_cap(base_fee, cap, priority_fee):
    policy = FeePolicy(max_fee=cap, priority_fee=priority_fee)
    if base_fee > cap:
        with pytest.raises(AdapterError):
            compute_fees(base_fee, policy)
        return
    fees = compute_fees(base_fee, policy)
    assert base_fee <= fees.max_fee <= cap
    assert fees.priority_fee <= fees.max_fee


@given(WEI, WEI, WEI)
def test_bumped_fees__any_offer__a_tenth_more_or_none(max_fee, priority_fee, cap):
    fees = Fees(max_fee, min(priority_fee, max_fee))
    bumped = compute_bumped_fees(fees, FeePolicy(max_fee=cap))
    if bumped is None:
        return
    assert bumped.max_fee <= cap
    assert bumped.max_fee * 10 >= fees.max_fee * 11
    assert bumped.priority_fee * 10 >= fees.priority_fee * 11
    assert bumped.priority_fee <= bumped.max_fee


@given(st.integers(min_value=0, max_value=30_000_000))
def test_gas_limit__any_estimate__half_as_much_again(estimate):
    assert compute_gas_limit(estimate, FeePolicy()) >= estimate * 3 // 2
