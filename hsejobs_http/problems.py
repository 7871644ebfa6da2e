"""Errors as ``application/problem+json``, each with an HTTP status and a stable code."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

from starlette.responses import Response

from hsejobs.errors import (
    ArtifactNotFound,
    ArtifactsUnavailable,
    BacklogFull,
    Forbidden,
    InvalidInput,
    JobNotFound,
    JobsError,
    PayloadTooLarge,
    RedisFull,
    RedisRefused,
    RedisUnavailable,
    Refused,
    UnknownQueue,
    UnknownTask,
    UnknownWorker,
)
from hsejobs.watch import logs

MEDIA_TYPE = "application/problem+json"
#: Seconds after which to try again when Redis or the artifact store cannot be reached.
RETRY_AFTER = "2"
INTERNAL_ERROR = "an unexpected error occurred; the log of the shim has the details"

TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    416: "Range not satisfiable",
    422: "Invalid",
    429: "Too many jobs",
    431: "Too large",
    500: "Internal error",
    503: "Unavailable",
}


class Problem(Exception):
    """An error answer. ``errors``: pairs of a field and what is wrong with it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: tuple[tuple[str, str], ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers = errors, headers or {}

    def body(self) -> bytes:
        """Returns the JSON document as bytes."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [{"field": name, "problem": text} for name, text in self.errors]
        return json.dumps(document).encode()

    def response(self) -> Response:
        """Returns the HTTP response."""
        return Response(self.body(), self.status, self.headers, MEDIA_TYPE)


def too_slow(what: str) -> Problem:
    """Returns the answer to a request that was not received in time."""
    return Problem(408, "request_timeout", f"{what} did not come in time; send it again")


def stopping() -> Problem:
    """Returns the answer to a request that was unfinished when the shim stopped."""
    detail = "the shim stopped before the request was done; send it again"
    return Problem(503, "stopping", detail, headers={"Retry-After": RETRY_AFTER})


def problem_of(error: JobsError) -> Problem:
    """Returns the answer to an error of hsejobs; it contains no value of the caller's."""
    if isinstance(error, RedisUnavailable | ArtifactsUnavailable):
        if isinstance(error, RedisFull | RedisRefused):
            detail = str(error)
        else:
            what = "Redis" if isinstance(error, RedisUnavailable) else "the artifact store"
            detail = f"{what} does not answer; try again"
        return Problem(503, error.code, detail, headers={"Retry-After": RETRY_AFTER})
    if isinstance(error, InvalidInput):
        status = 413 if isinstance(error, PayloadTooLarge) else 422
        return Problem(status, error.code, str(error), errors=error.problems)
    if isinstance(error, JobNotFound):
        # The same bytes whether the job is absent or another organization's.
        return Problem(404, error.code, "there is no such job")
    if isinstance(error, UnknownQueue | UnknownWorker | ArtifactNotFound):
        return Problem(404, error.code, str(error))
    if isinstance(error, UnknownTask):
        return Problem(422, error.code, str(error), errors=(("task", str(error)),))
    if isinstance(error, Forbidden):
        return Problem(403, error.code, str(error))
    if isinstance(error, BacklogFull):
        headers = {"Retry-After": f"{error.retry_after:.0f}"}
        return Problem(429, error.code, str(error), headers=headers)
    if isinstance(error, Refused):
        return Problem(409, error.code, str(error))
    return Problem(500, error.code, INTERNAL_ERROR)


def answer_to(error: Exception, request_id: str) -> Problem:
    """Returns the answer to any error of an add; logs what is unexpected."""
    if isinstance(error, Problem):
        return error
    problem = problem_of(error) if isinstance(error, JobsError) else None
    if problem is None or problem.status == 500:
        return unexpected(error, request_id)
    return problem


def unexpected(error: BaseException, request_id: str) -> Problem:
    """Logs an unexpected error with its cause and place, and returns its answer.

    Texts of other libraries' errors may contain the caller's values, so only our own are logged.
    """
    places = [
        f"{frame.filename.rpartition('site-packages/')[2].rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-4:]
    ]
    text = f": {error}" if isinstance(error, JobsError) else ""
    cause = type(error).__name__ + text
    logs.emit("unexpected", logging.ERROR, requestId=request_id, cause=cause, at=" > ".join(places))
    return Problem(500, "error", INTERNAL_ERROR)
