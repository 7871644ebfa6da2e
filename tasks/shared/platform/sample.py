"""Generate realistic sample data, reproducible by seed, without changing existing rows.

The same arguments give the same rows. A row's id consists of table, seed and a number, and
existing rows are not changed: a second run adds nothing, a run with more rows adds the
difference, and concurrent runs have the same result as one.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from random import Random
from typing import TYPE_CHECKING, Any, Final

from hsejobs.errors import InvalidOption, Refused
from tasks.shared.platform import sample_words as words

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

#: The first organization, which the documentation's examples use.
FIRST_ORGANIZATION: Final = "org-123"
#: The default last day of the data: fixed, so that the data is the same on every day.
UNTIL: Final = datetime.date(2026, 1, 31)
MAX_ORGANIZATIONS, MAX_ROWS = 10_000, 50_000_000
#: The fewest rows of an organization, so that it gets at least one of everything.
MIN_ROWS_EACH: Final = 20
_DAYS = 730
_CHUNK = 1_000
_COMMIT_ROWS = 20_000
#: Rows of each table in a hundred; the remainder is work permits.
_SHARES = {"stations": 1, "contractors": 2, "users": 3, "audits": 34, "incidents": 30}
_WEBHOOKS = 3
_TIERS = ("starter", "professional", "enterprise")

Progress = Callable[[int, int], None]
_Row = dict[str, Any]


def fill(
    engine: Engine,
    organizations: int = 3,
    rows: int = 3_000,
    seed: int = 1,
    progress: Progress | None = None,
    until: datetime.date = UNTIL,
) -> dict[str, int]:
    """Insert *rows* rows in total, distributed evenly over *organizations* organizations.

    Returns how many rows were added, by table. Calls ``progress(done, rows)`` after each
    thousand. Raises InvalidOption for numbers out of range, Refused before anything is written
    if an id or a name belongs to an organization that is not sample data, and SQLAlchemy's errors.
    """
    _check(organizations, rows, seed)
    added: dict[str, int] = {}
    with engine.connect() as connection:
        _refuse_taken(connection, organizations)
        open_rows = 0
        for size in _put(connection, organizations, rows, seed, until, added, progress):
            open_rows += size
            # Short transactions: on SQLite other writers have to wait for each.
            if open_rows >= _COMMIT_ROWS:
                connection.commit()
                open_rows = 0
        connection.commit()
    return added


def ensure_sample(engine: Engine) -> None:
    """Insert a little sample data, up to today, into a database without ``org-123``.

    Atomic, and done once even if two processes call it at the same time.
    """
    from sqlalchemy import select

    from tasks.shared.platform.schema import ORGANIZATIONS

    first = select(ORGANIZATIONS.c.id).where(ORGANIZATIONS.c.id == FIRST_ORGANIZATION)
    with engine.connect() as connection:
        if connection.scalar(first) is not None:
            return
    today = datetime.datetime.now(datetime.UTC).date()
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # A second process waits here, and then finds the data.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        if connection.scalar(first) is None:
            for _ in _put(connection, 2, 600, 1, today, {}, None):
                pass
        connection.commit()


def _check(organizations: int, rows: int, seed: int) -> None:
    if not 1 <= organizations <= MAX_ORGANIZATIONS:
        raise InvalidOption("organizations", f"must be from 1 to {MAX_ORGANIZATIONS}")
    if not MIN_ROWS_EACH * organizations <= rows <= MAX_ROWS:
        raise InvalidOption(
            "rows", f"must be at least {MIN_ROWS_EACH} per organization, and at most {MAX_ROWS}"
        )
    if not 0 <= seed < 1_000_000:
        raise InvalidOption("seed", "must be from 0 to 999999")


def _put(
    connection: Connection,
    organizations: int,
    rows: int,
    seed: int,
    until: datetime.date,
    added: dict[str, int],
    progress: Progress | None,
) -> Iterator[int]:
    """Insert in pieces; yield the number of rows after each."""
    from tasks.shared.platform.schema import METADATA

    done = 0
    for index in range(organizations):
        share = rows // organizations + (index < rows % organizations)
        maker = _Maker(_organization_id(index), share, seed, until)
        _insert_organization(connection, index, maker, added)
        for name, count in maker.counts.items():
            for start in range(0, count, _CHUNK):
                piece = maker.piece(name, start // _CHUNK, min(_CHUNK, count - start))
                _insert(connection, METADATA.tables[name], piece, added)
                done += len(piece)
                if progress is not None:
                    progress(done, rows)
                yield len(piece)


def _organization_id(index: int) -> str:
    return f"org-{123 + index}"


def _organization_name(index: int) -> str:
    again, which = divmod(index, len(words.ORGANIZATIONS))
    return words.ORGANIZATIONS[which] + (f" {again + 1}" if again else "")


def _keys(organizations: int) -> dict[str, str]:
    """Return the ``name_key`` of each organization of the sample data, by its id."""
    return {_organization_id(n): _organization_name(n).casefold() for n in range(organizations)}


def has_others(engine: Engine) -> bool:
    """Return whether the database has an organization that is not sample data."""
    from sqlalchemy import select

    from tasks.shared.platform.schema import ORGANIZATIONS

    ours = _keys(MAX_ORGANIZATIONS)
    c = ORGANIZATIONS.c
    statement = select(c.id, c.name_key).execution_options(yield_per=1000)
    with engine.connect() as connection, connection.execute(statement) as found:
        return any(ours.get(one.id) != one.name_key for one in found)


def _refuse_taken(connection: Connection, organizations: int) -> None:
    """Raise Refused if an id or a name of the sample data belongs to another organization."""
    from sqlalchemy import or_, select

    from tasks.shared.platform.schema import ORGANIZATIONS

    c = ORGANIZATIONS.c
    names = _keys(organizations)
    ids = list(names)
    # SQLite has a limit of 999 values in old versions.
    for start in range(0, len(ids), 400):
        part = ids[start : start + 400]
        either = or_(c.id.in_(part), c.name_key.in_([names[one] for one in part]))
        for id_, name_key in connection.execute(select(c.id, c.name_key).where(either)):
            if names.get(id_) != name_key:
                raise Refused(
                    f"the organization {id_} is not sample data but uses a sample id or name;"
                    " nothing was written; use another database"
                )
    # The transaction that read this must not be the one that writes.
    connection.rollback()


def _insert_organization(
    connection: Connection, index: int, maker: _Maker, added: dict[str, int]
) -> None:
    from sqlalchemy import select

    from tasks.shared.platform.schema import ORGANIZATIONS

    name = _organization_name(index)
    row = {
        "id": maker.organization,
        "name": name,
        "name_key": name.casefold(),
        "tier": _TIERS[(index + 1) % len(_TIERS)],
        "admin_email": f"admin@{maker.organization}.example.com",
        "created_at": f"{maker.first - datetime.timedelta(days=30):%Y-%m-%dT08:00:00Z}",
    }
    _insert(connection, ORGANIZATIONS, [row], added)
    first = select(ORGANIZATIONS.c.id).where(ORGANIZATIONS.c.id == maker.organization)
    if connection.scalar(first) is None:
        raise Refused(f"{maker.organization}: another organization has the sample's name, {name}")


def _insert(connection: Connection, table: Table, rows: list[_Row], added: dict[str, int]) -> None:
    """Insert the rows that do not exist yet."""
    statement: Any
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        statement = sqlite_insert(table).on_conflict_do_nothing()
    else:
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        statement = postgresql_insert(table).on_conflict_do_nothing()
    result = connection.execute(statement, rows, execution_options={"preserve_rowcount": True})
    added[table.name] = added.get(table.name, 0) + result.rowcount


class _Maker:
    """Generates one organization's rows."""

    def __init__(self, organization: str, rows: int, seed: int, until: datetime.date) -> None:
        self.organization = organization
        self._seed = seed
        self._until = datetime.datetime.combine(until, datetime.time(), datetime.UTC)
        self.first = self._until - datetime.timedelta(days=_DAYS)
        self.counts = {name: max(1, rows * share // 100) for name, share in _SHARES.items()}
        self.counts["webhooks"] = max(1, min(_WEBHOOKS, rows // 100))
        self.counts["work_permits"] = rows - sum(self.counts.values())
        self._makers: dict[str, Callable[[Random, int], _Row]] = {
            "stations": self._station,
            "contractors": self._contractor,
            "users": self._user,
            "audits": self._audit,
            "incidents": self._incident,
            "webhooks": self._webhook,
            "work_permits": self._permit,
        }

    def piece(self, table: str, chunk: int, size: int) -> list[_Row]:
        """Return the first *size* rows of one thousand."""
        random = Random(f"{self._seed}/{self.organization}/{table}/{chunk}")
        make, start = self._makers[table], chunk * _CHUNK
        rows = []
        for number in range(start, start + size):
            row = make(random, number)
            row["organization_id"] = self.organization
            row["id"] = self._id(table, number)
            rows.append(row)
        return rows

    def _id(self, table: str, number: int) -> str:
        return f"{table[:3]}-{self._seed}-{number:07d}"

    def _one_of(self, random: Random, table: str) -> str:
        return self._id(table, int(random.random() * self.counts[table]))

    def _moment(self, random: Random, before: float = 0.0) -> datetime.datetime:
        """Return a working hour in the data's period, at least ``before`` days before its end."""
        days = int(random.random() * (_DAYS - before))
        return self.first + datetime.timedelta(
            days=days, seconds=21_600 + int(random.random() * 43_200)
        )

    def _station(self, random: Random, number: int) -> _Row:
        place = words.PLACES[number % len(words.PLACES)]
        return {
            "name": place if number < len(words.PLACES) else f"{place} ({number})",
            "kind": _pick(random, words.STATION_KINDS),
            "address": f"{_pick(random, words.STREETS)} {1 + int(random.random() * 200)}",
            "active": random.random() < 0.9,
            "created_at": _text(self.first),
        }

    def _contractor(self, random: Random, number: int) -> _Row:
        trade = _pick(random, words.TRADES)
        return {
            "name": f"{words.CONTRACTORS[number % len(words.CONTRACTORS)]} {trade} {number + 1}",
            "trade": trade,
            "contact_email": f"contact{number + 1}@contractors.example.com",
            "status": _pick(random, words.CONTRACTOR_STATUSES),
            "insurance_until": _text(self._moment(random) + datetime.timedelta(days=365)),
            "created_at": _text(self.first),
        }

    def _user(self, random: Random, number: int) -> _Row:
        invited = random.random() < 0.1
        secret = f"{random.getrandbits(256):064x}"
        return {
            "email": f"user{number + 1}@{self.organization}.example.com",
            "name": _person(random),
            "role": words.ROLES[min(number, 2)],
            "password_hash": None if invited else f"scrypt$16384$8$1${secret}",
            "invite_token": f"inv_{secret}" if invited else None,
            "created_at": _text(self._moment(random)),
        }

    def _webhook(self, random: Random, number: int) -> _Row:
        return {
            "url": f"https://hooks.example.com/{self.organization}/{number + 1}",
            "secret": f"whsec_{random.getrandbits(192):048x}",
            "events": sorted(random.sample(words.EVENTS, 2)),
            "active": number < _WEBHOOKS - 1,
            "created_at": _text(self.first),
        }

    def _audit(self, random: Random, number: int) -> _Row:
        planned, chance = self._moment(random), random.random()
        score = min(100, max(0, int(random.gauss(82, 11))))
        findings = max(0, (100 - score) // 6)
        status = _of_chance(chance, (0.8, "Completed"), (0.9, "In Progress"), (1, "Overdue"))
        if planned > self._until - datetime.timedelta(days=14):
            status = "Scheduled"
        done = status == "Completed"
        return {
            "station_id": self._one_of(random, "stations"),
            "title": _pick(random, words.AUDIT_TITLES),
            "status": status,
            "score": score if done else None,
            "auditor": _person(random),
            "findings": findings if done else 0,
            "open_actions": int(random.random() * (findings + 1)) if done else 0,
            "scheduled_at": _text(planned),
            "completed_at": _text(planned + datetime.timedelta(hours=3)) if done else None,
            "created_at": _text(planned - datetime.timedelta(days=21)),
        }

    def _incident(self, random: Random, number: int) -> _Row:
        at, chance = self._moment(random, before=1), random.random()
        kind, severity = _pick(random, words.INCIDENT_KINDS), _pick(random, words.SEVERITIES)
        status = _of_chance(chance, (0.75, "Closed"), (0.9, "Investigating"), (1, "Open"))
        closed = at + datetime.timedelta(days=1 + int(random.random() * 30))
        if status == "Closed" and closed > self._until:
            status = "Investigating"
        lost = int(random.random() * 20)
        return {
            "station_id": self._one_of(random, "stations"),
            "title": _pick(random, words.INCIDENT_TITLES[kind]),
            "description": f"{_pick(random, words.CAUSES)} {_pick(random, words.CAUSES)}",
            "kind": kind,
            "severity": severity,
            "status": status,
            "reported_by": _person(random),
            "lost_days": lost if kind == "Injury" and severity != "Low" else 0,
            "occurred_at": _text(at),
            "closed_at": _text(closed) if status == "Closed" else None,
            "created_at": _text(at + datetime.timedelta(minutes=40)),
        }

    def _permit(self, random: Random, number: int) -> _Row:
        start, chance = self._moment(random), random.random()
        end = start + datetime.timedelta(hours=8 + 24 * int(random.random() * 5))
        if end < self._until:
            # Some are never closed: these are the overdue permits of a report.
            status = _of_chance(chance, (0.9, "Closed"), (0.96, "Expired"), (1, "Active"))
        else:
            status = _of_chance(chance, (0.4, "Draft"), (1, "Approved"))
        kind = _pick(random, words.PERMIT_KINDS)
        return {
            "station_id": self._one_of(random, "stations"),
            "contractor_id": self._one_of(random, "contractors") if chance < 0.7 else None,
            "title": f"{kind}: {_pick(random, words.PLACES)}",
            "kind": kind,
            "status": status,
            "issued_to": _person(random),
            "valid_from": _text(start),
            "valid_until": _text(end),
            "closed_at": _text(end) if status == "Closed" else None,
            "created_at": _text(start - datetime.timedelta(days=2)),
        }


def _pick(random: Random, choices: tuple[str, ...]) -> str:
    # Twice as fast as random.choice, with one random number each.
    return choices[int(random.random() * len(choices))]


def _of_chance(chance: float, *steps: tuple[float, str]) -> str:
    return next((word for below, word in steps if chance < below), steps[-1][1])


def _person(random: Random) -> str:
    return f"{_pick(random, words.FIRST_NAMES)} {_pick(random, words.LAST_NAMES)}"


def _text(at: datetime.datetime) -> str:
    return at.isoformat()[:19] + "Z"
