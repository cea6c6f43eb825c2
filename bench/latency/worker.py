"""The two processes of a pair: what each does for a command of the parent.

Every message is compared with what it must be. The clock is read around what is measured and nothing else; the loops
are written out, for the polling and the waiting kind of contender, so that neither pays for a call that its users would
not make. Clocks of both processes are one: Linux and macOS read a monotonic one of the machine.
"""

from __future__ import annotations

import gc
import os
import resource
import time
from array import array
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from multiprocessing.connection import Connection
from typing import Any

from .link import BURST, MESSAGE_BYTES, Link, plain_rows

ASKS, ANSWERS = 0, 1


class Broken(Exception):
    """A message was lost, torn or came out of turn."""


def wrong(number: int, got: Any, wanted: Any) -> Broken:
    return Broken(f"message {number} came as {str(got)[:60]!r} and is {str(wanted)[:60]!r}")


def sent(link: Link, count: int) -> Iterator[Any]:
    return islice(cycle(link.messages), count)


# ---- round trips: one message under way


def ask(link: Link, trips: int) -> array[int]:
    if link.ask is not None:
        return array("q", link.ask(trips))
    took = array("q", bytes(8 * trips))
    send, recv, clock = link.send, link.recv, time.perf_counter_ns
    number = 0
    if link.polls:
        for message in sent(link, trips):
            start = clock()
            while not send(message):
                pass
            while (got := recv()) is None:
                pass
            took[number] = clock() - start
            if got != message:
                raise wrong(number, got, message)
            number += 1
        return took
    for message in sent(link, trips):
        start = clock()
        send(message)
        got = recv()
        took[number] = clock() - start
        if got != message:
            raise wrong(number, got, message)
        number += 1
    return took


def answer(link: Link, trips: int) -> None:
    if link.answer is not None:
        return link.answer(trips)
    send, recv = link.send, link.recv
    if link.polls:
        for _ in range(trips):
            while (message := recv()) is None:
                pass
            while not send(message):
                pass
        return None
    for _ in range(trips):
        send(recv())
    return None


# ---- streams: as many as get through, an acknowledgement after each burst. One message goes there and back before the
# clock starts: then both processes are on their cores, and what a scheduler takes to bring them there is not counted.


def stream_out(link: Link, count: int) -> int:
    """Nanoseconds from the first message sent to the last burst acknowledged."""
    send, clock, messages = link.send, time.perf_counter_ns, sent(link, count)
    give(link)
    one(link)
    start = clock()
    for burst in range(0, count, BURST):
        if link.polls:
            for message in islice(messages, min(BURST, count - burst)):
                while not send(message):
                    pass
        else:
            for message in islice(messages, min(BURST, count - burst)):
                send(message)
        one(link)
    return clock() - start


def stream_in(link: Link, count: int) -> None:
    recv, messages = link.recv, sent(link, count)
    one(link)
    give(link)
    for burst in range(0, count, BURST):
        if link.polls:
            for wanted in islice(messages, min(BURST, count - burst)):
                while (got := recv()) is None:
                    pass
                if got != wanted:
                    raise wrong(burst, got, wanted)
        else:
            for wanted in islice(messages, min(BURST, count - burst)):
                if (got := recv()) != wanted:
                    raise wrong(burst, got, wanted)
        give(link)


def one(link: Link) -> None:
    """Take the acknowledgement."""
    got = link.recv()
    while got is None and link.polls:
        got = link.recv()
    if got != link.messages[0]:
        raise wrong(0, got, link.messages[0])


def give(link: Link) -> None:
    while not link.send(link.messages[0]) and link.polls:
        pass


def batches_out(link: Link, count: int) -> int:
    assert link.send_all is not None
    give(link)
    one(link)
    start = time.perf_counter_ns()
    for burst in range(0, count, BURST):
        link.send_all(burst, min(burst + BURST, count))
        one(link)
    return time.perf_counter_ns() - start


def batches_in(link: Link, count: int) -> None:
    assert link.recv_some is not None
    wanted, at = bytes(plain_rows(count)), 0
    one(link)
    give(link)
    for burst in range(0, count, BURST):
        end = MESSAGE_BYTES * min(burst + BURST, count)
        while at < end:
            got = link.recv_some()
            if not wanted.startswith(got, at):  # any buffer, in one go and without a copy
                raise Broken(f"a batch from message {at // MESSAGE_BYTES} on is not what was sent")
            at += len(got)
        give(link)


# ---- open loop: a message is due every so often, whether the one before it has arrived or not


def paced_out(link: Link, count: int, interval_ns: int, start_ns: int, gives_way: bool) -> None:
    clock, send, due = time.perf_counter_ns, link.send, start_ns
    for message in sent(link, count):
        while clock() < due:
            if gives_way:
                time.sleep(0)  # leaves core and interpreter to the helper threads that some contenders have
        while not send(message) and link.polls:
            pass
        due += interval_ns


def paced_in(link: Link, count: int, interval_ns: int, start_ns: int) -> array[int]:
    """Latency of each message from the moment it was due, not from when it could be sent."""
    took = array("q", bytes(8 * count))
    clock, recv, due = time.perf_counter_ns, link.recv, start_ns
    for number, wanted in enumerate(sent(link, count)):
        got = recv()
        while got is None and link.polls:
            got = recv()
        took[number] = clock() - due
        if got != wanted:
            raise wrong(number, got, wanted)
        due += interval_ns
    return took


def blocked(link: Link) -> float:
    """The share of a core that waiting for one message takes."""
    cpu, start = time.process_time_ns(), time.perf_counter_ns()
    one(link)
    return (time.process_time_ns() - cpu) / (time.perf_counter_ns() - start)


TASKS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "trips": (ask, answer),
    "stream": (stream_out, stream_in),
    "batches": (batches_out, batches_in),
    "paced": (paced_out, lambda link, count, interval_ns, start_ns, _: paced_in(link, count, interval_ns, start_ns)),
    "wake": (give, blocked),
}


def preemptions() -> int:
    """How often the kernel has taken this process off its core against its will."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def serve(commands: Connection, open_link: Callable[[Any, int], Link], shared: Any, side: int, cpu: int | None) -> None:
    """Open the link, then do what the parent says until it says nothing more."""
    link = None
    try:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        commands.recv()  # the parent lets side 0 create before side 1 attaches
        link = open_link(shared, side)
        gc.collect()
        gc.freeze()
        gc.disable()
        commands.send((True, (link.send_all is not None, True)))
        while (task := commands.recv()) is not None:
            name, *arguments = task
            before = preemptions()
            found = TASKS[name][side](link, *arguments)
            commands.send((True, (found, preemptions() == before)))
    except EOFError:
        pass  # the parent has gone
    except (
        BaseException
    ) as error:  # whatever a contender raises is the parent's to tell; a panic of Rust is no Exception
        commands.send((False, f"{type(error).__name__}: {error}"[:300]))
    finally:
        if link is not None:
            link.close()
        # Some bindings write pages about what they find alive at exit.
        with open(os.devnull, "w", encoding="ascii") as nowhere:
            os.dup2(nowhere.fileno(), 2)
