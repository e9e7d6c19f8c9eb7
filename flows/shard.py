"""One shard of a large night: it takes districts from the queue and syncs them here, one after another."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from contracts.text import count, listed
from errors import SchoolsFailed
from flows.names import by_time, tag_run
from flows.states import INCOMPLETE, LEFT, NEEDS_SOMEBODY, ON_HOLD, STATES, STILL_ON_HOLD, ended
from models.outcomes import RunOutcome
from services import clock
from services.status.attention import NAMED, Attention
from tasks.mail import send_what_waits
from tasks.morning import publish_morning_list
from tasks.shards import Synced, count_late, is_queue_empty, publish_districts, somebody_waits, submit, sync_next

# Seconds. Between two looks at what others need: mail to send, and people's runs that wait for this one's place.
LOOKS_EVERY = 30.0
# Until a shard asks again whether one of those that others have in hand is to be made good.
ASKS_EVERY = 2.0
LEFT_TO_OTHERS = "Left to another run"  # its run failed here, or was taken over
ORDER = [*dict.fromkeys(STATES.values()), LEFT_TO_OTHERS]
ORDER.insert(ORDER.index(ON_HOLD) + 1, STILL_ON_HOLD)
NAMES_DISTRICTS = NEEDS_SOMEBODY | {STILL_ON_HOLD}
# Prefect refuses events with more than 100 related resources, which tags are.
MOST_TAGS = 50


@flow(name="shard", flow_run_name=by_time, persist_result=False)
async def shard() -> State[Any]:
    """Sync the districts of a large night, the one synced longest ago first, until none is left.

    Several shards share a night. One that others have in hand is waited for, and synced here if its run dies or fails.
    A run that a person started goes first: for its sake this one ends, and another one goes on later.
    """
    started_at, synced = clock.now(), dict[str, Synced]()
    looked_at, gives_way = time.monotonic(), False
    while not gives_way:
        if (done := sync_next()) is not None:
            synced[done.source_id] = done
        elif is_queue_empty():
            break
        else:
            time.sleep(ASKS_EVERY)
        if time.monotonic() - looked_at > LOOKS_EVERY:
            send_what_waits()
            gives_way = await somebody_waits()
            looked_at = time.monotonic()
    if gives_way:
        await submit(1)
    needs, given_up = publish_districts(list(synced.values()))
    codes = sorted({code for each in needs.values() for code in each.codes})
    districts = [f"district:{district}" for district in needs]
    await tag_run(*districts[:MOST_TAGS], *(f"needs:{code.replace('_', '-')}" for code in codes))
    publish_morning_list()
    send_what_waits()
    if given_up:
        raise SchoolsFailed(given_up)
    notes = ["makes way for a run that somebody waits for, and goes on later"] if gives_way else []
    return _final(synced.values(), needs, started_at, notes)


def _final(
    synced: Collection[Synced], needs: Mapping[str, Attention], started_at: datetime, notes: Sequence[str]
) -> State[Any]:
    """The state named for the gravest of what became of the districts; it says how many came to what."""
    late = count_late()
    notes = [*notes, f"{count(late, 'district')} left for the next night"] if late else notes
    if not synced:
        return Completed(name=STATES[LEFT] if late else "Nothing left", message="; ".join(["no district", *notes]))
    now = clock.now()
    found: dict[str, list[str]] = {}
    for each in synced:
        name = LEFT_TO_OTHERS if each.outcome in (RunOutcome.FAILED, RunOutcome.INTERRUPTED) else STATES[each.outcome]
        if name in NEEDS_SOMEBODY and not (
            each.district_id in needs and needs[each.district_id].is_due(started_at, now)
        ):
            name = STILL_ON_HOLD
        found.setdefault(name, []).append(each.district_id)
    names = sorted(found, key=ORDER.index)
    became = [
        f"{len(found[name])} {name}" + (f": {listed(found[name], NAMED)}" if name in NAMES_DISTRICTS else "")
        for name in names
    ]
    message = "; ".join([count(len({each.district_id for each in synced}), "district"), *became, *notes])
    return ended(names[0] if names[0] in INCOMPLETE else "Completed", message)
