"""The exception tree of fastmas.

::

    FastmasError
    ├── ConfigError (ValueError)          the call can never work: says the rule, the value given and the cure
    │   └── WiringError                   the agents handed to a world do not fit together
    ├── DataError (ValueError)            market data break a rule; names the row
    ├── FixedPointError (ArithmeticError) the parameter iteration does not settle; names the agents
    ├── NotLeaderError                    ask another node
    ├── NoQuorumError                     too few nodes can talk to one another
    ├── DeadlineError (TimeoutError)      a blocking call ran out of time
    ├── NotSyncedError                    execute before sync
    ├── LedgerError                       a transfer that would break the books; nothing was changed
    ├── AgentError                        an agent raised or returned what its stage may not; names the agent
    ├── InvariantError                    the impossible happened; the object is poisoned
    │   └── ReplicaDivergedError          a replica's state differs from the majority's; names the commit index
    ├── PeerDeadError (ConnectionError)   the process at the other end of a ring died; names it
    ├── EvictedError                      a subscriber was put out of a broadcast ring for its lag
    ├── RingBusyError                     a ring's name or role is held by another process; names it
    ├── RingGoneError (FileNotFoundError) there is no shared ring of that name
    ├── AuditError                        an audit file is damaged or altered; names the record or block
    ├── TransportError (OSError)
    └── StorageError (OSError)
"""

from __future__ import annotations

__all__ = [
    "AgentError",
    "AuditError",
    "ConfigError",
    "DataError",
    "DeadlineError",
    "EvictedError",
    "FastmasError",
    "FixedPointError",
    "InvariantError",
    "LedgerError",
    "NoQuorumError",
    "NotLeaderError",
    "NotSyncedError",
    "PeerDeadError",
    "ReplicaDivergedError",
    "RingBusyError",
    "RingGoneError",
    "StorageError",
    "TransportError",
    "WiringError",
]


class FastmasError(Exception):
    """Base of every error that fastmas raises."""


class ConfigError(FastmasError, ValueError):
    """A call that can never work; the text says the rule, the value given and the cure."""


class WiringError(ConfigError):
    """The agents handed to a world do not fit together."""


class DataError(FastmasError, ValueError):
    """Market data break a rule; the text names the source and the row."""


class FixedPointError(FastmasError, ArithmeticError):
    """The parameter iteration does not settle; the text names the agents."""


class NotLeaderError(FastmasError):
    """The node asked does not lead; ask another."""


class NoQuorumError(FastmasError):
    """Too few nodes can talk to one another to decide anything."""


class DeadlineError(FastmasError, TimeoutError):
    """A blocking call ran out of time."""


class NotSyncedError(FastmasError):
    """A contract was executed before its agents agreed on its state."""


class LedgerError(FastmasError):
    """A transfer that would break the books; nothing was changed."""


class AgentError(FastmasError):
    """An agent raised, or returned what its stage may not; the text names the agent."""


class InvariantError(FastmasError):
    """The impossible happened; the object that raises it is poisoned and raises it from then on."""


class ReplicaDivergedError(InvariantError):
    """A replica's state differs from the majority's; the text names the replica and the commit index."""


class PeerDeadError(FastmasError, ConnectionError):
    """The process at the other end of a ring died without closing it; the text names its role and its number.

    Another process may take the role over; then things go on where they stopped.
    """


class EvictedError(FastmasError):
    """A subscriber lagged beyond its ring's ``max_lag_records`` and was put out; it may subscribe again."""


class RingBusyError(FastmasError):
    """A shared ring's name, or a role in it, is held by a process that lives; the text names it."""


class RingGoneError(FastmasError, FileNotFoundError):
    """There is no shared ring of that name."""


class AuditError(FastmasError):
    """An audit file is damaged or altered; the text names the block and the record.

    Attributes
    ----------
    block, record, offset
        Where: the block's number, the record's sequence number, the byte; None where there is no such place.
    """

    block: int | None = None
    record: int | None = None
    offset: int | None = None


class TransportError(FastmasError, OSError):
    """The network failed."""


class StorageError(FastmasError, OSError):
    """The disk failed."""
