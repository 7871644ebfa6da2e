"""Exports: the jobs that match, as a CSV or JSONL file of this user, in pieces."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hsejobs.control import export
from hsejobs.control.filters import Filter, parse
from hsejobs.control.search import Search, Step
from hsejobs.error_groups import normalized
from hsejobs.errors import InvalidOption, JobsError, Refused
from hsejobs.model import JobRecord, State
from hsejobs.store.pages import Page
from hsejobs.wording import counted
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.text import size
from hsejobs_tui.core.view import kind

#: The folder below JOBS_HOME.
FOLDER = "exports"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}\.(csv|jsonl)")


@dataclass(frozen=True)
class OfGroup(Filter):
    """The failed jobs of one group of errors."""

    code: str = ""
    error: str = ""

    def matches(self, job: JobRecord) -> bool:
        """Whether the job failed with this error."""
        return kind(job) == self.code and normalized(job.failed_reason or "") == self.error


@dataclass(frozen=True)
class Tallied(Search):
    """A search that counts the jobs that it read and found."""

    tally: list[int] = field(default_factory=lambda: [0, 0])

    def _sift(self, page: Page, state: State) -> Step:
        """What of a page matches, counted."""
        step = Search._sift(self, page, state)
        self.tally[0] += step.seen
        self.tally[1] += len(step.jobs)
        return step


@dataclass(slots=True)
class Exported:
    """The progress of an export and, at its end, its report."""

    path: Path
    total: int
    seen: int = 0
    found: int = 0
    bytes: int = 0
    cancelled: bool = False
    error: JobsError | None = None

    def report(self, then: str = "") -> str:
        """A sentence about what was written."""
        if self.cancelled:
            return "cancelled; the file was removed"
        if then:
            return f"{then}; the file was removed"
        return f"{counted(self.found, 'job')}, {size(self.bytes)}, in {self.path}"


def suggested(queue: str, what: str, now_ms: int) -> str:
    """A file name for the export of a queue; ``what``: a state, or all."""
    at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%d-%H%M%S")
    return f"{queue}-{what}-{at}.csv"


def place_of(home: Path, name: str) -> tuple[Path, str]:
    """The path and the format of a file name. Raises InvalidOption."""
    found = _NAME.fullmatch(name.strip())
    if found is None:
        raise InvalidOption(
            "file", "must be a name of letters, digits, . _ - that ends with .csv or .jsonl"
        )
    return home / FOLDER / name.strip(), found[1]


def searching(
    source: LiveSource,
    queue: str,
    states: tuple[State, ...],
    query: str | Filter,
    form: str,
) -> Tallied:
    """What an export reads. Raises InvalidOption for an invalid filter."""
    wanted = parse(query, source.reader.now(queue)) if isinstance(query, str) else query
    info = source.infos.get(queue)
    needs = {"errors": 0, **export.needs(form)}
    return Tallied(queue, states, wanted, source.actor, info, source.org, True, **needs)


def write(
    source: LiveSource,
    search: Tallied,
    path: Path,
    form: str,
    stop: Callable[[], bool],
) -> Iterator[Exported]:
    """Writes the jobs found to a new file that only this user can read; yields the same Exported each time.

    An export that was cancelled or failed leaves no file. Raises Refused if the file exists, or cannot
    be written.
    """
    stats = source.stats(search.queue)
    done = Exported(path, sum(getattr(stats, state.value) for state in search.states))
    whole = False
    file = _new(path)
    try:
        with os.fdopen(file, "wb") as out:
            for piece in export.pieces(search, source.reader, form):
                out.write(piece)
                done.bytes += len(piece)
                done.seen, done.found = search.tally
                done.total = max(done.total, done.seen)
                if stop():
                    done.cancelled = True
                    break
                yield done
            whole = not done.cancelled
    except OSError as error:
        raise Refused(f"the file cannot be written: {error.strerror}") from None
    except JobsError as error:
        done.error = error
    finally:
        if not whole:
            path.unlink(missing_ok=True)
    yield done


def _new(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused(f"{path} exists already; choose another name") from None
    except OSError as error:
        raise Refused(f"{path} cannot be created: {error.strerror}") from None
