"""What a Python program would use otherwise. A rival that is not installed is left out and the table says so.

Each is used as its documentation shows and in its quickest form for messages of 64 bytes: bytes where it takes bytes,
no pickle where that can be turned off.
"""

from __future__ import annotations

import ctypes
import multiprocessing
from functools import partial
from typing import Any

from .link import CAPACITY, MESSAGE_BYTES, PERIOD, Contender, Link, Place, plain_message, plain_rows

SPAWN = multiprocessing.get_context("spawn")
BATCH = 256


def ends(shared: Any, side: int) -> tuple[Any, Any]:
    """(out, into) of a pair of one-way channels."""
    there, back = shared
    return (there, back) if side == 0 else (back, there)


# ---- the standard library


def open_pipe(shared: Any, side: int) -> Link:
    end = shared[side]
    return Link(send=end.send_bytes, recv=end.recv_bytes, make=plain_message, close=end.close)


def open_queue(shared: Any, side: int) -> Link:
    out, into = ends(shared, side)
    return Link(send=out.put, recv=into.get, make=plain_message, close=out.cancel_join_thread)


# ---- spinning: shared memory, a call that tells at once whether there is something


def open_subetha(place: Place, side: int) -> Link:
    import subetha

    make = subetha.SpscRing if side == 0 else subetha.SpscRing.open
    out, into = ends([make(place.path(name), CAPACITY) for name in ("there", "back")], side)
    rows = plain_rows(CAPACITY + PERIOD)

    def send_all(first: int, last: int) -> None:
        at = first % PERIOD
        end = at + last - first
        while at < end:
            upto = min(at + BATCH, end)
            at += out.push_buffer(rows[MESSAGE_BYTES * at : MESSAGE_BYTES * upto], MESSAGE_BYTES)

    def recv_some() -> memoryview:
        while True:
            data, items = into.pop_buffer(BATCH)
            if items:
                return memoryview(data)

    return Link(send=out.push, recv=into.pop, make=plain_message, polls=True, send_all=send_all, recv_some=recv_some)


def open_kickmsg(place: Place, side: int, polls: bool) -> Link:
    import kickmsg

    settings = kickmsg.Config()
    settings.max_subscribers, settings.max_payload_size = 1, MESSAGE_BYTES
    settings.sub_ring_capacity, settings.pool_size = CAPACITY, 2 * CAPACITY
    regions = [
        kickmsg.SharedRegion.create_or_open(f"/{place.token}-{name}", kickmsg.ChannelType.PubSub, settings)
        for name in ("there", "back")
    ]
    there, back = ends(regions, side)
    publisher, subscriber = kickmsg.Publisher(there), kickmsg.Subscriber(back)
    return Link(
        send=publisher.send,
        recv=subscriber.try_receive if polls else partial(subscriber.receive, 60.0),
        make=plain_message,
        polls=polls,
    )


def unlink_kickmsg(place: Place) -> None:
    import kickmsg

    for name in ("there", "back"):
        kickmsg.unlink_shm(f"/{place.token}-{name}")


def open_zeroq(place: Place, side: int) -> Link:
    import zeroq

    def queue(name: str) -> Any:
        if side == 0:
            return zeroq.Queue(f"{place.token}-{name}", element_size=MESSAGE_BYTES, capacity=CAPACITY, create=True)
        return zeroq.Queue(f"{place.token}-{name}", create=False)

    out, into = ends([queue("there"), queue("back")], side)
    get, Empty = into.get_nowait, zeroq.Empty  # get() sleeps for a millisecond at a time

    def recv() -> bytes | None:
        if not into:  # quicker than the exception
            return None
        try:
            return get()
        except Empty:
            return None

    def close() -> None:
        out.close()
        into.close()

    def send(message: bytes) -> bool:
        out.put(message)
        return True

    return Link(send=send, recv=recv, make=plain_message, polls=True, close=close)


class Structure(ctypes.Structure):
    _fields_ = [("data", ctypes.c_uint8 * MESSAGE_BYTES)]


def open_iceoryx2(place: Place, side: int) -> Link:
    import iceoryx2

    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)

    def service(name: str) -> Any:
        builder = node.service_builder(iceoryx2.ServiceName.new(f"{place.token}/{name}")).publish_subscribe(Structure)
        builder = builder.max_publishers(1).max_subscribers(1).max_nodes(2)
        return builder.subscriber_max_buffer_size(CAPACITY).enable_safe_overflow(False).open_or_create()

    out, into = ends([service("there"), service("back")], side)
    publisher, subscriber = out.publisher_builder().create(), into.subscriber_builder().create()
    of, receive, at = Structure.from_buffer_copy, subscriber.receive, ctypes.string_at

    def recv() -> bytes | None:
        sample = receive()
        return None if sample is None else at(sample.payload_ptr, MESSAGE_BYTES)

    def send(message: bytes) -> bool:
        publisher.send_copy(of(message))
        return True

    return Link(send=send, recv=recv, make=plain_message, polls=True, keeps=(node, out, into, publisher, subscriber))


# ---- blocking: the kernel wakes whoever waits


def open_zmq(place: Place, side: int) -> Link:
    import zmq

    context = zmq.Context()
    socket = context.socket(zmq.PAIR)
    socket.set_hwm(0)
    address = f"ipc://{place.path('zmq')}"
    if side == 0:
        socket.bind(address)
    else:
        socket.connect(address)

    def close() -> None:
        socket.close(0)
        context.term()

    return Link(send=socket.send, recv=socket.recv, make=plain_message, close=close)


def open_nng(place: Place, side: int) -> Link:
    import pynng

    where = {"listen" if side == 0 else "dial": f"ipc://{place.path('nng')}"}
    socket = pynng.Pair0(**where, recv_buffer_size=CAPACITY, send_buffer_size=CAPACITY)
    return Link(send=socket.send, recv=socket.recv, make=plain_message, close=socket.close)


def as_it_is(data: Any) -> bytes:
    return bytes(data)


def make_faster_fifo(place: Place) -> list[Any]:
    import faster_fifo
    import faster_fifo_reduction  # noqa: F401  what lets a spawned process have one

    # room for the message and its length
    return [faster_fifo.Queue(CAPACITY * (MESSAGE_BYTES + 16), loads=as_it_is, dumps=as_it_is) for _ in range(2)]


def open_faster_fifo(shared: Any, side: int) -> Link:
    import faster_fifo_reduction  # noqa: F401

    out, into = ends(shared, side)
    return Link(
        send=partial(out.put, timeout=60.0), recv=partial(into.get, timeout=60.0), make=plain_message, keeps=shared
    )


RIVALS = [
    Contender("subetha-ipc SpscRing", "spin", open_subetha, needs="subetha", install="subetha-ipc"),
    Contender(
        "kickmsg try_receive",
        "spin",
        partial(open_kickmsg, polls=True),
        needs="kickmsg",
        install="kickmsg",
        cleanup=unlink_kickmsg,
    ),
    Contender("zeroq Queue", "spin", open_zeroq, needs="zeroq", install="zeroq"),
    Contender("iceoryx2 publish-subscribe", "spin", open_iceoryx2, needs="iceoryx2", install="iceoryx2"),
    Contender("multiprocessing.Pipe", "block", open_pipe, lambda place: SPAWN.Pipe()),
    Contender("multiprocessing.Queue", "block", open_queue, lambda place: (SPAWN.Queue(), SPAWN.Queue())),
    Contender("pyzmq PAIR over ipc", "block", open_zmq, needs="zmq", install="pyzmq"),
    Contender("pynng Pair0 over ipc", "block", open_nng, needs="pynng", install="pynng"),
    Contender(
        "faster-fifo Queue", "block", open_faster_fifo, make_faster_fifo, needs="faster_fifo", install="faster-fifo"
    ),
    Contender(
        "kickmsg receive",
        "block",
        partial(open_kickmsg, polls=False),
        needs="kickmsg",
        install="kickmsg",
        cleanup=unlink_kickmsg,
    ),
]
