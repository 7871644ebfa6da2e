"""Circuit breakers: which hosts may be called now, as all workers see it.

A circuit is closed (calls are made), open (they are postponed) or half-open (one trial is made).
Its name says what it guards: ``webhook:<organization or ->:<host>:<port>`` for an organization's
receiver, ``smtp:<host>:<port>`` for the mail server. Each transition is one script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from hsejobs.errors import UnknownCircuit
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
    """Whose calls a circuit of that name guards; None for everybody's, or for no circuit's name."""
    match = _NAME.fullmatch(name)
    org = match["org"] if match else None
    return None if org in (None, "-") else unquote(org)


@dataclass(frozen=True, slots=True)
class CircuitEntry:
    """Whether a call may be made: ``closed``, ``trial``, ``open`` or ``waiting`` for a trial's end.

    ``wait_ms``: until it is worth asking again; None while a person holds the circuit open.
    """

    kind: str
    wait_ms: int | None

    @property
    def may(self) -> bool:
        """Whether the call may be made."""
        return self.kind in ("closed", "trial")


@dataclass(frozen=True, slots=True)
class Circuit:
    """One circuit; times in ms since the epoch. ``failures``: in a row."""

    name: str
    state: str
    failures: int
    since: int | None
    until: int | None
    by_hand: bool
    last_error: str | None

    @property
    def organization_id(self) -> str | None:
        """Whose calls it guards; None for everybody's."""
        return organization_of_circuit(self.name)

    @property
    def host(self) -> str:
        """``host:port``."""
        match = _NAME.fullmatch(self.name)
        return match["host"] if match else self.name

    def public(self) -> dict[str, Any]:
        """As the command line and the shim show it."""
        return {
            "name": self.name,
            "organizationId": self.organization_id,
            "host": self.host,
            "state": self.state,
            "failures": self.failures,
            "since": iso_time(self.since),
            "until": iso_time(self.until),
            "byHand": self.by_hand,
            "lastError": self.last_error,
        }


_KINDS = {"c": "closed", "t": "trial", "o": "open", "w": "waiting"}
_LETTERS = {b"c": "closed", b"o": "open", b"t": "half-open", b"h": "open"}


class Circuits:
    """All circuits. ``patience`` in seconds."""

    def __init__(self, link: RedisClient, prefix: str, *, patience: float = PATIENCE) -> None:
        self.link = link
        self.base = keys.circuits(prefix)
        self.patience = patience

    def _run(self, script: scripts.Script, *args: scripts.Arg) -> Any:
        return self.link.run(script, self.base, args, patience=self.patience)

    def enter(self, name: str, token: str, trial_ms: int) -> CircuitEntry:
        """Asks whether a call may be made; ``token`` is this call's own, without spaces.

        A trial that has not been reported after ``trial_ms`` is somebody else's to make.
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
        """Says how a call ended, ``ok``, ``fail`` or ``none``; the state after it."""
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

    def open(self, name: str) -> None:
        """Holds a circuit open until it is closed by hand. Raises UnknownCircuit."""
        if _NAME.fullmatch(name) is None:
            raise UnknownCircuit(
                "no circuit is called that: use webhook:ORG:HOST:PORT (- for no organization),"
                " smtp:HOST:PORT, or a name that `hsejobs circuits` shows"
            )
        self._run(scripts.CIRCUIT_SET, name, 1)

    def close(self, name: str) -> None:
        """Lets calls through again, whatever closed them off. Raises UnknownCircuit."""
        if _NAME.fullmatch(name) is None or not self._run(scripts.CIRCUIT_SET, name, 0):
            raise UnknownCircuit("no circuit is called that: see `hsejobs circuits`")

    def get(self, name: str) -> Circuit:
        """One circuit. Raises UnknownCircuit."""
        for one in self.all():
            if one.name == name:
                return one
        raise UnknownCircuit("no circuit is called that: see `hsejobs circuits`")

    def all(self, organization_id: str | None = None) -> list[Circuit]:
        """Every circuit that failed or was touched in the last day, by name.

        With ``organization_id`` those of its own calls only.
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
        # Nobody has called since: the next call is the trial.
        state = "half-open"
    return Circuit(
        name=(name or b"").decode(),
        state=state,
        failures=whole_number(failures) or 0,
        since=whole_number(since),
        until=whole_number(until) if letter == b"o" else None,
        by_hand=letter == b"h",
        last_error=error.decode("utf-8", "replace") if error else None,
    )
