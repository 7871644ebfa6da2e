"""Addresses: the path and query in the dashboard of each place, with the window of time.

They are links that people keep and send to others, so an address keeps its meaning, and one from
anywhere is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from hsejobs.control.filters import parse
from hsejobs.control.moments import parse_moment
from hsejobs.errors import InvalidInput, InvalidOption
from hsejobs.model import QUEUE_NAME, State, check_job_id, iso_time
from hsejobs_tui.core.time_window import LENGTHS, TimeWindow
from hsejobs_tui.session.places import (
    InsightPlace,
    JobPlace,
    ListPlace,
    MatchPlace,
    Place,
    QueuePlace,
)

#: The address of the first screen; all others begin with it.
ROOT: Final = "/api/jobs/dashboard"
#: The numbered screens after the first, by the ids of their commands.
SCREENS: Final = (
    "failures",
    "workers",
    "insight",
    "alerts",
    "circuits",
    "events",
    "tenants",
    "schedules",
)
#: What else is below ``ROOT``. A queue with a name of these, or of a screen, is below ``queues``,
#: which is no queue's name.
OTHERS: Final = ("overview", "queues", "plain", "login", "logout", "static", "view", "ws")
#: The names in a query. ``organizationId`` limits an operator's view: the page has it, not the place.
NAMES: Final = ("state", "where", "queue", "by", "part", "from", "to", "organizationId")
#: Of these, what belongs to the address of a queue, to that of all queues, and to that of Insight.
OF_QUEUE, OF_ALL, OF_INSIGHT = NAMES[:2], NAMES[1:2], NAMES[2:5]
#: What Insight is divided by.
DIVISIONS: Final = ("queue", "task", "error", "tenant")
#: In place of a state: the jobs of all.
ALL: Final = "all"
#: The most characters of an address.
LONGEST: Final = 8_000
#: The state that an address without one shows.
DEFAULT: Final = State.FAILED
LIVE: Final = TimeWindow()


class UnknownAddress(InvalidOption):
    """There is no screen at this address."""

    def __init__(self) -> None:
        super().__init__("address", "names no screen of the dashboard")


def address_of(place: Place, window: TimeWindow = LIVE) -> str:
    """The address of a place, from the root of the server: ``/api/jobs/dashboard/billing?state=failed``.

    A window that ends now, other than the default, is ``from`` alone.
    """
    query: dict[str, str] = {}
    match place:
        case ListPlace(name="overview"):
            path = ""
        case ListPlace():
            path = f"/{place.name}"
        case QueuePlace():
            path = _queue(place.queue)
            query["state"] = place.state.value if place.state else ALL
            if place.query:
                query["where"] = place.query
        case MatchPlace():
            path = "/queues"
            query["where"] = place.query
        case InsightPlace():
            path = "/insight"
            parts = {"queue": place.queue, "by": place.division, "part": place.part}
            if parts["by"] == DIVISIONS[0]:
                del parts["by"]
            query |= {name: value for name, value in parts.items() if value is not None}
        case JobPlace():
            path = f"{_queue(place.queue)}/jobs/{quote(place.job_id, safe=':@+=')}"
    if window.end is not None:
        query["from"], query["to"] = (_written(ms) for ms in window.bounds(window.end))
    elif window.name != LIVE.name:
        query["from"] = f"-{window.name}"
    text = urlencode(query, safe=":~=", errors="surrogatepass", quote_via=quote)
    return f"{ROOT}{path}{'?' if text else ''}{text}"


def read_address(address: str, now: int) -> tuple[Place, TimeWindow]:
    """The place and the window that an address names; ``now``: the time in ms.

    Raises UnknownAddress, and InvalidOption for a parameter that is wrong, unknown or given twice.
    """
    path, _, text = address.partition("?")
    if len(address) > LONGEST or not f"{path}/".startswith(f"{ROOT}/"):
        raise UnknownAddress
    return place_of(path[len(ROOT) :], query := _query(text)), _window(query, now)


def read_typed(
    text: str, queues: Container[str], now: int
) -> tuple[Place, TimeWindow | None] | None:
    """The place that a person typed or pasted, and the window if it names one; None if it is no address.

    That is an address of the dashboard, with or without what stands before ``queue/...``, or ``queue:state``,
    ``queue:id`` and ``queue:state:id``.
    """
    text = text.strip()
    first, colon, rest = text.partition(":")
    if colon and first in queues and "/" not in first:
        place = _short(first, rest)
        return None if place is None else (place, None)
    _, root, below = text.partition(ROOT)
    if not root:
        below = "/" + text.lstrip("/")
        # The name of a queue alone is no address: the menu has the queue.
        queue = text.partition("/")[0].partition("?")[0]
        if not text.startswith("/") and (queue == text or queue not in queues):
            return None
    # The plain page has the same paths; what follows # is the browser's.
    path = below.partition("#")[0].removeprefix("/plain")
    try:
        found, window = read_address(f"{ROOT}{path}", now)
    except InvalidOption:
        return None
    if isinstance(found, QueuePlace | JobPlace) and found.queue not in queues:
        return None
    timed = any(f"{name}=" in path.partition("?")[2] for name in ("from", "to"))
    return found, window if timed else None


def _short(queue: str, rest: str) -> Place | None:
    """The place of ``<state>``, ``<id>`` or ``<state>:<id>`` in a queue."""
    state, colon, job_id = rest.partition(":")
    if state in (*State, ALL):
        if not job_id:
            return QueuePlace(queue, _state(state))
    elif not colon and not rest:
        return QueuePlace(queue, DEFAULT)
    else:
        job_id = rest
    try:
        return JobPlace(queue, check_job_id(job_id, internal=True))
    except InvalidInput:
        return None


def place_of(path: str, query: dict[str, str]) -> Place:
    """The place of a path below ``ROOT``. Raises UnknownAddress, InvalidOption."""
    parts = path.split("/")[1:]
    if parts in ([], [""], ["overview"]):
        place: Place = ListPlace("overview")
    elif parts == ["insight"]:
        place = _insight_place(query)
    elif parts == ["queues"] and query.get("where"):
        place = MatchPlace(_filter(query["where"]))
    elif len(parts) == 1 and parts[0] in SCREENS:
        place = ListPlace(parts[0])
    else:
        apart = parts[0] == "queues"
        place = _queue_place(parts[1:] if apart else parts, query, apart)
    allowed = _allowed(place)
    for names, what in ((OF_QUEUE, "a queue"), (OF_INSIGHT, "insight")):
        if wrong := [one for one in query if one in names and one not in allowed]:
            raise InvalidOption(wrong[0], f"belongs to the address of {what}; remove it")
    return place


def _allowed(place: Place) -> tuple[str, ...]:
    """The names in a query that belong to this place alone."""
    match place:
        case QueuePlace():
            return OF_QUEUE
        case MatchPlace():
            return OF_ALL
        case InsightPlace():
            return OF_INSIGHT
    return ()


def _insight_place(query: dict[str, str]) -> InsightPlace:
    queue, division = query.get("queue"), query.get("by", DIVISIONS[0])
    if queue is not None and not QUEUE_NAME.fullmatch(queue):
        raise InvalidOption("queue", "is not a queue's name")
    if division not in DIVISIONS:
        raise InvalidOption("by", f"must be one of {', '.join(DIVISIONS)}")
    return InsightPlace(queue, division, query.get("part"))


def _queue_place(parts: list[str], query: dict[str, str], apart: bool) -> Place:
    """The place of ``<queue>`` or ``<queue>/jobs/<id>``; ``apart``: below ``queues``."""
    name, *rest = parts or [""]
    if not QUEUE_NAME.fullmatch(name) or (not apart and not rest and name in OTHERS):
        raise UnknownAddress
    if not rest:
        return QueuePlace(name, _state(query.get("state")), _filter(query.get("where", "")))
    if len(rest) != 2 or rest[0] != "jobs":
        raise UnknownAddress
    try:
        return JobPlace(name, check_job_id(unquote(rest[1], errors="strict"), internal=True))
    except (InvalidInput, UnicodeDecodeError):
        raise UnknownAddress from None


def _queue(name: str) -> str:
    return f"/queues/{name}" if name in (*SCREENS, *OTHERS) else f"/{name}"


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise InvalidOption("address", "has a query that is not valid") from None
    for name, value in pairs:
        if name not in NAMES:
            shown = "".join(one if one.isprintable() else "?" for one in name[:60])
            raise InvalidOption(shown, f"is unknown; use {', '.join(NAMES)}")
        if name in found:
            raise InvalidOption(name, "is given twice; send it once")
        found[name] = value
    return found


def _state(text: str | None) -> State | None:
    if text == ALL:
        return None
    try:
        return State(text or DEFAULT)
    except ValueError:
        raise InvalidOption("state", f"must be one of {', '.join(State)}, {ALL}") from None


def _filter(text: str) -> str:
    parse(text)
    return text.strip()


def _window(query: dict[str, str], now: int) -> TimeWindow:
    begin, end = query.get("from"), query.get("to")
    if begin is None and end is None:
        return LIVE
    if end is None and begin is not None and begin.removeprefix("-") in LENGTHS:
        return TimeWindow(begin.removeprefix("-"))
    until = now if end is None else parse_moment(end, now, "to")
    start = until - LIVE.length if begin is None else parse_moment(begin, now, "from")
    if start >= until:
        raise InvalidOption("from", "must be a time before to")
    return TimeWindow.holding(start, until, now)


def _written(ms: int) -> str:
    text = iso_time(max(0, ms)) or ""
    return f"{text[:19]}Z" if text[19:] == ".000Z" else text
