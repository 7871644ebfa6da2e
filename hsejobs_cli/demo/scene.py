"""What happened in the demo's three hours: how each queue ran, minute by minute, and what went wrong when.

Times are minutes before now. The figures of a minute follow from a queue's ordinary flow and the phase
that it is in; the backlog at the end of a minute is that before it, plus what came, minus what ended.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Minutes of history.
SPAN = 180
#: The incident: the payment provider refused connections from the release 3d8a on; it ended with a pause.
OUTAGE, OUTAGE_PAUSED, OUTAGE_OVER = 118, 112, 107
#: The second one was shorter, in the middle of a run of invoices.
REFUSED, REFUSED_OVER = 19, 14
#: The deploy after which payments fail.
DEPLOY = 5
#: Since when one organization floods crm-sync, a receiver is dead, and a queue is paused.
FLOOD, DEAD, PAUSED = 23, 44, 39
#: When the newsletter was sent.
NEWSLETTER = 59
#: The organization that floods.
FLOODER = "org-007"
ORGS = tuple(f"org-{number:03}" for number in range(1, 42))


@dataclass(frozen=True, slots=True)
class Failing:
    """A kind of failure. ``share``: of the jobs that end; ``retries``: before a job fails permanently."""

    code: str
    error: str
    share: float
    retries: float = 0.0
    #: The exception's class where the error's text does not begin with it.
    raised: str = ""
    #: The file, line, function and source of the frames of its traceback, the outermost first.
    frames: tuple[tuple[str, int, str, str], ...] = ()

    def text(self, payload: Mapping[str, Any]) -> str:
        """The error of a job with this payload."""
        return self.error.format_map(payload)


_SHOP = "shop/payments.py"
_HTTP = "site-packages/httpcore/_sync/connection.py"
KEY_ERROR = Failing(
    "error",
    "KeyError: 'vat'",
    0.31,
    2,
    "",
    (
        (_SHOP, 74, "charge", "number = _vat_number(payload.customer.model_dump())"),
        (_SHOP, 82, "_vat_number", 'return customer["vat"].replace(" ", "")'),
    ),
)
CONNECTION = Failing(
    "error",
    "ConnectionRefusedError: [Errno 111] Connection refused",
    0.69,
    2,
    "",
    (
        (_SHOP, 91, "charge", "answer = provider.collect(payload)"),
        ("shop/provider.py", 40, "collect", "return self.http.post(self.url, json=body)"),
        (_HTTP, 116, "handle_request", "stream = self._connect(request)"),
    ),
)
MAILBOX = Failing(
    "smtp_refused",
    "550 5.1.1 <{to}>: mailbox unavailable",
    0.046,
    0,
    "MailRefused",
    (
        ("shop/mails.py", 31, "send", "server.send_message(mail)"),
        (
            "lib/python3.12/smtplib.py",
            992,
            "send_message",
            "return self.sendmail(sender, to, text)",
        ),
    ),
)
TIMEOUT = Failing(
    "timeout",
    "mail.example.com:587 gave no answer within 30 s",
    0.014,
    3,
    "NoAnswer",
    (("shop/mails.py", 27, "send", "server = connect(settings.smtp_url)"),),
)
LOGIN = Failing(
    "error",
    "PermissionError: the CRM refused the access token of {account}",
    0.04,
    1,
    "",
    (("shop/crm.py", 55, "sync_contacts", "page = crm.contacts(payload.account, page)"),),
)
NO_SPACE = Failing(
    "error",
    "OSError: [Errno 28] No space left on device: '/var/exports/{table}.csv'",
    0.1,
    2,
    "",
    (("shop/exports.py", 63, "export", "file.write(lines)"),),
)


@dataclass(frozen=True, slots=True)
class Phase:
    """A time in which a queue ran otherwise, from ``first`` until before ``last`` minutes ago.

    ``depth``: the backlog at its end; ``rate``, ``run``: factors; ``orgs``: shares of some organizations.
    """

    first: int
    last: int
    depth: int = 0
    rate: float = 1.0
    run: float = 1.0
    failing: tuple[Failing, ...] | None = None
    orgs: Mapping[str, float] | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """A queue's ordinary minute. ``rate``: jobs added; ``run`` and ``wait``: medians in ms."""

    rate: float
    run: float
    wait: float
    slots: int
    tasks: Mapping[str, float]
    failing: tuple[Failing, ...] = ()
    orgs: Mapping[str, float] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()


_REFUSING = (CONNECTION,)
FLOWS: dict[str, Flow] = {
    "billing": Flow(
        158,
        1_550,
        22,
        4,
        {"charge": 0.85, "remind": 0.15},
        orgs={FLOODER: 0.42, "org-009": 0.09, "org-028": 0.05},
        phases=(
            Phase(OUTAGE, OUTAGE_PAUSED, 640, 1.3, 1.6, _REFUSING, {FLOODER: 0.66}, 90),
            Phase(OUTAGE_PAUSED, OUTAGE_OVER, 1_090, 0.55, 1.6, _REFUSING, {FLOODER: 0.5}, 0),
            Phase(OUTAGE_OVER, OUTAGE_OVER - 4, 0, 1.0, 0.4),
            Phase(REFUSED, REFUSED - 3, 1_214, 2.6, 1.0, _REFUSING, {FLOODER: 0.45}, 420),
            Phase(REFUSED - 3, REFUSED_OVER, 520, 1.0, 0.4, _REFUSING, {FLOODER: 0.45}, 300),
            Phase(REFUSED_OVER, REFUSED_OVER - 2, 0, 1.0, 0.4),
            Phase(REFUSED_OVER - 2, DEPLOY, 0, 1.0, 1.0, orgs={FLOODER: 0.5, "org-009": 0.09}),
            Phase(DEPLOY, -1, 3, 1.0, 1.0, (KEY_ERROR,), {FLOODER: 0.5, "org-009": 0.09}),
        ),
    ),
    "email": Flow(
        157,
        310,
        34,
        5,
        {"send": 1.0},
        (MAILBOX, TIMEOUT),
        {"org-009": 0.12, FLOODER: 0.07},
        (
            Phase(OUTAGE, OUTAGE_OVER, 0, 1.5, 1.0, orgs={FLOODER: 0.5}),
            Phase(NEWSLETTER, NEWSLETTER - 1, 2_610, 18, 1.0, orgs={"org-009": 0.93}),
            Phase(NEWSLETTER - 1, NEWSLETTER - 5, 0, 1.0, 1.0, orgs={"org-009": 0.9}),
        ),
    ),
    "crm-sync": Flow(
        1.6,
        84_000,
        900,
        3,
        {"sync_contacts": 1.0},
        (LOGIN,),
        phases=(
            Phase(75, FLOOD, failing=()),
            Phase(FLOOD, FLOOD - 8, 30, 3.2, 1.0, (), {FLOODER: 0.95}),
            Phase(FLOOD - 8, -1, 40, 1.0, 1.0, (), {FLOODER: 0.9}),
        ),
    ),
    "webhooks": Flow(
        4,
        130,
        25,
        5,
        {"deliver": 1.0},
        orgs={"org-004": 0.7},
        phases=(Phase(DEAD, -1, 0, 1.0, 1.0, orgs={"org-004": 0.05}),),
    ),
    "onboarding": Flow(0.5, 1_600, 40, 5, {"provision": 1.0}, phases=(Phase(PAUSED, -1, 7),)),
    "cleanup": Flow(1 / 60, 620, 15, 1, {"purge_sessions": 1.0}),
    "reports": Flow(0.3, 3_400, 60, 2, {"render": 1.0}),
    "data-exports": Flow(0.2, 7_300, 80, 2, {"export": 1.0}, (NO_SPACE,)),
}


@dataclass(slots=True)
class Beat:
    """One minute of a queue; ``wait`` and ``run``: medians in ms; ``errors``: failed and retried by kind."""

    ago: int
    added: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    depth: int = 0
    wait: float = 0.0
    run: float = 0.0
    errors: dict[Failing, tuple[int, int]] = field(default_factory=dict)
    orgs: Mapping[str, float] = field(default_factory=dict)
    busy: int = 0

    @property
    def ended(self) -> int:
        return self.completed + self.failed


def beats(queue: str, seed: int, span: int = SPAN) -> Iterator[Beat]:
    """The minutes of a queue, the oldest first; that of now, 0, is whole too."""
    flow, rng = FLOWS[queue], random.Random(f"{seed} {queue}")
    phases = {ago: one for one in flow.phases for ago in range(one.first, one.last, -1)}
    depth, since = 0, 0
    # What is less than a whole job of a minute is of a later one.
    left = {"in": rng.random(), "failed": 0.0}
    for ago in range(span, -1, -1):
        phase = phases.get(ago)
        rate = flow.rate * (phase.rate if phase else 1.0) * rng.uniform(0.93, 1.07)
        added = _whole(left, "in", rate)
        after = round(depth + (phase.depth - depth) / max(1, ago - phase.last)) if phase else 0
        after = max(0, min(depth + added, after))
        if flow.rate < 1 and phase is None:
            after = 0
        ended = depth + added - after
        beat = Beat(ago, added, depth=after, run=flow.run * (phase.run if phase else 1.0))
        kinds = flow.failing if phase is None or phase.failing is None else phase.failing
        for kind in kinds:
            failed = min(ended - beat.failed, _whole(left, kind.error, ended * kind.share))
            retried = round(failed * kind.retries) + (phase.retries if phase else 0)
            if failed or retried:
                beat.errors[kind] = failed, retried
            beat.failed += failed
            beat.retried += retried
        beat.completed = ended - beat.failed
        since = since + 1 if depth or after else 0
        # At most half as long as there has been a backlog.
        beat.wait = flow.wait + 60_000 * min(since / 2, max(depth, after) / max(1, ended))
        beat.orgs = {**flow.orgs, **((phase.orgs if phase else None) or {})}
        beat.busy = min(flow.slots, round(ended * beat.run / 60_000 + 0.4) if ended else 0)
        depth = after
        yield beat


def _whole(left: dict[str, float], name: str, amount: float) -> int:
    total = left.get(name, 0.0) + amount
    left[name] = total - int(total)
    return int(total)
