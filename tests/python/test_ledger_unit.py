"""The double-entry ledger, rule by rule."""

from __future__ import annotations

import re

import pytest

from fastmas.errors import LedgerError
from fastmas.ledger import MAX_AMOUNT, AccountRow, Ledger, PendingTransfer


def books() -> Ledger:
    ledger = Ledger()
    for currency in ("USD", "EUR"):
        for name in ("cash", "capital", "fees"):
            ledger.open_account(name, currency)
    return ledger


def state_of(ledger: Ledger) -> tuple[object, ...]:
    return tuple(ledger.accounts()), ledger.pending_transfers(), ledger.next_id, ledger.transfers


def test_a_transfer_debits_one_account_and_credits_another() -> None:
    ledger = books()
    ledger.transfer("cash", "capital", 100, "USD")
    ledger.transfer("fees", "cash", 30, "USD")
    assert ledger.account("cash", "USD") == AccountRow("USD", "cash", 100, 30, 0, 0)
    assert ledger.balances("USD") == [70, -100, 30] and ledger.balances("EUR") == [0, 0, 0]
    assert ledger.transfers == 2 and ledger.balanced and ledger.check() is None


def test_currencies_are_books_of_their_own() -> None:
    ledger = books()
    ledger.transfer("cash", "capital", 100, "USD")
    ledger.transfer("cash", "capital", 7, "EUR")
    assert ledger.balance("cash", "USD") == 100 and ledger.balance("cash", "EUR") == 7


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("cash", "capital", 0, "USD"), "a transfer's amount must be an int > 0, got 0; to move it the other way swap"),
        (("cash", "capital", -5, "USD"), "a transfer's amount must be an int > 0, got -5"),
        (("cash", "capital", 1.0, "USD"), "a transfer's amount must be an int > 0, got 1.0"),
        (("cash", "capital", True, "USD"), "a transfer's amount must be an int > 0, got True"),
        (("cash", "cash", 5, "USD"), "a transfer must name two accounts, got 'cash' twice"),
        (("cash", "gold", 5, "USD"), "there is no account 'gold' in USD; open it with open_account('gold', 'USD')"),
        (("gold", "cash", 5, "USD"), "there is no account 'gold' in USD"),
        (("cash", "capital", 5, "GBP"), "no account is kept in 'GBP'; open one with open_account(name, 'GBP')"),
        (
            ("cash", "capital", MAX_AMOUNT + 1, "USD"),
            f"transferring {MAX_AMOUNT + 1} USD from 'capital' to 'cash' would overflow a 64-bit total; "
            "nothing was changed; split the books or use a coarser unit",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["transfer", "pending"])
def test_a_transfer_that_breaks_a_rule_changes_nothing(arguments: tuple[object, ...], text: str, verb: str) -> None:
    ledger = books()
    before = state_of(ledger)
    with pytest.raises(LedgerError, match="^" + re.escape(text)):
        getattr(ledger, verb)(*arguments)
    assert state_of(ledger) == before


@pytest.mark.parametrize("first", ["transfer", "pending"])
@pytest.mark.parametrize("second", ["transfer", "pending"])
@pytest.mark.parametrize("sides", [("cash", "fees"), ("fees", "capital")], ids=["debits", "credits"])
def test_totals_overflow_whether_booked_or_pending(first: str, second: str, sides: tuple[str, str]) -> None:
    ledger = books()
    getattr(ledger, first)("cash", "capital", MAX_AMOUNT, "USD")
    before = state_of(ledger)
    with pytest.raises(LedgerError, match="would overflow a 64-bit total"):
        getattr(ledger, second)(*sides, 1, "USD")
    assert state_of(ledger) == before


def test_the_largest_amount_fits() -> None:
    ledger = books()
    ledger.post(ledger.pending("cash", "capital", MAX_AMOUNT, "USD"))
    assert ledger.balance("cash", "USD") == MAX_AMOUNT and ledger.balanced


def test_pending_reserves_and_post_books() -> None:
    ledger = books()
    first = ledger.pending("cash", "capital", 100, "USD")
    second = ledger.pending("fees", "cash", 30, "USD")
    assert (first, second) == (1, 2) and ledger.next_id == 3
    assert ledger.balance("cash", "USD") == 0 and ledger.projected("cash", "USD") == 70 and ledger.transfers == 0
    assert ledger.pending_transfers()[0] == PendingTransfer(1, "cash", "capital", 100, "USD", 0)
    ledger.post(first)
    assert ledger.balance("cash", "USD") == 100 and ledger.account("cash", "USD").pending_debits == 0
    ledger.void(second)
    assert ledger.projected("cash", "USD") == 100 and ledger.pending_transfers() == () and ledger.transfers == 1


def test_expiry_comes_with_its_time() -> None:
    ledger = books()
    timed, timeless = ledger.pending("cash", "capital", 5, "USD", 100), ledger.pending("cash", "capital", 6, "USD")
    with pytest.raises(LedgerError, match="transfer 1 is good until 100 ns, it is 99 ns; void it to release it"):
        ledger.expire(timed, 99)
    with pytest.raises(LedgerError, match="transfer 2 never expires, it is 999 ns; void it to release it earlier"):
        ledger.expire(timeless, 999)
    ledger.expire(timed, 100)
    assert ledger.projected("cash", "USD") == 6
    with pytest.raises(LedgerError, match=r"expires_ns must be 0 \(never\) or a time in ns, got -1"):
        ledger.pending("cash", "capital", 5, "USD", -1)


@pytest.mark.parametrize("verb", ["post", "void", "expire"])
def test_a_pending_transfer_ends_once(verb: str) -> None:
    ledger = books()
    number = ledger.pending("cash", "capital", 5, "USD", 10)
    ledger.post(number)
    text = "transfer 1 is not pending: it was posted, voided or expired before, or never made"
    with pytest.raises(LedgerError, match=text):
        getattr(ledger, verb)(number, *([99] if verb == "expire" else []))
    assert ledger.balance("cash", "USD") == 5 and ledger.balanced


def test_accounts_open_once_with_plain_names() -> None:
    ledger = books()
    with pytest.raises(LedgerError, match="account 'cash' in USD is open already; each account is opened once"):
        ledger.open_account("cash", "USD")
    for name in ("", "x" * 65, "späti", "a\nb", 5):
        with pytest.raises(LedgerError, match="an account's name must be 1 to 64 printable ASCII characters, got"):
            ledger.open_account(name, "USD")  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="an account's currency must be 1 to 64 printable ASCII characters, got ''"):
        ledger.open_account("x", "")
    with ledger.atomic(), pytest.raises(LedgerError, match="open account 'late' before the atomic block, not in"):
        ledger.open_account("late", "USD")


def test_an_atomic_block_undoes_everything_or_nothing() -> None:
    ledger = books()
    ledger.transfer("cash", "capital", 1_000, "USD")
    kept = [ledger.pending("fees", "cash", amount, "USD", 50) for amount in (1, 2, 3)]
    before = state_of(ledger)
    with pytest.raises(ZeroDivisionError), ledger.atomic():
        ledger.transfer("fees", "cash", 10, "USD")
        ledger.post(ledger.pending("fees", "cash", 20, "USD"))
        ledger.post(kept[1])
        ledger.expire(kept[0], 60)
        with pytest.raises(LedgerError), ledger.atomic():
            ledger.void(kept[2])
            ledger.transfer("fees", "cash", -1, "USD")
        assert ledger.pending_transfers()[0].id == kept[2], "the inner block took back its own"
        _ = 1 // 0
    assert state_of(ledger) == before
    with ledger.atomic():
        ledger.post(kept[0])
    assert ledger.balance("fees", "USD") == 1


def test_books_out_of_balance_are_named() -> None:
    ledger = books()
    ledger._books["EUR"].debits[0] += 5
    assert ledger.check() == "debits 5 EUR, credits 0 EUR" and not ledger.balanced
    assert ledger.check(("USD",)) is None
    other = books()
    other._books["USD"].pending_credits[0] += 5
    assert other.check() == "pending debits 0 USD, pending credits 5 USD"


def test_rebuilding_gives_the_same_ledger() -> None:
    ledger = books()
    ledger.transfer("cash", "capital", 1_000, "USD")
    ledger.void(ledger.pending("cash", "capital", 5, "EUR"))
    ledger.pending("fees", "cash", 30, "USD", 77)
    twin = Ledger.rebuild(*state_of(ledger))  # type: ignore[arg-type]
    assert state_of(twin) == state_of(ledger)
    assert twin.pending("cash", "capital", 1, "EUR") == 3


@pytest.mark.parametrize(
    ("accounts", "pending", "next_id", "text"),
    [
        ([("USD", "a", 5, 0, 0, 0)], [], 1, "these books do not balance: debits 5 USD, credits 0 USD"),
        ([("USD", "a", -1, 0, 0, 0)], [], 1, "totals of account 'a' must be ints from 0 to 2**63 - 1, got (-1,"),
        ([("USD", "a", MAX_AMOUNT, 0, 1, 0)], [], 1, "totals of account 'a' exceed 64 bits with what is pending"),
        ([("USD", "a", 0, 0, 1, 0)], [], 1, "account 'a' reserves (1, 0), its pending transfers (0, 0)"),
        ([("USD", "a", 0, 0, 1, 0), ("USD", "b", 0, 0, 0, 1)], [(3, "a", "b", 1, "USD", 0)], 3,
         "pending transfers need ascending ids < 3, got 3 after 0"),
    ],
)  # fmt: skip
def test_rebuilding_refuses_what_no_ledger_is(
    accounts: list[tuple[str, str, int, int, int, int]], pending: list[tuple[int, str, str, int, str, int]],
    next_id: int, text: str,
) -> None:  # fmt: skip
    with pytest.raises(LedgerError, match=re.escape(text)):
        Ledger.rebuild([AccountRow(*row) for row in accounts], [PendingTransfer(*row) for row in pending], next_id, 0)
