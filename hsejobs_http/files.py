"""Artifacts over HTTP: downloads, ranges, HEAD and conditional requests, and removal."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Generator, Iterator
from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from hsejobs.errors import ArtifactForbidden, ArtifactNotFound, JobsError
from hsejobs.services.artifacts import Artifact, removal
from hsejobs.services.artifacts.access import LINK
from hsejobs.services.artifacts.links import verify
from hsejobs_http import routes
from hsejobs_http.problems import Problem
from hsejobs_http.state import Shim, caller, shim, viewer

OF_JOB, LINKED = "/api/jobs/{queue}/jobs/{job_id}/artifact", "/artifacts/{token}"
#: Seconds between two searches for files of removed jobs.
ROUND_SECONDS = 30.0
#: One range of bytes; requests for several get the whole file, as RFC 9110 allows.
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)


def register(app: FastAPI) -> None:
    """Adds the routes of artifacts, by job and by signed link."""
    app.add_api_route(OF_JOB, artifact, methods=["GET"])
    app.add_api_route(OF_JOB, remove_artifact, methods=["DELETE"], status_code=204)
    app.add_api_route(LINKED, linked_artifact, methods=["GET"])
    # The same functions; these get no operations of their own in the OpenAPI document.
    app.add_api_route(OF_JOB, artifact, methods=["HEAD"], include_in_schema=False)
    app.add_api_route(LINKED, linked_artifact, methods=["HEAD"], include_in_schema=False)


class RemovalRounds:
    """Deletes the files of jobs that were removed in the TUI, once the removal can no longer be undone."""

    def __init__(self, shim_state: Shim) -> None:
        self.shim_state, self._next = shim_state, 0.0

    def __call__(self) -> None:
        """Deletes what is due, every half minute; retries what fails."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + ROUND_SECONDS
        with contextlib.suppress(JobsError):
            removal.delete_due(self.shim_state.files, self.shim_state.names())


def artifact(request: Request, queue: str, job_id: str) -> Response:
    """Downloads the file that the job produced."""
    routes.job_of(request, queue, job_id)
    shim_state = shim(request)
    try:
        found = shim_state.files.of_job(viewer(caller(request)), queue, job_id)
    except ArtifactForbidden as error:
        raise Problem(403, "forbidden", str(error)) from None
    return _send(request, shim_state, found)


def remove_artifact(request: Request, queue: str, job_id: str) -> Response:
    """Removes the file that the job produced, and all links to it; the job stays."""
    acts = routes.acting(request, "remove file")
    routes.job_of(request, queue, job_id)
    with acts.recorded("remove file", queue) as record:
        removal.withdraw(shim(request).files, queue, job_id, acts.org, entry=record.packed)
    return Response(status_code=204)


def linked_artifact(request: Request, token: str) -> Response:
    """Downloads the file that a signed link leads to."""
    shim_state = shim(request)
    organization, artifact_id = verify(shim_state.settings, token, time.time_ns() // 1_000_000)
    return _send(request, shim_state, shim_state.files.by_id(LINK, organization, artifact_id))


def _send(request: Request, shim_state: Shim, found: Artifact) -> Response:
    """Returns the file as a download. Raises Problem 416, ArtifactNotFound, ArtifactsUnavailable."""
    etag = f'"{found.sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }
    tags = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    if "*" in tags or etag in tags or f"W/{etag}" in tags:
        return Response(status_code=304, headers=headers)
    start, end, status = 0, found.bytes, 200
    wanted = _RANGE.fullmatch(request.headers.get("range", "").strip())
    # If-Range with another version's tag, or with a date (we keep none), gets the whole file.
    if wanted and request.headers.get("if-range", etag) == etag and request.method == "GET":
        start, end = _part(wanted, found.bytes)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.bytes}"
        status = 206
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=found.content_type)
    return StreamingResponse(
        _content(shim_state, found, start, end - start),
        status_code=status,
        headers=headers,
        media_type=found.content_type,
    )


def _part(wanted: re.Match[str], size: int) -> tuple[int, int]:
    """Returns the range's first byte and the one after its last. Raises Problem 416."""
    first, last, tail = wanted.groups()
    if tail is not None:
        start, end = max(0, size - int(tail)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if start >= end:
        raise Problem(
            416,
            "range_not_satisfiable",
            f"the range begins after the end of the file, which has {size:,} bytes",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end


def _content(shim_state: Shim, found: Artifact, start: int, left: int) -> Iterator[bytes]:
    opened, pieces = shim_state.files.open(found, start)
    if opened.sha256 != found.sha256:
        raise ArtifactNotFound("the artifact was replaced during the download; request it again")
    return _pieces(pieces, left)


def _pieces(pieces: Generator[bytes, None, None], left: int) -> Iterator[bytes]:
    try:
        for piece in pieces:
            if left <= 0:
                break
            yield piece[:left]
            left -= len(piece)
    finally:
        pieces.close()
