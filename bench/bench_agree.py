"""How long does it take agents to agree on one vector, and what of it is consensus?

`fastmas.agree` runs a synod over a simulated network in one thread: every message is delivered, in virtual time, and
every agent learns the decision. `bench_check_only` is what looking at the proposals costs by itself (shapes, types,
NaN). "raft" agrees on the same by committing all proposals to a log.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from fastmas.agreement import checked_proposals
from fastmas.consensus import agree

GROUP = pytest.mark.benchmark(group="agents agree on a vector of 1,000")


def proposals(agents: int) -> dict[str, Any]:
    return {f"agent {k}": np.random.Generator(np.random.PCG64(k)).normal(size=1000) for k in range(agents)}


@GROUP
@pytest.mark.parametrize("agents", [3, 5, 7])
def bench_agree(benchmark: Any, agents: int) -> None:
    vectors, seeds = proposals(agents), itertools.count()
    benchmark.extra_info.update(items=1, item="agreement")
    assert benchmark(lambda: agree(vectors, seed=next(seeds))).rounds == 1


@GROUP
def bench_agree_under_loss_and_a_crash(benchmark: Any) -> None:
    vectors, seeds = proposals(5), itertools.count()
    benchmark.extra_info.update(items=1, item="agreement")
    benchmark(lambda: agree(vectors, seed=next(seeds), loss=0.05, crashes=1))


@GROUP
def bench_agree_by_raft(benchmark: Any) -> None:
    vectors, seeds = proposals(5), itertools.count()
    benchmark.extra_info.update(items=1, item="agreement")
    benchmark(lambda: agree(vectors, protocol="raft", seed=next(seeds)))


@GROUP
def bench_check_only(benchmark: Any) -> None:
    benchmark.extra_info.update(items=1, item="agreement")
    benchmark(checked_proposals, proposals(5), None)
