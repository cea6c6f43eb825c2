"""The whole state as canonical bytes, and back: what `TradingState.snapshot` and `restore` are made of."""

from __future__ import annotations

from fastmas.contract import Leg, SettlementContract
from fastmas.errors import ConfigError, InvariantError, LedgerError
from fastmas.ledger import AccountRow, Ledger, PendingTransfer
from fastmas.messages import Fill, Order
from fastmas.replica.books import COUNTERS, Books, Settlement
from fastmas.replica.commands import Open, decode, encode_open, encode_parameters, read_vectors
from fastmas.replica.orders import Request, WorkingOrder
from fastmas.replica.portfolio import Position
from fastmas.replica.wire import Reader, Writer

__all__ = ["decode_snapshot", "encode_snapshot"]

_MAGIC = b"fmS1"
_COMMAND_HEADER = 8


def encode_snapshot(books: Books | None, index: int, head: bytes, actions: list[bytes]) -> bytes:
    """All of a state. What was written last compares equal exactly when the states are equal."""
    writer = Writer()
    writer.raw(_MAGIC)
    writer.pack("QB", index, books is not None)
    writer.raw(head)
    writer.pack("I", len(actions))
    for state in actions:
        writer.sized(state)
    if books is not None:
        _write_books(writer, books)
    return writer.bytes()


def decode_snapshot(data: bytes) -> tuple[Books | None, int, bytes, list[bytes]]:
    """What `encode_snapshot` was given.

    Raises
    ------
    ConfigError
        `data` is damaged, or not canonical.
    """
    reader = Reader(data, "snapshot")
    if reader.raw(4) != _MAGIC:
        raise ConfigError(f"a snapshot begins with {_MAGIC!r}, got {data[:4]!r}")
    index, opened = reader.unpack("QB")
    head = reader.raw(32)
    actions = [reader.sized() for _ in range(reader.count(4))]
    books = None
    try:
        if opened:
            books = _read_books(reader)
        reader.end()
        if encode_snapshot(books, index, head, actions) != data:
            raise ConfigError("a snapshot is not in its canonical encoding: damaged")
    except (LedgerError, InvariantError) as error:
        raise ConfigError(f"a snapshot does not hold together: {error}") from error
    return books, index, head, actions


def _write_books(writer: Writer, books: Books) -> None:
    opening = encode_open(
        books.currency, books.capital, books.terms, books.limits, books.settle_after_ns, books.fail_after_ns
    )
    writer.sized(opening)
    writer.pack("Bqqq", books.killed, books.clock_ns, books.day, books.day_open_equity)
    writer.pack(f"{len(COUNTERS)}Q", *[books.counters[name] for name in COUNTERS])
    writer.pack("I", len(books.recent))
    for row in books.recent:
        writer.pack("qI", *row)
    writer.raw(encode_parameters(books.parameters)[_COMMAND_HEADER:])
    portfolio = books.portfolio
    for position, mark in zip(portfolio.positions, portfolio.marks, strict=True):
        writer.pack("qqqq", *position, mark)
    writer.pack("I", len(books.orders.working))
    for _, working in sorted(books.orders.working.items()):
        _write_order(writer, working)
    _write_ledger(writer, books.ledger)
    writer.pack("I", len(books.settlements))
    for _, (fill, contract) in sorted(books.settlements.items()):
        writer.raw(bytes(fill))
        writer.pack(f"qqI{len(contract.transfers)}Q", contract.due_ns, contract.deadline_ns, len(contract.transfers),
                    *contract.transfers)  # fmt: skip


def _read_books(reader: Reader) -> Books:
    opening = decode(reader.sized())
    if not isinstance(opening, Open):
        raise ConfigError("a snapshot begins with the command that opened the books: damaged")
    books = Books(opening)
    killed, books.clock_ns, books.day, books.day_open_equity = reader.unpack("Bqqq")
    books.killed = bool(killed)
    books.counters = dict(zip(COUNTERS, reader.unpack(f"{len(COUNTERS)}Q"), strict=True))
    recent = []
    for _ in range(reader.count(12)):
        ts_ns, count = reader.unpack("qI")
        recent.append((ts_ns, count))
    books.recent = tuple(recent)
    books.parameters = read_vectors(reader)
    portfolio = books.portfolio
    marks = [0] * len(portfolio.ids)
    for column in range(len(portfolio.ids)):
        lots, cost, realised, marks[column] = reader.unpack("qqqq")
        portfolio.place(column, Position(lots, cost, realised), marks[column])
    portfolio.marks = tuple(marks)
    portfolio.value = portfolio.value_at(portfolio.marks)
    for _ in range(reader.count(8)):
        books.orders.put(_read_order(reader, books))
    books.ledger = _read_ledger(reader)
    names = {(row.currency, row.name) for row in books.ledger.accounts()}
    fresh = Books(opening)
    fresh.open_accounts()
    if names != {(row.currency, row.name) for row in fresh.ledger.accounts()}:
        raise ConfigError("a snapshot's accounts are not those of its instruments: damaged")
    pending = {transfer.id: transfer for transfer in books.ledger.pending_transfers()}
    for _ in range(reader.count(8)):
        _read_settlement(reader, books, pending)
    if pending:
        raise ConfigError(f"a snapshot reserves transfers that belong to no contract: {sorted(pending)[:20]}")
    books.totals()
    books.check_instruments(portfolio.ids)
    return books


def _write_order(writer: Writer, working: WorkingOrder) -> None:
    writer.raw(bytes(working.order))
    writer.pack(
        "qqqBI", working.quantity, working.limit_price, working.filled, working.acknowledged, len(working.requests)
    )
    for request in working.requests:
        writer.pack("qq", *request)
    writer.pack("I", len(working.executions))
    writer.pack(f"{len(working.executions)}Q", *sorted(working.executions))


def _read_order(reader: Reader, books: Books) -> WorkingOrder:
    order = Order.from_bytes(reader.raw(Order.dtype.itemsize))
    quantity, limit_price, filled, acknowledged = reader.unpack("qqqB")
    requests = tuple(Request(*reader.unpack("qq")) for _ in range(reader.count(16)))
    executions = frozenset(reader.unpack(f"{reader.count(8)}Q"))
    working = WorkingOrder(order, quantity, limit_price, filled, bool(acknowledged), requests, executions)
    books.portfolio.at(order.instrument)
    if working.in_flight <= 0 or order.client_order_id in books.orders.working:
        raise ConfigError(f"a snapshot holds order {order.client_order_id} twice or with nothing in flight: damaged")
    return working


def _write_ledger(writer: Writer, ledger: Ledger) -> None:
    accounts = list(ledger.accounts())
    writer.pack("QQI", ledger.next_id, ledger.transfers, len(accounts))
    for account in accounts:
        writer.text(account.currency)
        writer.text(account.name)
        writer.pack("qqqq", *account[2:])
    pending = ledger.pending_transfers()
    writer.pack("I", len(pending))
    for transfer in pending:
        writer.pack("Qqq", transfer.id, transfer.amount, transfer.expires_ns)
        for text in (transfer.debit, transfer.credit, transfer.currency):
            writer.text(text)


def _read_ledger(reader: Reader) -> Ledger:
    next_id, transfers = reader.unpack("QQ")
    accounts = []
    for _ in range(reader.count(40)):
        currency, name = reader.text(), reader.text()
        accounts.append(AccountRow(currency, name, *reader.unpack("qqqq")))
    pending = []
    for _ in range(reader.count(36)):
        transfer_id, amount, expires_ns = reader.unpack("Qqq")
        debit, credit, currency = reader.text(), reader.text(), reader.text()
        pending.append(PendingTransfer(transfer_id, debit, credit, amount, currency, expires_ns))
    return Ledger.rebuild(accounts, pending, next_id, transfers)


def _read_settlement(reader: Reader, books: Books, pending: dict[int, PendingTransfer]) -> None:
    fill = Fill.from_bytes(reader.raw(Fill.dtype.itemsize))
    books.portfolio.at(fill.instrument)
    due_ns, deadline_ns = reader.unpack("qq")
    ids = reader.unpack(f"{reader.count(8)}Q")
    if not all(transfer in pending for transfer in ids):
        raise ConfigError(f"a snapshot's contract names transfers {list(ids)} that are not pending: damaged")
    legs = [pending.pop(transfer) for transfer in ids]
    contract = SettlementContract(
        f"{fill.client_order_id}/{fill.execution_id}",
        tuple(Leg(leg.debit, leg.credit, leg.amount, leg.currency) for leg in legs),
        due_ns,
        deadline_ns,
        transfers=ids,
    )
    books.settlements[fill.client_order_id, fill.execution_id] = Settlement(fill, contract)
    books.defer(fill, 1)
