"""Adds on the loop's own connection to Redis: whatever goes wrong there, the thread adds each job once."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from hsejobs.engine import runtime
from hsejobs.engine.runtime import Runtime
from hsejobs.errors import RedisUnavailable
from hsejobs.model import new_job_id
from hsejobs.settings import load_settings
from hsejobs.store.write import Added, NewJob
from hsejobs_http.adding import FLIGHTS, MOST_WAITING, Adder
from tests.support.faults import FAULTS
from tests.support.proxy import FlakyProxy
from tests.support.server import Server

WAITING = "hsejobs:{q}:waiting"


def new() -> NewJob:
    return NewJob(new_job_id(), "t", b"{}", 3, 1, 0, 0, trace=new_job_id())


@pytest.fixture
def proxy(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlakyProxy]:
    with FlakyProxy(redis_url) as found:
        monkeypatch.setenv("QUEUE_REDIS_URL", found.url)
        monkeypatch.setattr(runtime, "_runtime", Runtime(load_settings()))
        yield found


async def on_a_lane(adder: Adder) -> None:
    """Adds one job in the thread, after which the loop has a connection."""
    await adder.add("q", new())
    while adder._flights is None:
        await asyncio.sleep(0.001)


def adding(count: int, before: Callable[[Adder], object]) -> list[Added]:
    """Adds as many jobs at once on a lane, after ``before``."""

    async def run() -> list[Added]:
        adder = Adder()
        try:
            await asyncio.wait_for(on_a_lane(adder), 20)
            before(adder)
            adds = asyncio.gather(*(adder.add("q", new()) for _ in range(count)))
            return await asyncio.wait_for(adds, 20)
        finally:
            adder.close()

    return asyncio.run(run())


def test_the_loop_adds_without_the_thread(proxy: FlakyProxy, redis_client: redis.Redis) -> None:
    def no_thread(adder: Adder) -> None:
        def never(batch: Any) -> None:
            raise AssertionError("the thread was asked")

        adder._add = never  # type: ignore[method-assign]

    added = adding(300, no_thread)
    assert [one.created for one in added] == [True] * 300
    assert redis_client.zcard(WAITING) == 301


@pytest.mark.parametrize("after_bytes", [0, 1, 4])
def test_a_reply_that_is_cut(
    proxy: FlakyProxy, redis_client: redis.Redis, after_bytes: int
) -> None:
    def cut(adder: Adder) -> None:
        proxy.cut_reply(b"EVALSHA", after_bytes=after_bytes)

    added = adding(5, cut)
    assert proxy.cuts == 1
    assert [one.created for one in added] == [True] * 5
    assert redis_client.zcard(WAITING) == 6


def test_a_server_that_forgot_the_scripts(proxy: FlakyProxy, redis_client: redis.Redis) -> None:
    added = adding(5, lambda adder: redis_client.script_flush())
    assert [one.created for one in added] == [True] * 5
    assert redis_client.zcard(WAITING) == 6


def test_a_server_that_is_slow_after_a_pause(proxy: FlakyProxy, redis_client: redis.Redis) -> None:
    """What the loop gives up after a moment, Redis may still do: the thread's add is the same job."""

    def slow(adder: Adder) -> None:
        assert adder._flights is not None
        adder._flights._used -= 10
        redis_client.client_pause(600, all=False)

    added = adding(5, slow)
    assert [one.created for one in added] == [True] * 5
    assert redis_client.zcard(WAITING) == 6


def test_what_is_on_its_way_when_the_adder_closes(
    proxy: FlakyProxy, redis_client: redis.Redis
) -> None:
    async def run() -> None:
        adder = Adder()
        await asyncio.wait_for(on_a_lane(adder), 20)
        redis_client.client_pause(300, all=False)
        adds = asyncio.gather(*(adder.add("q", new()) for _ in range(40)))
        await asyncio.sleep(0.05)
        adder.close()
        assert [one.created for one in await asyncio.wait_for(adds, 20)] == [True] * 40

    asyncio.run(run())
    assert redis_client.zcard(WAITING) == 41


def test_a_second_loop_is_served_too(proxy: FlakyProxy, redis_client: redis.Redis) -> None:
    adder = Adder()
    asyncio.run(on_a_lane(adder))
    added = asyncio.run(adder.add("q", new()))
    assert added.created
    adder._flights = None
    adder.close()


@pytest.mark.parametrize("fault", ["full", "no rights"])
def test_those_that_wait_behind_a_fault_are_answered(
    fault: str, proxy: FlakyProxy, redis_client: redis.Redis, redis_server: Server
) -> None:
    """More than are on their way at once: no one else would come for them."""

    async def run() -> list[Any]:
        adder = Adder()
        await asyncio.wait_for(on_a_lane(adder), 20)
        try:
            with FAULTS[fault](redis_server):
                redis_client.client_pause(150)
                adds = []
                for _ in range(FLIGHTS + 4):
                    adds.append(asyncio.ensure_future(adder.add("q", new())))
                    await asyncio.sleep(0.01)
                return await asyncio.wait_for(asyncio.gather(*adds, return_exceptions=True), 20)
        finally:
            adder.close()

    found = asyncio.run(run())
    assert len(found) == FLIGHTS + 4
    assert all(isinstance(one, RedisUnavailable) for one in found)


def test_an_outage_is_waited_for_once(proxy: FlakyProxy) -> None:
    """Not once for each queue, nor for each batch behind it."""

    async def run() -> tuple[list[Any], float]:
        adder = Adder()
        await asyncio.wait_for(on_a_lane(adder), 20)
        proxy.down()
        began = time.monotonic()
        adds = [adder.add(f"q{number % 4}", new()) for number in range(600)]
        found = await asyncio.wait_for(asyncio.gather(*adds, return_exceptions=True), 60)
        adder.close()
        return found, time.monotonic() - began

    found, seconds = asyncio.run(run())
    assert all(isinstance(one, RedisUnavailable) for one in found)
    # One patience is 3 s; four queues and three batches took 21 s.
    assert seconds < 9


def test_more_than_may_wait_are_refused_at_once(
    proxy: FlakyProxy, redis_client: redis.Redis
) -> None:
    async def run() -> list[Any]:
        adder = Adder()
        await asyncio.wait_for(on_a_lane(adder), 20)
        redis_client.client_pause(400, all=False)
        adds = [asyncio.ensure_future(adder.add("q", new())) for _ in range(3 * MOST_WAITING)]
        found = await asyncio.wait_for(asyncio.gather(*adds, return_exceptions=True), 60)
        adder.close()
        return found

    found = asyncio.run(run())
    added = [one for one in found if isinstance(one, Added)]
    assert MOST_WAITING <= len(added) < 3 * MOST_WAITING
    assert all(isinstance(one, Added | RedisUnavailable) for one in found)
    assert redis_client.zcard(WAITING) == len(added) + 1


def test_a_command_that_the_socket_does_not_take_at_once(
    proxy: FlakyProxy, redis_client: redis.Redis
) -> None:
    def small(adder: Adder) -> None:
        assert adder._flights is not None
        adder._flights.lane._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    async def run() -> list[Added]:
        adder = Adder()
        await asyncio.wait_for(on_a_lane(adder), 20)
        small(adder)
        lane = adder._flights
        large = b'"' + b"x" * 90_000 + b'"'
        # Few: a busy machine must send them within the lane's patience.
        adds = [adder.add("q", new()._replace(payload=large)) for _ in range(4)]
        found = await asyncio.wait_for(asyncio.gather(*adds), 60)
        assert adder._flights is lane
        adder.close()
        return list(found)

    assert [one.created for one in asyncio.run(run())] == [True] * 4
    assert redis_client.zcard(WAITING) == 5
