"""The failure drill: the last year again with messages lost and a killed leader, beside a naive fail-over."""

from __future__ import annotations

import dataclasses
import datetime

from fastmas.cli.main_job import build_venue, build_world, load_bars, midnight_ns
from fastmas.cli.settings import Settings
from fastmas.messages import OrderStatus, RejectReason
from fastmas.report import Drill
from fastmas.world.naive import NaiveFailover, slices

__all__ = ["run_drill"]

LOSS = 0.05
WARM_UP_DAYS = 390
"""Calendar days before the last year: 253 sessions of closes and one month are what the main job needs to decide."""


def _day(ts_ns: int) -> datetime.date:
    return datetime.datetime.fromtimestamp(ts_ns / 1e9, tz=datetime.UTC).date()


def run_drill(settings: Settings) -> Drill | None:
    """Run the drill.

    Parameters
    ----------
    settings : Settings
        Of the run that the drill repeats; its own faults are replaced.

    Returns
    -------
    Drill or None
        None when the data are too short for a year of decisions.
    """
    bars = load_bars(settings)
    last = bars.dates[-1].item()
    first = last - datetime.timedelta(days=365)
    calm = dataclasses.replace(
        settings, first=first - datetime.timedelta(days=WARM_UP_DAYS), last=last, loss=0.0, crash_leader_at=None
    )
    bars = load_bars(calm)
    undisturbed = build_world(calm, bars).run(calm.build_agents())
    from_ns = midnight_ns(first)
    decided = [intent for intent, _ in undisturbed.intents if intent.ts_ns >= from_ns]
    if not decided:
        return None
    # The worst moment: inside the largest basket of the year.
    worst = max(decided, key=lambda intent: (len(intent.targets), intent.ts_ns))
    crash_at = _day(worst.ts_ns)
    broken = dataclasses.replace(calm, loss=LOSS, crash_leader_at=crash_at, network_seed=settings.network_seed + 1)
    report = build_world(broken, bars).run(broken.build_agents())
    naive = NaiveFailover(
        build_venue(calm, bars), loss=LOSS, crash_at_ns=midnight_ns(crash_at), seed=settings.network_seed
    ).run(slices(bars.records), [intent for intent, _ in undisturbed.intents])
    filled: dict[int, int] = {}
    for fill in report.fill_records:
        filled[fill.client_order_id] = filled.get(fill.client_order_id, 0) + 1
    refused = sum(
        1
        for update in report.updates
        if update.status == OrderStatus.REJECTED and update.reason == RejectReason.DUPLICATE
    )
    return Drill(
        first=str(_day(undisturbed.intents[0][0].ts_ns)),
        last=str(last),
        loss=LOSS,
        crashed=report.crashed,
        leader_changes=report.leader_changes,
        decisions=report.decisions,
        orders=report.orders,
        lost=report.lost,
        resent=report.resent,
        refused=refused,
        duplicates=sum(count - 1 for count in filled.values()),
        same_ledger_head=report.ledger_head == undisturbed.ledger_head,
        naive_orders=naive.orders,
        naive_duplicates=naive.duplicates,
        naive_excess_lots=naive.excess_lots,
        naive_wrong_positions=naive.wrong_positions,
    )
