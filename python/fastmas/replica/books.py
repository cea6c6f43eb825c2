"""Everything the replicated state knows, and the bookings that change it. Integers only.

Accounts in the currency (debit balances positive)::

    cash            what the portfolio has to spend
    capital         what it was opened with
    clearing        between a fill's cash leg and what it bought; zero after every command
    realised        gains of what was closed
    unrealised      gains of what is held, at its marks
    revaluation     the other side of unrealised: marks less cost
    fees, slippage  costs
    cost:<id>       what the lots held of an instrument cost

and in the unit ``lots:<id>`` of each instrument `custody` (what is held) and `venue`. So holdings at their marks
are ``cost + revaluation``, and the identity ``cash + Σ lots × mark = capital + realised + unrealised − fees −
slippage`` is debits = credits with the holdings counted a second time, from the positions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmas.contract import Leg, SettlementContract
from fastmas.errors import InvariantError
from fastmas.ledger import Ledger
from fastmas.messages import BUY, Fill
from fastmas.replica.commands import Open
from fastmas.replica.limits import Limits
from fastmas.replica.orders import OrdersInFlight
from fastmas.replica.portfolio import Portfolio, book_fill
from fastmas.replica.reply import Totals

__all__ = ["COUNTERS", "Books", "Settlement"]

COUNTERS = (
    "commands",
    "intents",
    "rejected",
    "expired",
    "orders",
    "cancels",
    "replaces",
    "fills",
    "updates",
    "duplicate_reports",
    "refused_reports",
    "marks",
    "settled",
    "busted",
    "failed",
    "agent_errors",
)
"""What is counted: `settled`, `busted` and `failed` are contracts posted, voided and expired."""

DAY_NS = 86_400 * 10**9
NO_DAY = -1
_ACCOUNTS = ("cash", "capital", "clearing", "realised", "unrealised", "revaluation", "fees", "slippage")


class Settlement(NamedTuple):
    """A fill whose contract is pending."""

    fill: Fill
    contract: SettlementContract


class Books:
    """The state's data. `copy` is cheap: values are immutable, and the ledger is shared, undone by its own journal."""

    __slots__ = (
        "capital", "clock_ns", "counters", "currency", "day", "day_open_equity", "fail_after_ns", "killed", "ledger",
        "limits", "orders", "parameters", "portfolio", "recent", "settle_after_ns", "settlements", "terms", "unsettled",
    )  # fmt: skip

    def __init__(self, opening: Open) -> None:
        self.terms = opening.instruments
        self.currency = opening.currency
        self.capital = opening.capital
        self.settle_after_ns = opening.settle_after_ns
        self.fail_after_ns = opening.fail_after_ns
        self.limits: Limits = opening.limits
        self.killed = False
        self.portfolio = Portfolio(opening.instruments)
        self.orders = OrdersInFlight()
        self.settlements: dict[tuple[int, int], Settlement] = {}
        self.unsettled: dict[int, int] = {}
        self.parameters: dict[str, NDArray[np.float64]] = {}
        self.clock_ns = 0
        self.day = NO_DAY
        self.day_open_equity = opening.capital
        self.recent: tuple[tuple[int, int], ...] = ()
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.ledger = Ledger()

    def open_accounts(self) -> None:
        """Fresh accounts, and the capital paid in."""
        for name in _ACCOUNTS:
            self.ledger.open_account(name, self.currency)
        for instrument in self.portfolio.ids:
            self.ledger.open_account(f"cost:{instrument}", self.currency)
            self.ledger.open_account("custody", f"lots:{instrument}")
            self.ledger.open_account("venue", f"lots:{instrument}")
        self.ledger.transfer("cash", "capital", self.capital, self.currency)

    def copy(self) -> Books:
        twin = object.__new__(Books)
        for name in Books.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.portfolio, twin.orders = self.portfolio.copy(), self.orders.copy()
        twin.settlements, twin.unsettled = dict(self.settlements), dict(self.unsettled)
        twin.parameters, twin.counters = dict(self.parameters), dict(self.counters)
        return twin

    # -- views -------------------------------------------------------------------------------------------------------

    @property
    def cash(self) -> int:
        return self.ledger.balance("cash", self.currency)

    @property
    def equity(self) -> int:
        return self.ledger.balance("cash", self.currency) + self.portfolio.value

    def holding(self, instrument: int) -> int:
        """Lots that have settled."""
        return self.portfolio.positions[self.portfolio.at(instrument)].lots

    def held(self, instrument: int) -> int:
        """Lots that have settled, or were traded and will settle."""
        return self.portfolio.positions[self.portfolio.index[instrument]].lots + self.unsettled.get(instrument, 0)

    def position(self, instrument: int) -> int:
        """Lots held once everything in flight has filled and settled."""
        return self.holding(instrument) + self.unsettled.get(instrument, 0) + self.orders.net(instrument)

    # -- bookings ----------------------------------------------------------------------------------------------------

    def move(self, debit: str, credit: str, amount: int) -> None:
        """Transfer `amount`; the other way when it is negative."""
        if amount > 0:
            self.ledger.transfer(debit, credit, amount, self.currency)
        elif amount < 0:
            self.ledger.transfer(credit, debit, -amount, self.currency)

    def trade(self, fill: Fill) -> None:
        """Agree the settlement contract of a fill; settle it at once unless the books were opened with a delay."""
        column = self.portfolio.index[fill.instrument]
        amount = fill.price * fill.quantity * self.portfolio.multipliers[column]
        unit = f"lots:{fill.instrument}"
        if fill.side == BUY:
            legs = [Leg("clearing", "cash", amount, self.currency), Leg("custody", "venue", fill.quantity, unit)]
        else:
            legs = [Leg("cash", "clearing", amount, self.currency), Leg("venue", "custody", fill.quantity, unit)]
        for account, cost in (("fees", fill.fee), ("slippage", fill.slippage)):
            if cost > 0:
                legs.append(Leg(account, "cash", cost, self.currency))
            elif cost < 0:
                legs.append(Leg("cash", account, -cost, self.currency))
        due_ns = fill.ts_ns + self.settle_after_ns
        deadline_ns = due_ns + self.fail_after_ns if self.fail_after_ns else 0
        name = f"{fill.client_order_id}/{fill.execution_id}"
        contract = SettlementContract.agree(self.ledger, name, tuple(legs), due_ns, deadline_ns)
        if not self.settle_after_ns:
            self.settle(Settlement(fill, contract))
            return
        self.settlements[fill.client_order_id, fill.execution_id] = Settlement(fill, contract)
        self.defer(fill, 1)

    def defer(self, fill: Fill, sign: int) -> None:
        """Count a fill's lots as traded and not settled; with `sign` -1, no longer."""
        lots = self.unsettled.get(fill.instrument, 0) + sign * fill.side * fill.quantity
        if lots:
            self.unsettled[fill.instrument] = lots
        else:
            self.unsettled.pop(fill.instrument, None)

    def settle(self, settlement: Settlement) -> None:
        """Post a contract and book what it did to cost and realised gain."""
        fill = settlement.fill
        settlement.contract.post(self.ledger)
        column = self.portfolio.index[fill.instrument]
        unit_value = fill.price * self.portfolio.multipliers[column]
        booking = book_fill(self.portfolio.positions[column], fill.side * fill.quantity, unit_value)
        self.move(f"cost:{fill.instrument}", "clearing", booking.cost_change)
        self.move("clearing", "realised", booking.realised)
        self.portfolio.place(column, booking.position, fill.price)
        self.counters["settled"] += 1

    def bust(self, key: tuple[int, int]) -> None:
        """Void the pending contract of an execution."""
        settlement = self.settlements.pop(key)
        settlement.contract.void(self.ledger)
        self.defer(settlement.fill, -1)
        self.counters["busted"] += 1

    def settle_due(self) -> list[int]:
        """Settle what is due at the clock and can be delivered; expire what is past its deadline. Instruments touched.

        In order of due time, sells first: their proceeds pay for the purchases of the same day.
        """
        due = [row for row in self.settlements.items() if row[1].contract.due_ns <= self.clock_ns]
        due.sort(key=lambda row: (row[1].contract.due_ns, row[1].fill.side, row[0]))
        touched = []
        for key, settlement in due:
            fill, contract = settlement
            if self._deliverable(fill):
                self.settle(settlement)
            elif contract.deadline_ns and self.clock_ns >= contract.deadline_ns:
                contract.expire(self.ledger, self.clock_ns)
                self.counters["failed"] += 1
            else:
                continue
            del self.settlements[key]
            self.defer(fill, -1)
            touched.append(fill.instrument)
        return touched

    def _deliverable(self, fill: Fill) -> bool:
        if fill.side != BUY:
            return self.limits.allow_short or self.holding(fill.instrument) >= fill.quantity
        column = self.portfolio.index[fill.instrument]
        cost = fill.price * fill.quantity * self.portfolio.multipliers[column] + fill.fee + fill.slippage
        return self.limits.min_cash is None or self.cash - cost >= self.limits.min_cash

    def revalue(self) -> None:
        """Bring the unrealised account to what the holdings are worth above their cost."""
        unrealised = self.portfolio.value - self.portfolio.cost
        self.move("revaluation", "unrealised", unrealised - self.ledger.balance("revaluation", self.currency))

    def mark(self, ts_ns: int, marks: tuple[int, ...], value: int) -> None:
        """Value the holdings at new marks. Only the transfer can fail, and it comes first."""
        portfolio = self.portfolio
        self.move("revaluation", "unrealised", value - portfolio.value)
        if ts_ns // DAY_NS != self.day:
            self.day, self.day_open_equity = ts_ns // DAY_NS, self.equity
        portfolio.marks, portfolio.value = marks, value
        self.clock_ns = ts_ns

    # -- the identity ------------------------------------------------------------------------------------------------

    def totals(self) -> Totals:
        """The books' totals, checked.

        Raises
        ------
        InvariantError
            Debits differ from credits, or the identity does not hold to the millionth.
        """
        balances = self.ledger.balances(self.currency)
        cash, capital, clearing, realised, unrealised, revaluation, fees, slippage = balances[:8]
        value, cost = self.portfolio.value, self.portfolio.cost
        if (
            sum(balances)
            or clearing
            or revaluation != value - cost
            or sum(balances[8:]) != cost
            or cash + value != -capital - realised - unrealised - fees - slippage
        ):
            raise InvariantError(
                f"the books do not add up: cash {cash} + holdings {value} (cost {cost}) against capital {-capital}, "
                f"realised {-realised}, unrealised {-unrealised}, fees {fees}, slippage {slippage}, "
                f"clearing {clearing}, debits less credits {sum(balances)}"
            )
        return Totals(cash, value, -capital, -realised, -unrealised, fees, slippage)

    def check_instruments(self, instruments: Iterable[int]) -> None:
        """What the positions say of instruments against what the ledger says of them."""
        for instrument in instruments:
            position = self.portfolio.positions[self.portfolio.index[instrument]]
            lots = self.ledger.balance("custody", f"lots:{instrument}")
            cost = self.ledger.balance(f"cost:{instrument}", self.currency)
            if position.lots != lots or position.cost != cost:
                raise InvariantError(
                    f"instrument {instrument}: the portfolio holds {position.lots} lots that cost {position.cost}, "
                    f"the ledger {lots} lots that cost {cost}"
                )
            unbalanced = self.ledger.check((f"lots:{instrument}",))
            if unbalanced is not None:
                raise InvariantError(f"the ledger does not balance: {unbalanced}")
