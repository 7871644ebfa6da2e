"""Adds that wait for one round trip to Redis together are answered one by one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from hsejobs.engine import runtime
from hsejobs.engine.runtime import Runtime
from hsejobs.settings import load_settings
from hsejobs_http.app import create_app
from tests.http.conftest import MAIL, SECRET, token
from tests.support.server import Server

#: An organization, the Idempotency-Key and the body of a request.
Sent = tuple[str, str | None, dict[str, Any]]
WAITING = "hsejobs:{email}:waiting"


class Together:
    """An application in this process, whose adder waits until the requests of a group have reached it."""

    def __init__(self, gate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate, self.adder = gate, gate.app.state.shim.adder
        self.batches: list[int] = []
        self._go = threading.Event()
        self._real = self.adder._add
        monkeypatch.setattr(self.adder, "_add", self._add)

    def _add(self, batch: Any) -> None:
        self.batches.append(len(batch))
        assert self._go.wait(60)
        self._real(batch)

    async def _ask(self, client: httpx.AsyncClient, sent: Sent) -> httpx.Response:
        organization, key, body = sent
        headers = {"Authorization": f"Bearer {token(org=organization)}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return await client.post("/api/jobs/email", json=body, headers=headers)

    def ask(
        self,
        group: list[Sent],
        waiting: int,
        before: Callable[[list[Any]], None] = lambda _: None,
        *,
        tried: bool = True,
    ) -> list[httpx.Response]:
        """The answers to a group; ``before`` gets its tasks once ``waiting`` of them are in the adder.

        ``tried``: whether the adder then tries to add them.
        """

        async def until(met: Callable[[], bool]) -> None:
            while not met():
                await asyncio.sleep(0.002)

        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self.gate)
            async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
                self._go.clear()
                self.batches.clear()
                # While this one is on its way, the others wait.
                first = asyncio.create_task(self._ask(client, ("first", None, MAIL)))
                await until(lambda: self.batches == [1])
                tasks = [asyncio.create_task(self._ask(client, sent)) for sent in group]
                await until(lambda: len(self.adder._left) == waiting)
                before(tasks)
                self._go.set()
                answers = await asyncio.gather(*tasks)
                assert (await first).status_code in (202, 503)
                return list(answers)

        async def bounded() -> list[httpx.Response]:
            return await asyncio.wait_for(run(), 60)

        answers = asyncio.run(bounded())
        assert self.batches == ([1, waiting] if tried else [1])
        return answers


@pytest.fixture
def together(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Together]:
    monkeypatch.setenv("JOBS_JWT_SECRET", SECRET)
    monkeypatch.setenv("QUEUE_EMAIL_TENANT_BACKLOG", "2")
    monkeypatch.setattr(runtime, "_runtime", Runtime(load_settings()))
    gate = create_app()
    made = Together(gate, monkeypatch)
    yield made
    made._go.set()
    gate.app.state.shim.adder.close()
    runtime.runtime().redis.close()


def test_each_of_a_group_has_its_own_answer(together: Together, redis_client: Any) -> None:
    group: list[Sent] = [
        *[("org-1", None, MAIL)] * 3,
        ("org-2", "k", MAIL),
        ("org-2", "k", MAIL),
        ("org-2", "k", {**MAIL, "subject": "Another"}),
        ("org-3", None, {**MAIL, "to": "nobody"}),
        ("org-4", None, MAIL),
    ]
    answers = together.ask(group, waiting=7)
    codes = [one.status_code for one in answers]
    # One above the quota, one with the key of another body, one that is not valid.
    assert codes == [202, 202, 429, 202, 202, 409, 422, 202]
    assert [one.json()["created"] for one in answers[3:5]] == [True, False]
    assert answers[3].json()["jobId"] == answers[4].json()["jobId"]
    assert "to" in answers[6].json()["detail"]
    added = {one.json()["jobId"] for one in answers if one.status_code == 202}
    waiting = {one.decode() for one in redis_client.zrange(WAITING, 0, -1)}
    assert len(added) == 4
    assert added < waiting
    assert len(waiting) == 5


def test_a_caller_that_gives_up_takes_no_other_with_it(
    together: Together, redis_client: Any
) -> None:
    group: list[Sent] = [(f"org-{number}", None, MAIL) for number in range(5)]
    answers = together.ask(group, 5, lambda tasks: tasks[2].cancel())
    assert [one.status_code for one in answers] == [202, 202, 503, 202, 202]
    # Its job was on its way, and is one of those added.
    assert redis_client.zcard(WAITING) == 6


def test_a_group_that_redis_does_not_answer_is_refused_one_by_one(
    together: Together, redis_server: Server
) -> None:
    group: list[Sent] = [("org-1", None, MAIL), ("org-2", None, MAIL), ("org-3", None, MAIL)]
    group.append(("org-4", None, {**MAIL, "to": "nobody"}))
    assert together.ask(group[:1], 1)[0].status_code == 202
    # What was not there for the one before them is not waited for again.
    answers = together.ask(group, 3, lambda _: redis_server.kill(), tried=False)
    assert [one.status_code for one in answers] == [503, 503, 503, 422]
    assert {one.json()["code"] for one in answers[:3]} == {"redis_unavailable"}
    assert all(int(one.headers["retry-after"]) > 0 for one in answers[:3])
    assert len({one.headers["x-request-id"] for one in answers}) == 4
    redis_server.start()
    assert together.ask(group[:1], 1)[0].status_code == 202
