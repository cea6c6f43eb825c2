"""Random transfers against a ledger so simple that it is surely right."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas.errors import LedgerError
from fastmas.ledger import MAX_AMOUNT, Ledger

NAMES = ("cash", "capital", "fees")
CURRENCIES = ("USD", "EUR")
amounts = st.one_of(st.integers(1, 1_000), st.integers(MAX_AMOUNT // 3, MAX_AMOUNT + 1))
accounts = st.sampled_from(NAMES)
moves = st.tuples(st.sampled_from(["transfer", "pending"]), accounts, accounts, amounts, st.sampled_from(CURRENCIES))
ends = st.tuples(st.sampled_from(["post", "void", "expire"]), st.integers(1, 12))


class Plain:
    """Totals in a dict, and no speed."""

    def __init__(self) -> None:
        self.total = {(n, c, side): 0 for n in NAMES for c in CURRENCIES for side in ("debit", "credit")}
        self.held = dict.fromkeys(self.total, 0)
        self.open: dict[int, tuple[str, str, int, str]] = {}
        self.made = 0

    def fits(self, debit: str, credit: str, amount: int, currency: str) -> bool:
        return debit != credit and all(
            self.total[key] + self.held[key] + amount <= MAX_AMOUNT
            for key in ((debit, currency, "debit"), (credit, currency, "credit"))
        )

    def add(self, table: dict[tuple[str, str, str], int], debit: str, credit: str, amount: int, currency: str) -> None:
        table[debit, currency, "debit"] += amount
        table[credit, currency, "credit"] += amount


def apply(ledger: Ledger, plain: Plain, step: Any) -> None:
    """One step on both; both must take it or both refuse it."""
    verb, *arguments = step
    if verb in ("transfer", "pending"):
        debit, credit, amount, currency = arguments
        fits = plain.fits(debit, credit, amount, currency)
        try:
            made = getattr(ledger, verb)(debit, credit, amount, currency, *([10] if verb == "pending" else []))
        except LedgerError:
            assert not fits
            return
        assert fits
        if verb == "transfer":
            plain.add(plain.total, debit, credit, amount, currency)
        else:
            plain.made += 1
            assert made == plain.made
            plain.open[made] = (debit, credit, amount, currency)
            plain.add(plain.held, debit, credit, amount, currency)
        return
    (number,) = arguments
    row = plain.open.pop(number, None)
    try:
        getattr(ledger, verb)(number, *([10] if verb == "expire" else []))
    except LedgerError:
        assert row is None
        return
    assert row is not None
    debit, credit, amount, currency = row
    plain.add(plain.held, debit, credit, -amount, currency)
    if verb == "post":
        plain.add(plain.total, *row)


def opened() -> Ledger:
    ledger = Ledger()
    for currency in CURRENCIES:
        for name in NAMES:
            ledger.open_account(name, currency)
    return ledger


def check(ledger: Ledger, plain: Plain) -> None:
    assert ledger.balanced
    for row in ledger.accounts():
        keys = [(row.name, row.currency, side) for side in ("debit", "credit")]
        assert tuple(row[2:]) == (*(plain.total[key] for key in keys), *(plain.held[key] for key in keys))
        assert row.debits + row.pending_debits <= MAX_AMOUNT and row.credits + row.pending_credits <= MAX_AMOUNT
    assert [row.id for row in ledger.pending_transfers()] == sorted(plain.open)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.one_of(moves, ends), max_size=40))
def test_like_a_dict_of_totals(steps: list[Any]) -> None:
    ledger, plain = opened(), Plain()
    for step in steps:
        apply(ledger, plain, step)
        check(ledger, plain)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.one_of(moves, ends), max_size=20), st.lists(st.one_of(moves, ends), max_size=20))
def test_an_atomic_block_that_fails_leaves_no_trace(before: list[Any], inside: list[Any]) -> None:
    ledger, plain = opened(), Plain()
    for step in before:
        apply(ledger, plain, step)
    kept = (tuple(ledger.accounts()), ledger.pending_transfers(), ledger.next_id, ledger.transfers)
    try:
        with ledger.atomic():
            for verb, *arguments in inside:
                extra = [10] if verb in ("pending", "expire") else []
                getattr(ledger, verb)(*arguments, *extra)
            raise LedgerError("far enough")
    except LedgerError:
        pass
    assert (tuple(ledger.accounts()), ledger.pending_transfers(), ledger.next_id, ledger.transfers) == kept
    rebuilt = Ledger.rebuild(*kept)
    assert (tuple(rebuilt.accounts()), rebuilt.pending_transfers(), rebuilt.next_id, rebuilt.transfers) == kept
