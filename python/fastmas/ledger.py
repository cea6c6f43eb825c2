"""Double-entry books in integers: every transfer debits one account and credits another by the same amount.

Accounts are named by (name, currency); a currency is any unit that is counted in whole numbers: millionths of a
dollar, lots of a share. A transfer never crosses currencies, so in each of them debits equal credits, always.
Amounts and running totals fit a signed 64-bit integer; what would not is refused, and nothing changes.

A pending transfer reserves its amount on both accounts until it is posted, voided or expired. The reservation counts
towards the 64-bit bound, so posting what was once accepted cannot overflow.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple

from fastmas.errors import LedgerError

__all__ = ["MAX_AMOUNT", "AccountRow", "Ledger", "PendingTransfer"]

MAX_AMOUNT = 2**63 - 1
"""The largest amount, and the largest total of debits or of credits that an account may reach."""


class PendingTransfer(NamedTuple):
    """A transfer that is agreed and not yet booked. `expires_ns` 0 means that it does not expire by itself."""

    id: int
    debit: str
    credit: str
    amount: int
    currency: str
    expires_ns: int


class AccountRow(NamedTuple):
    """All that the ledger knows of one account."""

    currency: str
    name: str
    debits: int
    credits: int
    pending_debits: int
    pending_credits: int


class _Book:
    """The accounts of one currency, as columns: a sum over all accounts is then one pass at C speed."""

    __slots__ = ("credits", "currency", "debits", "index", "pending_credits", "pending_debits")

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.index: dict[str, int] = {}
        self.debits: list[int] = []
        self.credits: list[int] = []
        self.pending_debits: list[int] = []
        self.pending_credits: list[int] = []


_POSTED, _PENDED, _TAKEN = 0, 1, 2  # what an entry of the journal undoes


class Ledger:
    """Accounts and transfers of several currencies.

    Examples
    --------
    >>> from fastmas.ledger import Ledger
    >>> books = Ledger()
    >>> books.open_account("cash", "USD"); books.open_account("capital", "USD")
    >>> books.transfer("cash", "capital", 5_000_000, "USD")
    >>> books.balance("cash", "USD"), books.balance("capital", "USD"), books.balanced
    (5000000, -5000000, True)
    """

    __slots__ = ("_books", "_journal", "_next_id", "_pending", "_transfers")

    def __init__(self) -> None:
        self._books: dict[str, _Book] = {}
        self._pending: dict[int, PendingTransfer] = {}
        self._next_id = 1
        self._transfers = 0
        self._journal: list[tuple[int, _Book, int, int, int, PendingTransfer | None]] | None = None

    # -- accounts ----------------------------------------------------------------------------------------------------

    def open_account(self, name: str, currency: str) -> None:
        """Add an account with nothing in it. Not undone by `atomic`: open accounts first."""
        for what, text in (("name", name), ("currency", currency)):
            if not isinstance(text, str) or not 1 <= len(text) <= 64 or not text.isascii() or not text.isprintable():
                raise LedgerError(f"an account's {what} must be 1 to 64 printable ASCII characters, got {text!r}")
        if self._journal is not None:
            raise LedgerError(f"open account {name!r} before the atomic block, not inside it")
        book = self._books.get(currency)
        if book is None:
            book = self._books[currency] = _Book(currency)
        if name in book.index:
            raise LedgerError(f"account {name!r} in {currency} is open already; each account is opened once")
        book.index[name] = len(book.debits)
        for column in (book.debits, book.credits, book.pending_debits, book.pending_credits):
            column.append(0)

    def _book(self, currency: str) -> _Book:
        book = self._books.get(currency)
        if book is None:
            raise LedgerError(f"no account is kept in {currency!r}; open one with open_account(name, {currency!r})")
        return book

    def _find(self, book: _Book, name: str) -> int:
        position = book.index.get(name)
        if position is None:
            raise LedgerError(
                f"there is no account {name!r} in {book.currency}; "
                f"open it with open_account({name!r}, {book.currency!r})"
            )
        return position

    def balance(self, name: str, currency: str) -> int:
        """Booked debits less credits: positive for what is owned or spent, negative for what is owed or earned."""
        book = self._book(currency)
        position = self._find(book, name)
        return book.debits[position] - book.credits[position]

    def projected(self, name: str, currency: str) -> int:
        """`balance` as it will be when every pending transfer is posted."""
        book = self._book(currency)
        position = self._find(book, name)
        return (
            book.debits[position]
            - book.credits[position]
            + book.pending_debits[position]
            - book.pending_credits[position]
        )

    def balances(self, currency: str) -> list[int]:
        """`balance` of every account of a currency, in the order in which they were opened."""
        book = self._book(currency)
        return list(map(operator.sub, book.debits, book.credits))

    def account(self, name: str, currency: str) -> AccountRow:
        """Booked and reserved totals of one account."""
        book = self._book(currency)
        at = self._find(book, name)
        return AccountRow(
            currency, name, book.debits[at], book.credits[at], book.pending_debits[at], book.pending_credits[at]
        )

    def accounts(self) -> Iterator[AccountRow]:
        """All accounts, in the order in which they were opened within their currency."""
        for currency, book in self._books.items():
            for name in book.index:
                yield self.account(name, currency)

    # -- transfers ---------------------------------------------------------------------------------------------------

    def _sides(self, debit: str, credit: str, amount: int, currency: str) -> tuple[_Book, int, int]:
        book = self._books.get(currency)
        if book is None:
            book = self._book(currency)
        debited = book.index.get(debit)
        credited = book.index.get(credit)
        if debited is None or credited is None:
            self._find(book, debit if debited is None else credit)
            raise AssertionError  # _find has raised
        if type(amount) is not int or amount <= 0:
            raise LedgerError(
                f"a transfer's amount must be an int > 0, got {amount!r}; "
                "to move it the other way swap debit and credit"
            )
        if debited == credited:
            raise LedgerError(f"a transfer must name two accounts, got {debit!r} twice")
        if (
            book.debits[debited] + book.pending_debits[debited] + amount > MAX_AMOUNT
            or book.credits[credited] + book.pending_credits[credited] + amount > MAX_AMOUNT
        ):
            raise LedgerError(
                f"transferring {amount} {currency} from {credit!r} to {debit!r} would overflow a 64-bit total; "
                "nothing was changed; split the books or use a coarser unit"
            )
        return book, debited, credited

    def transfer(self, debit: str, credit: str, amount: int, currency: str) -> None:
        """Book `amount` at once: `debit` receives, `credit` gives."""
        book, debited, credited = self._sides(debit, credit, amount, currency)
        book.debits[debited] += amount
        book.credits[credited] += amount
        self._transfers += 1
        if self._journal is not None:
            self._journal.append((_POSTED, book, debited, credited, amount, None))

    def pending(self, debit: str, credit: str, amount: int, currency: str, expires_ns: int = 0) -> int:
        """Reserve `amount` on both accounts.

        Parameters
        ----------
        expires_ns : int, default 0
            The time from which `expire` may release it; 0 for never.

        Returns
        -------
        int
            The id to post, void or expire it by; ids count up from 1 and are never used twice.
        """
        book, debited, credited = self._sides(debit, credit, amount, currency)
        if type(expires_ns) is not int or not 0 <= expires_ns <= MAX_AMOUNT:
            raise LedgerError(f"expires_ns must be 0 (never) or a time in ns, got {expires_ns!r}")
        transfer = PendingTransfer(self._next_id, debit, credit, amount, currency, expires_ns)
        self._next_id += 1
        self._pending[transfer.id] = transfer
        book.pending_debits[debited] += amount
        book.pending_credits[credited] += amount
        if self._journal is not None:
            self._journal.append((_PENDED, book, debited, credited, amount, transfer))
        return transfer.id

    def _take(self, transfer_id: int) -> tuple[_Book, int, int, int]:
        transfer = self._pending.pop(transfer_id, None)
        if transfer is None:
            raise LedgerError(
                f"transfer {transfer_id} is not pending: it was posted, voided or expired before, or never made"
            )
        book = self._books[transfer.currency]
        debited, credited, amount = book.index[transfer.debit], book.index[transfer.credit], transfer.amount
        book.pending_debits[debited] -= amount
        book.pending_credits[credited] -= amount
        if self._journal is not None:
            self._journal.append((_TAKEN, book, debited, credited, amount, transfer))
        return book, debited, credited, amount

    def post(self, transfer_id: int) -> None:
        """Book a pending transfer."""
        book, debited, credited, amount = self._take(transfer_id)
        book.debits[debited] += amount
        book.credits[credited] += amount
        self._transfers += 1
        if self._journal is not None:
            self._journal.append((_POSTED, book, debited, credited, amount, None))

    def void(self, transfer_id: int) -> None:
        """Release a pending transfer without booking it."""
        self._take(transfer_id)

    def expire(self, transfer_id: int, now_ns: int) -> None:
        """Release a pending transfer whose time is over."""
        transfer = self._pending.get(transfer_id)
        if transfer is not None and (transfer.expires_ns == 0 or now_ns < transfer.expires_ns):
            until = "never expires" if transfer.expires_ns == 0 else f"is good until {transfer.expires_ns} ns"
            raise LedgerError(f"transfer {transfer_id} {until}, it is {now_ns} ns; void it to release it earlier")
        self._take(transfer_id)

    def pending_transfers(self) -> tuple[PendingTransfer, ...]:
        """What is neither posted, voided nor expired, oldest first."""
        return tuple(self._pending.values())

    @property
    def transfers(self) -> int:
        """How many transfers were booked."""
        return self._transfers

    @property
    def next_id(self) -> int:
        """The id that the next pending transfer will get."""
        return self._next_id

    # -- all or nothing ----------------------------------------------------------------------------------------------

    def atomic(self) -> _Atomic:
        """A context in which an exception undoes every transfer made inside it. Contexts nest."""
        return _Atomic(self)

    def _undo(self, down_to: int) -> None:
        journal = self._journal
        assert journal is not None
        while len(journal) > down_to:
            kind, book, debited, credited, amount, transfer = journal.pop()
            if kind == _POSTED:
                book.debits[debited] -= amount
                book.credits[credited] -= amount
                self._transfers -= 1
                continue
            assert transfer is not None
            if kind == _PENDED:
                book.pending_debits[debited] -= amount
                book.pending_credits[credited] -= amount
                del self._pending[transfer.id]
                self._next_id = transfer.id
            else:
                book.pending_debits[debited] += amount
                book.pending_credits[credited] += amount
                self._pending[transfer.id] = transfer
                # A dict appends: put the returned one where it was, or snapshots would differ by history.
                self._pending = dict(sorted(self._pending.items()))

    # -- checks and snapshots ----------------------------------------------------------------------------------------

    def check(self, currencies: Iterable[str] | None = None) -> str | None:
        """Compare the sum of all debits with the sum of all credits; the first currency where they differ, in words."""
        for currency in self._books if currencies is None else currencies:
            book = self._book(currency)
            if sum(book.debits) != sum(book.credits):
                return f"debits {sum(book.debits)} {currency}, credits {sum(book.credits)} {currency}"
            if sum(book.pending_debits) != sum(book.pending_credits):
                return (
                    f"pending debits {sum(book.pending_debits)} {currency}, "
                    f"pending credits {sum(book.pending_credits)} {currency}"
                )
        return None

    @property
    def balanced(self) -> bool:
        """Whether debits equal credits in every currency, booked and pending."""
        return self.check() is None

    @classmethod
    def rebuild(
        cls, accounts: Iterable[AccountRow], pending: Iterable[PendingTransfer], next_id: int, transfers: int
    ) -> Ledger:
        """The ledger that `accounts()`, `pending_transfers()`, `next_id` and `transfers` were taken from."""
        ledger, rows = cls(), tuple(accounts)
        for row in rows:
            ledger.open_account(row.name, row.currency)
            if not all(type(total) is int and 0 <= total <= MAX_AMOUNT for total in row[2:]):
                raise LedgerError(f"totals of account {row.name!r} must be ints from 0 to 2**63 - 1, got {row[2:]}")
            if row.debits + row.pending_debits > MAX_AMOUNT or row.credits + row.pending_credits > MAX_AMOUNT:
                raise LedgerError(f"totals of account {row.name!r} exceed 64 bits with what is pending: {row[2:]}")
            book = ledger._books[row.currency]
            book.debits[-1], book.credits[-1] = row.debits, row.credits
        last = 0
        for transfer in pending:
            if not last < transfer.id < next_id:
                raise LedgerError(f"pending transfers need ascending ids < {next_id}, got {transfer.id} after {last}")
            last = ledger._next_id = transfer.id
            ledger.pending(*transfer[1:])
        ledger._next_id, ledger._transfers = next_id, transfers
        for row, rebuilt in zip(rows, ledger.accounts(), strict=True):
            if row != rebuilt:
                raise LedgerError(f"account {row.name!r} reserves {row[4:]}, its pending transfers {rebuilt[4:]}")
        unbalanced = ledger.check()
        if unbalanced is not None:
            raise LedgerError(f"these books do not balance: {unbalanced}")
        return ledger


class _Atomic:
    __slots__ = ("_ledger", "_mark")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._mark = -1

    def __enter__(self) -> None:
        journal = self._ledger._journal
        if journal is None:
            self._ledger._journal = []
            self._mark = -1
        else:
            self._mark = len(journal)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._ledger._undo(max(self._mark, 0))
        if self._mark < 0:
            self._ledger._journal = None
