"""The HTTP door: the shim's application, called in this process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt

from tests.conformance.doors import TIMES, Door
from tests.conformance.steps import (
    Add,
    Answer,
    Clean,
    Listing,
    One,
    RemoveFile,
    Schedules,
    SetTask,
    SetTenant,
    Show,
    Step,
    Who,
    Whole,
    Workers,
)
from tests.conformance.world import JWT_SECRET


class Http(Door):
    """The HTTP shim's application, called in this process on one loop."""

    name = "http"

    def __init__(self) -> None:
        from hsejobs_http.app import create_app

        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(create_app(), raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://shim")

    def close(self) -> None:
        """Closes the client and its event loop."""
        self.runner.run(self.client.aclose())
        self.runner.close()

    def call(self, method: str, path: str, who: Who, body: Any = None, **query: Any) -> Any:
        """The answer's JSON. Raises _Refused."""
        claims: dict[str, Any] = {"sub": who.user, "role": who.role, "exp": time.time() + 3600}
        claims |= {"organizationId": who.org} if who.org else {}
        token = jwt.encode(claims, JWT_SECRET, algorithm="HS256")
        request = self.client.build_request(
            method,
            f"/api/jobs/{path}",
            params=query or None,
            headers={"Authorization": f"Bearer {token}"},
            content=None if body is None else json.dumps(body).encode(),
        )
        answer = self.runner.run(self._send(request))
        if answer.status_code >= 400:
            raise _Refused(answer.json()["code"])
        return answer.json() if answer.content else None

    async def _send(self, request: httpx.Request) -> httpx.Response:
        return await self.client.send(request)

    def ask(self, step: Step, who: Who) -> Answer:
        """Its error is a problem document with a code."""
        try:
            return Answer("", self.do(step, who))
        except _Refused as error:
            return Answer(str(error))

    def do(self, step: Step, who: Who) -> Any:
        call: Callable[..., Any] = self.call
        match step:
            case Add():
                options = {
                    name: value * 1000 if name in TIMES else value
                    for name, value in step.options.items()
                }
                named = {
                    "organizationId": step.org,
                    "userId": step.user,
                    "jobId": step.id,
                    "task": step.task,
                }
                options |= {name: value for name, value in named.items() if value is not None}
                made = call("POST", step.queue, who, {"payload": step.payload, "options": options})
                return {"created": made["created"], "status": made["status"]}
            case Show():
                shown = call("GET", f"{step.queue}/jobs/{step.id}", who)
                return shown | {
                    "logs": call("GET", f"{step.queue}/jobs/{step.id}/logs", who)["lines"]
                }
            case Listing():
                query = {"status": step.status, "limit": step.limit}
                query |= {"cursor": step.cursor} if step.cursor else {}
                page = call("GET", f"{step.queue}/jobs", who, **query)
                for _ in range(1, step.pages):
                    page = call("GET", f"{step.queue}/jobs", who, **query, cursor=page["next"])
                return page
            case One("remove"):
                return call("DELETE", f"{step.queue}/jobs/{step.id}", who)
            case One():
                why = {} if step.reason is None else {"reason": step.reason}
                call("POST", f"{step.queue}/jobs/{step.id}/{step.act}", who, why or None)
                return None
            case Clean():
                body = {"status": step.status, "grace": int(step.grace * 1000)}
                return call("POST", f"{step.queue}/clean", who, body)
            case Whole("pause" | "resume"):
                call("POST", f"{step.queue}/{step.act}", who)
                return None
            case Workers():
                call("POST", f"workers/{step.act}", who, {"ids": [step.id]})
                return None
            case SetTenant():
                path = f"{step.queue}/tenants/{step.org}"
                return call("PUT", path, who, {"weight": step.weight})
            case SetTask():
                path = f"{step.queue}/tasks/{step.task}"
                return call("PUT", path, who, {"paused": step.paused})
            case RemoveFile():
                return call("DELETE", f"{step.queue}/jobs/{step.id}/artifact", who)
            case Schedules():
                return call("GET", "schedules", who)
            case _:
                raise AssertionError(step)


class _Refused(Exception):
    """The code of a problem document."""
