"""Circuit breakers, shared by all workers: which hosts may be called now.

A circuit is closed (calls are made), open (calls are postponed) or half-open (one trial call is
made). Its name tells what it guards: ``webhook:<organization or ->:<host>:<port>`` for an
organization's webhook endpoint, ``smtp:<host>:<port>`` for the mail server. Each transition is one
script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from hsejobs.errors import UnknownCircuit, WrongState
from hsejobs.model import check_organization, iso_time, whole_number
from hsejobs.store import keys, scripts
from hsejobs.store.client import PATIENCE, RedisClient

#: Circuits in one call of the listing script.
CHUNK = 500
_NAME = re.compile(
    r"(?:webhook:(?P<org>[^:\s]{1,2400}):|smtp:)"
    r"(?P<host>(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253}):[0-9]{1,5})"
)


def webhook_circuit(organization_id: str | None, place: str) -> str:
    """The circuit of one organization's calls to ``host:port``."""
    org = "-" if organization_id is None else quote(organization_id, safe="@+=")
    return f"webhook:{'%2D' if organization_id == '-' else org}:{place}"


def smtp_circuit(host: str, port: int) -> str:
    """The circuit of the mail server."""
    return f"smtp:{f'[{host}]' if ':' in host else host}:{port}".lower()


def organization_of_circuit(name: str) -> str | None:
    """The organization in a circuit's name; None if it has none, or if the name is not valid."""
    match = _NAME.fullmatch(name)
    org = match["org"] if match else None
    return None if org in (None, "-") else unquote(org)


@dataclass(frozen=True, slots=True)
class CircuitEntry:
    """Whether a call may be made: ``closed``, ``trial``, ``open`` or ``waiting`` (for a trial to end).

    ``wait_ms``: when to ask again; None while the circuit is opened manually.
    """

    kind: str
    wait_ms: int | None

    @property
    def may(self) -> bool:
        """Whether the call may be made."""
        return self.kind in ("closed", "trial")


@dataclass(frozen=True, slots=True)
class Circuit:
    """One circuit; times in ms since the epoch. ``failures`` counts consecutive failures."""

    name: str
    state: str
    failures: int
    since: int | None
    until: int | None
    manual: bool
    last_error: str | None

    @property
    def organization_id(self) -> str | None:
        """The organization whose calls the circuit guards; None for all."""
        return organization_of_circuit(self.name)

    @property
    def host(self) -> str:
        """The ``host:port`` that the circuit guards; the whole name if it names no host."""
        match = _NAME.fullmatch(self.name)
        return match["host"] if match else self.name

    def public(self) -> dict[str, Any]:
        """The object that the command line and the shim show."""
        return {
            "name": self.name,
            "organizationId": self.organization_id,
            "host": self.host,
            "state": self.state,
            "failures": self.failures,
            "since": iso_time(self.since),
            "until": iso_time(self.until),
            "byHand": self.manual,
            "lastError": self.last_error,
        }


_KINDS = {"c": "closed", "t": "trial", "o": "open", "w": "waiting"}
_LETTERS = {b"c": "closed", b"o": "open", b"t": "half-open", b"h": "open"}


class Circuits:
    """All circuits. ``patience`` in seconds."""

    def __init__(self, client: RedisClient, prefix: str, *, patience: float = PATIENCE) -> None:
        self.redis = client
        self.base = keys.circuits(prefix)
        self.patience = patience

    def _run(self, script: scripts.Script, *args: scripts.Arg) -> Any:
        return self.redis.run(script, self.base, args, patience=self.patience)

    def enter(self, name: str, token: str, trial_ms: int) -> CircuitEntry:
        """Asks whether a call may be made; ``token`` identifies the call and has no spaces.

        If a trial is not reported within ``trial_ms``, another call becomes the trial.
        """
        letter, wait = self._run(scripts.CIRCUIT_ENTER, name, token, trial_ms)
        return CircuitEntry(_KINDS[letter.decode()], None if wait < 0 else int(wait))

    def report(
        self,
        name: str,
        token: str,
        verdict: str,
        error: str = "",
        *,
        threshold: int,
        open_ms: int,
        longest_ms: int,
    ) -> str:
        """Reports how a call ended, ``ok``, ``fail`` or ``none``; returns the circuit's new state."""
        letter = self._run(
            scripts.CIRCUIT_REPORT,
            name,
            token,
            verdict,
            error[:300],
            threshold,
            open_ms,
            longest_ms,
        )
        return _LETTERS[letter]

    def open(self, name: str, *, since: int | None = None, entry: str = "") -> None:
        """Opens a circuit until it is closed manually.

        ``since``: since when it is in the state that the user saw; None for any. ``entry``: for the
        audit log. Raises UnknownCircuit; WrongState if the state changed since.
        """
        if _NAME.fullmatch(name) is None:
            raise UnknownCircuit(
                "no circuit has that name: use webhook:ORG:HOST:PORT (- for no organization),"
                " smtp:HOST:PORT, or a name that `hsejobs circuits` shows"
            )
        self._set(name, 1, since, entry)

    def close(self, name: str, *, since: int | None = None, entry: str = "") -> None:
        """Closes a circuit, however it was opened: calls are made again. As `open`."""
        if _NAME.fullmatch(name) is None or not self._set(name, 0, since, entry):
            raise UnknownCircuit("no circuit has that name: see `hsejobs circuits`")

    def _set(self, name: str, opened: int, since: int | None, entry: str) -> bool:
        seen: scripts.Arg = "" if since is None else since
        done = self._run(scripts.CIRCUIT_SET, name, opened, seen, entry)
        if done < 0:
            raise WrongState(f"the circuit {name} changed since it was shown; check it", "changed")
        return bool(done)

    def get(self, name: str) -> Circuit:
        """One circuit. Raises UnknownCircuit."""
        for one in self.all():
            if one.name == name:
                return one
        raise UnknownCircuit("no circuit has that name: see `hsejobs circuits`")

    def all(self, organization_id: str | None = None) -> list[Circuit]:
        """Every circuit that failed or was set in the last day, by name.

        With ``organization_id``, only those of the organization's own calls.
        """
        found: list[Circuit] = []
        offset = 0
        while True:
            now, seen, *rows = self._run(scripts.CIRCUITS, offset, CHUNK)
            found += [_circuit(now, row) for row in rows]
            offset += CHUNK
            if seen < CHUNK:
                break
        if check_organization(organization_id) is not None:
            found = [one for one in found if one.organization_id == organization_id]
        return sorted({one.name: one for one in found}.values(), key=lambda one: one.name)


def _circuit(now: int, row: list[bytes | None]) -> Circuit:
    name, letter, failures, since, until, error = row
    state = _LETTERS.get(letter or b"c", "closed")
    if letter == b"o" and (whole_number(until) or 0) <= now:
        # No call was made since then: the next call is the trial.
        state = "half-open"
    return Circuit(
        name=(name or b"").decode(),
        state=state,
        failures=whole_number(failures) or 0,
        since=whole_number(since),
        until=whole_number(until) if letter == b"o" else None,
        manual=letter == b"h",
        last_error=error.decode("utf-8", "replace") if error else None,
    )
