"""Searches, listings, exports and acts on the jobs that match a filter, on a real store."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from hsejobs import codec
from hsejobs.control import bulk, export, search
from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts
from hsejobs.control.audit import AuditEntry
from hsejobs.control.filters import parse
from hsejobs.control.search import Search, listing, prepare
from hsejobs.errors import Forbidden, InvalidOption
from hsejobs.model import State
from hsejobs.store import pages
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import NewJob
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import LiveSource
from tests.control.conftest import MAIL, Place

OPERATOR = Actor("cli")
ADMIN = Actor("http", "admin", "org-1", "root")
MEMBER = Actor("http", "member", "org-1", "ann")
SECRET = "sk-0815-4711"


@dataclass
class Log:
    entries: list[AuditEntry] = field(default_factory=list)

    def append(self, entry: AuditEntry, organization_id: str | None) -> bool:
        self.entries.append(entry)
        return True


@pytest.fixture
def filled(place: Place) -> Place:
    """30 failed jobs, every third of org-2; 3 waiting ones and 2 delayed ones of org-1."""
    work = WorkerStore(place.redis, "hsejobs", "mail", patience=1)
    for n in range(30):
        add(place, f"f{n:02}", "org-2" if n % 3 == 2 else "org-1", "ann" if n % 2 else "bob", n=n)
    _, claims = work.step([], 30, "t", 30_000)
    for claim in claims:
        n = int(claim.id[1:])
        text = f"Timeout: no {SECRET}" if n < 15 else "=KeyError: 'x'"
        error = codec.dumps({"error": text, "attempt": 1, "code": "error", "traceback": "long"})
        pair = (claim.id, claim.token)
        work.fail(*pair, code="error", error=error, run_us=1, final=True, delay_ms=None)
    for n in range(3):
        add(place, f"w{n}", "org-1", "ann")
    for n in range(2):
        add(place, f"d{n}", "org-1", "ann", delay=60_000)
    return place


def add(place: Place, job_id: str, org: str, user: str, delay: int = 0, **data: Any) -> None:
    payload = codec.dumps({"to": f"{job_id}@example.com", "apiKey": SECRET, **data})
    new = NewJob(
        id=job_id,
        name="m.send",
        payload=payload,
        priority=3,
        attempts=1,
        backoff=1000,
        timeout=0,
        delay=delay,
        organization_id=org,
        user_id=user,
        nonce="n",
    )
    place.writer.add("mail", new)


def ids(place: Place, where: str, actor: Actor = OPERATOR, status: str | None = None) -> set[str]:
    """All that match, by export; and by listing, which must find the same."""
    wanted = prepare(
        place.reader, MAIL, status, where, actor, organization_id=actor.organization_id
    )
    lines = b"".join(export.pieces(wanted, place.reader, "jsonl")).splitlines()
    found = {json.loads(line)["id"] for line in lines}
    assert len(found) == len(lines)
    listed, cursor = [], None
    while True:
        page = listing(
            place.reader,
            MAIL,
            status,
            actor,
            limit=4,
            cursor=cursor,
            where=where,
            organization_id=actor.organization_id,
        )
        listed += [one["id"] for one in page["jobs"]]
        assert page["total"] == (len(found) if cursor is None else None) or not where
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(listed) == sorted(found)
    return found


def numbers(first: int, last: int, keep: Any = lambda n: True) -> set[str]:
    return {f"f{n:02}" for n in range(first, last) if keep(n)}


def test_pages_and_exports_find_the_same_in_all_states(filled: Place) -> None:
    assert ids(filled, "error~timeout") == numbers(0, 15)
    assert ids(filled, "error~timeout org=org-2") == numbers(0, 15, lambda n: n % 3 == 2)
    assert ids(filled, "error~timeout", ADMIN) == numbers(0, 15, lambda n: n % 3 != 2)
    assert ids(filled, "user=ann", status="waiting") == {"w0", "w1", "w2"}
    assert ids(filled, "user=ann until=0s") == numbers(0, 30, lambda n: n % 2 == 1) | {
        *("w0", "w1", "w2"),
        *("d0", "d1"),
    }
    assert ids(filled, "") == {"w0", "w1", "w2"}
    assert ids(filled, "since=2099-01-01") == set()
    assert ids(filled, "data.n=7") == {"f07"}
    # An admin's search reads its own organization's index, whatever it asks for.
    assert ids(filled, "org=org-2", ADMIN) == set()


def test_a_search_finds_what_the_tui_finds(filled: Place, tmp_path: Any) -> None:
    options = Options(url="", prefix="hsejobs", home=tmp_path, place="test")
    source = LiveSource(options, filled.redis)
    source.snapshot()
    for text in ("error~timeout org=org-1 since=1h", "error!~key f1", "data.n=3"):
        (*_, hits) = source.search("mail", State.FAILED, parse(text))
        assert {one for one, _ in hits.bound} == ids(filled, text, status="failed") != set()


def test_secrets_are_masked_before_they_are_compared(filled: Place) -> None:
    assert ids(filled, SECRET) == set()
    assert ids(filled, f"data.apiKey={SECRET}") == set()
    assert len(ids(filled, "data.apiKey=***")) == 35
    mine = prepare(filled.reader, MAIL, "failed", "", MEMBER, organization_id="org-1")
    for form in export.FORMATS:
        text = b"".join(export.pieces(mine, filled.reader, form)).decode()
        assert SECRET not in text
        assert "f01@example.com" in text
        assert "f00@example.com" not in text, "another user's"
        assert "f02" not in text, "another tenant's"
    # What a member cannot read, its filter cannot find either.
    assert ids(filled, "f00@example.com", MEMBER) == set()
    assert ids(filled, "error~timeout", MEMBER) == numbers(
        0, 15, lambda n: n % 3 != 2 and n % 2 == 1
    )


def test_cells_of_csv_are_no_formulas(filled: Place) -> None:
    wanted = prepare(filled.reader, MAIL, None, "id=f20", OPERATOR, errors=1)
    text = b"".join(export.pieces(wanted, filled.reader, "csv")).decode()
    [row] = csv.DictReader(io.StringIO(text))
    assert tuple(row) == export.COLUMNS
    assert (row["id"], row["failedReason"]) == ("f20", "'=KeyError: 'x'")
    assert json.loads(row["data"])["to"] == "f20@example.com"


def test_an_error_is_found_as_it_is_shown(filled: Place) -> None:
    """Whether a job is passed over before its secrets are masked must not be seen."""
    first = numbers(0, 15)
    assert ids(filled, "error~no error~***") == ids(filled, "error=timeout:" + '" no ***"') == first
    assert ids(filled, f"error~{SECRET}") == ids(filled, f"error~{SECRET[:4]}") == set()
    assert ids(filled, f"error!~{SECRET} error~timeout") == first
    log = Log()
    secret = bulk.match(
        acts(filled, OPERATOR, log), filled.reader, MAIL, "retry", None, f"error~{SECRET}"
    )
    assert secret.jobs == []
    hidden = numbers(0, 30, lambda n: n % 3 != 2 and n % 2 == 0)
    assert ids(filled, 'error~"not shown"', MEMBER) == hidden
    assert ids(filled, 'error~"not shown"', ADMIN) == set()


def test_pages_read_ahead_are_those_read_one_by_one(
    filled: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a page ends early because its jobs are large, if the connection is lost, and if the reader
    stops in the middle; the connection is then free for other calls.
    """
    monkeypatch.setattr(pages, "PAGE_BYTES", 400)
    reader = filled.reader
    single = [job.id for page in reader.walk("mail", State.FAILED) for job in page]
    assert set(single) == numbers(0, 30)
    found = []
    for page in reader.pages("mail", State.FAILED, 100):
        found += [job.id for job in page.jobs]
        if len(found) == len(page.jobs):
            filled.redis.close()
    assert found == single
    few = reader.pages("mail", State.FAILED, 2)
    cursor = [page.next for page in few][-1]
    rest = reader.pages("mail", State.FAILED, 100, cursor=cursor)
    assert next(rest).jobs[0].id not in single[:2]
    rest.close()  # type: ignore[attr-defined]
    assert reader.status("mail", "f07") is State.FAILED


@pytest.mark.parametrize("bytes_of_piece", [1, 300, export.PIECE])
@pytest.mark.parametrize("most", [None, 1, 7, 30])
def test_an_export_has_every_job_once(
    filled: Place, monkeypatch: pytest.MonkeyPatch, bytes_of_piece: int, most: int | None
) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 400)
    monkeypatch.setattr(export, "PIECE", bytes_of_piece)
    monkeypatch.setattr(export, "PAGES", 3)
    wanted = prepare(filled.reader, MAIL, None, "m.send", OPERATOR, **export.needs("csv"))
    text = b"".join(export.pieces(wanted, filled.reader, "csv", limit=most)).decode()
    found = [row["id"] for row in csv.DictReader(io.StringIO(text))]
    assert len(found) == len(set(found)) == (most or 35)


def test_a_brief_error_is_the_newest_without_its_traceback(filled: Place) -> None:
    key = "hsejobs:{mail}:e:f20"
    for entry in (
        {"error": 'a,"traceback":"b', "code": "x", "traceback": "long", "worker": "w"},
        {"traceback": "first", "error": "last"},
    ):
        filled.redis.command("RPUSH", key, codec.dumps(entry))
        [job] = [
            one
            for page in filled.reader.walk("mail", State.FAILED, errors=pages.BRIEF)
            for one in page
            if one.id == "f20"
        ]
        assert (job.failed_reason, len(job.errors)) == (entry["error"], 1)
        assert ("traceback" in job.errors[0]) == (next(iter(entry)) == "traceback")


def test_a_search_ends_at_what_ended_too_early(
    filled: Place,
) -> None:
    wanted = Search("mail", (State.FAILED,), parse("since=2099-01-01"), OPERATOR)
    step = wanted.step(filled.reader, limit=5)
    assert (step.seen, step.next, step.jobs) == (5, None, [])


def acts(place: Place, actor: Actor, log: Log) -> Acts:
    return Acts(place.redis, "hsejobs", actor, log)


@pytest.mark.parametrize("act", ["retry", "promote", "cancel", "remove"])
def test_an_act_touches_only_what_matched_when_it_was_asked(filled: Place, act: str) -> None:
    where, mine, log = "org=org-1", acts(filled, OPERATOR, Log()), Log()
    bound = acts(filled, OPERATOR, log)
    found = bulk.match(bound, filled.reader, MAIL, act, None, where)
    counted = len(found.jobs)
    assert counted == {"retry": 20, "promote": 2, "cancel": 5, "remove": 25}[act]
    # Between the question and the act: one more matches, and one changes and comes back.
    moved = "d0" if act != "retry" else "f00"
    if act == "retry":
        mine.one("retry", "mail", "f00")
        mine.one("cancel", "mail", "f00")
    else:
        mine.one("promote", "mail", "d0")
    add(filled, "late", "org-1", "ann", delay=60_000)
    before = filled.job(moved)
    (*_, progress) = bulk.carry_out(bound, found)
    shown = bulk.report(found, progress)
    assert (shown["matched"], shown["done"]) == (counted, counted - 1)
    [refused] = shown["refused"]
    assert refused["jobId"] == moved
    assert refused["why"]
    assert filled.job(moved) == before
    assert filled.job("late").status is State.DELAYED
    [entry] = log.entries
    were = {"retry": "failed", "promote": "delayed", "cancel": "waiting,delayed"}
    were["remove"] = "waiting,delayed,failed"
    assert (entry.act, entry.count, entry.where) == (
        act,
        counted - 1,
        f"status={were[act]} {where}",
    )


def test_who_may_act_on_what(filled: Place) -> None:
    log = Log()
    assert len(_match(filled, ADMIN, "remove", "failed").jobs) == 20
    # A member cancels only its own jobs, and only those count as matched.
    assert {one for one, _ in _match(filled, MEMBER, "cancel", None).jobs} == {
        *("w0", "w1", "w2"),
        *("d0", "d1"),
    }
    with pytest.raises(Forbidden):
        _match(filled, MEMBER, "retry", "failed")
    for status in ("completed", "paused", "nope"):
        with pytest.raises(InvalidOption):
            _match(filled, OPERATOR, "retry", status)
    assert _match(filled, OPERATOR, "cancel", "paused").jobs == []
    filled.writer.pause("mail")
    assert len(_match(filled, OPERATOR, "cancel", "paused").jobs) == 3
    nothing = bulk.match(acts(filled, OPERATOR, log), filled.reader, MAIL, "remove", None, "id=x")
    (*_, progress) = bulk.carry_out(acts(filled, OPERATOR, log), nothing)
    assert bulk.report(nothing, progress) == {"matched": 0, "done": 0, "refused": []}
    assert log.entries == []


def _match(place: Place, actor: Actor, act: str, status: str | None) -> bulk.Matched:
    return bulk.match(acts(place, actor, Log()), place.reader, MAIL, act, status, "until=0s")


def test_a_page_reads_a_limited_number_of_jobs(
    filled: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "READ_AT_MOST", 10)
    monkeypatch.setattr(search, "PAGE", 5)
    monkeypatch.setattr(Search.step, "__defaults__", (None, 5))
    page = listing(filled.reader, MAIL, "failed", OPERATOR, limit=5, where="id=f00")
    assert (page["jobs"], page["total"]) == ([], None)
    found, cursor = [], page["next"]
    while cursor:
        page = listing(
            filled.reader, MAIL, "failed", OPERATOR, limit=5, where="id=f00", cursor=cursor
        )
        found += [one["id"] for one in page["jobs"]]
        cursor = page["next"]
    assert found == ["f00"]


@pytest.mark.parametrize("limit", [1, 4, 5, 7, 33, 200])
def test_pages_are_full_until_the_last(filled: Place, limit: int) -> None:
    """Seen: a page ended where a state did, although other states had more that match."""
    read, cursor, sizes = [], None, []
    while True:
        page = listing(
            filled.reader, MAIL, None, OPERATOR, limit=limit, cursor=cursor, where="id!=x"
        )
        sizes.append(len(page["jobs"]))
        read += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(read) == sorted(numbers(0, 30) | {"w0", "w1", "w2", "d0", "d1"})
    assert sizes[:-1] == [limit] * (len(sizes) - 1)


def test_a_cursor_leads_on_when_jobs_have_moved(filled: Place) -> None:
    """A job that stays where it is is shown once, whatever the others do between two pages."""
    moves = [
        lambda: acts(filled, OPERATOR, Log()).one("retry", "mail", "f29"),
        lambda: acts(filled, OPERATOR, Log()).one("promote", "mail", "d0"),
        lambda: acts(filled, OPERATOR, Log()).one("remove", "mail", "f20"),
        lambda: acts(filled, OPERATOR, Log()).one("cancel", "mail", "w0"),
    ]
    read: list[str] = []
    cursor: str | None = None
    while True:
        page = listing(filled.reader, MAIL, None, OPERATOR, limit=4, cursor=cursor, where="id!=x")
        read += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
        if cursor is None:
            break
        assert len(page["jobs"]) == 4
        # Also the job that the cursor names moves on.
        last = read[-1]
        if moves:
            moves.pop(0)()
        elif last.startswith("f"):
            acts(filled, OPERATOR, Log()).one("remove", "mail", last)
    still = numbers(0, 30, lambda n: n not in (20, 29)) | {"w1", "w2", "d1"}
    assert still <= set(read)
    assert all(read.count(one) == 1 for one in still)


def test_large_jobs_end_a_page_only_if_they_fill_it(
    filled: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that keeps few of the large jobs that it has read goes on."""
    monkeypatch.setattr(pages, "PAGE_BYTES", 600)
    found = listing(filled.reader, MAIL, "failed", OPERATOR, limit=3, where="data.n=7")
    assert [one["id"] for one in found["jobs"]] == ["f07"]
    whole = listing(filled.reader, MAIL, "failed", OPERATOR, limit=30, where="id!=x")
    assert 1 <= len(whole["jobs"]) < 30
    assert whole["next"]
