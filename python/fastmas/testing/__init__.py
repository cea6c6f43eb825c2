"""What a user tests their own agents, state machines and replicas with.

`check_linearizable` says whether what clients saw of a replicated state machine can have come from one machine that
takes requests one at a time.
"""

from fastmas.testing.linearizability import Operation, Verdict, check_linearizable

__all__ = ["Operation", "Verdict", "check_linearizable"]
