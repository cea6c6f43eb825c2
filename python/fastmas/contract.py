"""Settlement contracts: what two parties owe one another after a trade, and how that ends.

A contract is agreed with all of its legs reserved on the ledger, and ends exactly once::

    pending ── post ───► posted     every leg is booked
       ├────── void ───► voided     the trade was taken back (a venue's bust); every leg is released
       └────── expire ─► expired    nobody could deliver before the deadline; every leg is released

All legs move together or none does: delivery against payment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from fastmas.errors import LedgerError
from fastmas.ledger import MAX_AMOUNT, Ledger

__all__ = ["ContractState", "Leg", "SettlementContract"]


class ContractState(IntEnum):
    """Where a contract stands; all but `PENDING` are final."""

    PENDING = 0
    POSTED = 1
    VOIDED = 2
    EXPIRED = 3


class Leg(NamedTuple):
    """One transfer of a contract: `debit` receives `amount` of `currency`, `credit` gives it."""

    debit: str
    credit: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class SettlementContract:
    """An agreement that settles on a ledger. Immutable: each step returns the contract as it stands afterwards.

    Attributes
    ----------
    name : str
        What errors call it.
    legs : tuple of Leg
    due_ns : int
        When it is to be posted.
    deadline_ns : int
        From when on it may expire; 0 for never.
    state : ContractState
    transfers : tuple of int
        Its pending transfers on the ledger, one a leg; empty once it has ended.

    Examples
    --------
    >>> from fastmas.contract import Leg, SettlementContract
    >>> from fastmas.ledger import Ledger
    >>> books = Ledger()
    >>> for account, currency in [("cash", "USD"), ("venue", "USD"), ("custody", "ACME"), ("venue", "ACME")]:
    ...     books.open_account(account, currency)
    >>> legs = (Leg("venue", "cash", 5_000, "USD"), Leg("custody", "venue", 10, "ACME"))
    >>> contract = SettlementContract.agree(books, "trade 1", legs, due_ns=0)
    >>> books.balance("custody", "ACME"), books.projected("custody", "ACME")
    (0, 10)
    >>> contract.post(books).state.name, books.balance("custody", "ACME"), books.balance("cash", "USD")
    ('POSTED', 10, -5000)
    """

    name: str
    legs: tuple[Leg, ...]
    due_ns: int
    deadline_ns: int = 0
    state: ContractState = ContractState.PENDING
    transfers: tuple[int, ...] = ()

    @classmethod
    def agree(
        cls, ledger: Ledger, name: str, legs: tuple[Leg, ...], due_ns: int, deadline_ns: int = 0
    ) -> SettlementContract:
        """Reserve every leg on the ledger; if one cannot be reserved, none is."""
        if not legs:
            raise LedgerError(f"contract {name} must have at least one leg, got none")
        if not 0 <= due_ns <= MAX_AMOUNT or not (deadline_ns == 0 or due_ns <= deadline_ns <= MAX_AMOUNT):
            raise LedgerError(
                f"contract {name} must be due at or before its deadline, got due {due_ns} and deadline {deadline_ns} ns"
            )
        with ledger.atomic():
            transfers = tuple([ledger.pending(*leg, deadline_ns) for leg in legs])
        return cls(name, legs, due_ns, deadline_ns, ContractState.PENDING, transfers)

    def _ended(self, state: ContractState) -> SettlementContract:
        return SettlementContract(self.name, self.legs, self.due_ns, self.deadline_ns, state)

    def _require_pending(self, verb: str) -> None:
        if self.state is not ContractState.PENDING:
            raise LedgerError(f"contract {self.name} is {self.state.name.lower()}; only a pending one can be {verb}")

    def post(self, ledger: Ledger) -> SettlementContract:
        """Book every leg."""
        self._require_pending("posted")
        with ledger.atomic():
            for transfer in self.transfers:
                ledger.post(transfer)
        return self._ended(ContractState.POSTED)

    def void(self, ledger: Ledger) -> SettlementContract:
        """Release every leg: the trade did not happen."""
        self._require_pending("voided")
        with ledger.atomic():
            for transfer in self.transfers:
                ledger.void(transfer)
        return self._ended(ContractState.VOIDED)

    def expire(self, ledger: Ledger, now_ns: int) -> SettlementContract:
        """Release every leg because the deadline has passed."""
        self._require_pending("expired")
        if self.deadline_ns == 0 or now_ns < self.deadline_ns:
            until = "has no deadline" if self.deadline_ns == 0 else f"has until {self.deadline_ns} ns"
            raise LedgerError(f"contract {self.name} {until}, it is {now_ns} ns; void it to end it earlier")
        with ledger.atomic():
            for transfer in self.transfers:
                ledger.expire(transfer, now_ns)
        return self._ended(ContractState.EXPIRED)
