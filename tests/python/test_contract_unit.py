"""A settlement contract ends once, and all of its legs with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fastmas.contract import ContractState, Leg, SettlementContract
from fastmas.errors import LedgerError
from fastmas.ledger import MAX_AMOUNT, Ledger

LEGS = (Leg("venue", "cash", 500, "USD"), Leg("custody", "venue", 10, "ACME"))
END: dict[str, Callable[[SettlementContract, Ledger], SettlementContract]] = {
    "posted": lambda contract, ledger: contract.post(ledger),
    "voided": lambda contract, ledger: contract.void(ledger),
    "expired": lambda contract, ledger: contract.expire(ledger, 20),
}


def books() -> Ledger:
    ledger = Ledger()
    for account, currency in [("cash", "USD"), ("venue", "USD"), ("custody", "ACME"), ("venue", "ACME")]:
        ledger.open_account(account, currency)
    return ledger


def agreed(ledger: Ledger) -> SettlementContract:
    return SettlementContract.agree(ledger, "trade 1", LEGS, due_ns=10, deadline_ns=20)


def test_agreeing_reserves_every_leg() -> None:
    ledger = books()
    contract = agreed(ledger)
    assert contract.state is ContractState.PENDING and contract.transfers == (1, 2)
    assert ledger.balance("cash", "USD") == 0 and ledger.projected("cash", "USD") == -500
    assert ledger.projected("custody", "ACME") == 10
    assert [row.expires_ns for row in ledger.pending_transfers()] == [20, 20]


@pytest.mark.parametrize(("end", "cash", "lots"), [("posted", -500, 10), ("voided", 0, 0), ("expired", 0, 0)])
def test_how_it_ends(end: str, cash: int, lots: int) -> None:
    ledger = books()
    contract = agreed(ledger)
    done = END[end](contract, ledger)
    assert done.state.name.lower() == end and done.transfers == () and contract.state is ContractState.PENDING
    assert ledger.balance("cash", "USD") == ledger.projected("cash", "USD") == cash
    assert ledger.balance("custody", "ACME") == ledger.projected("custody", "ACME") == lots
    assert ledger.pending_transfers() == () and ledger.balanced


@pytest.mark.parametrize("first", END)
@pytest.mark.parametrize("second", END)
def test_it_ends_once(first: str, second: str) -> None:
    ledger = books()
    done = END[first](agreed(ledger), ledger)
    with pytest.raises(LedgerError, match=f"contract trade 1 is {first}; only a pending one can be {second}"):
        END[second](done, ledger)


def test_a_stale_copy_ends_nothing_either() -> None:
    ledger = books()
    contract = agreed(ledger)
    contract.post(ledger)
    with pytest.raises(LedgerError, match="transfer 1 is not pending"):
        contract.void(ledger)
    assert ledger.balance("cash", "USD") == -500


def test_expiry_waits_for_the_deadline() -> None:
    ledger = books()
    contract = agreed(ledger)
    with pytest.raises(LedgerError, match="contract trade 1 has until 20 ns, it is 19 ns; void it to end it earlier"):
        contract.expire(ledger, 19)
    timeless = SettlementContract.agree(ledger, "trade 2", LEGS, due_ns=10)
    with pytest.raises(LedgerError, match="contract trade 2 has no deadline, it is 99 ns; void it to end it earlier"):
        timeless.expire(ledger, 99)
    assert len(ledger.pending_transfers()) == 4


def test_all_legs_or_none() -> None:
    ledger = books()
    bad = (*LEGS, Leg("custody", "nobody", 1, "ACME"))
    with pytest.raises(LedgerError, match="there is no account 'nobody' in ACME"):
        SettlementContract.agree(ledger, "trade 1", bad, due_ns=0)
    assert ledger.pending_transfers() == () and ledger.projected("cash", "USD") == 0
    contract = agreed(ledger)
    ledger.void(contract.transfers[1])
    with pytest.raises(LedgerError, match="transfer 2 is not pending"):
        contract.post(ledger)
    assert ledger.balance("cash", "USD") == 0 and len(ledger.pending_transfers()) == 1


def test_a_contract_has_legs_and_a_deadline_after_it_is_due() -> None:
    with pytest.raises(LedgerError, match="contract trade 1 must have at least one leg, got none"):
        SettlementContract.agree(books(), "trade 1", (), due_ns=0)
    for due_ns, deadline_ns in [(-1, 0), (10, 9), (MAX_AMOUNT + 1, 0), (0, MAX_AMOUNT + 1)]:
        text = f"must be due at or before its deadline, got due {due_ns} and deadline {deadline_ns} ns"
        with pytest.raises(LedgerError, match=text):
            SettlementContract.agree(books(), "trade 1", LEGS, due_ns, deadline_ns)
