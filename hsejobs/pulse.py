"""A consumer's pulse: a page of shared memory in which its main thread keeps writing the time.

It shows whether a consumer works or is frozen without asking Redis, because a consumer that waits
for Redis is not frozen. The supervisor creates the page and passes it on as a file descriptor; a
consumer without a supervisor creates its own, so that ``hsejobs worker --check`` finds it in ``/proc``.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hsejobs.settings import Settings

#: The environment variable with the number of the file descriptor.
VARIABLE = "HSEJOBS_PULSE_FD"
#: Exit status by which a consumer asks its supervisor to start it again: EX_TEMPFAIL of sysexits.h.
AGAIN = 75
_NAME = "hsejobs-pulse"
_SIZE = 4096
#: The time of the last beat (ns of the monotonic clock), the phase, the process id.
_BEAT = struct.Struct("@qqq")
_PID = struct.Struct("@q")
_PID_AT = 16
_TEXT_AT = 64


class Phase(IntEnum):
    """What a consumer's main thread does."""

    STARTING = 0
    RUNNING = 1
    #: It connects to Redis: resolving a name cannot be interrupted, and takes long without a DNS server.
    CONNECTING = 2


#: Seconds without a beat, by phase, after which a consumer counts as frozen.
LIMITS = {Phase.STARTING: 300.0, Phase.RUNNING: 30.0, Phase.CONNECTING: 180.0}


class Beat(NamedTuple):
    """The last beat: when (ns of the monotonic clock), and in which phase."""

    at: int
    phase: Phase

    def age(self) -> float:
        """Seconds since the beat."""
        return max(0.0, (time.monotonic_ns() - self.at) / 1e9)


class Pulse:
    """One page of shared memory. ``fd`` is its file descriptor, or -1 once it is closed."""

    def __init__(self, fd: int) -> None:
        # Imported here because most programs have no pulse.
        import mmap

        self._page = mmap.mmap(fd, _SIZE)
        self.fd = fd

    @classmethod
    def create(cls, queue: str, installation: str) -> Pulse:
        """Creates a page in the phase STARTING. Raises OSError."""
        if sys.platform == "linux":
            fd = os.memfd_create(_NAME)
        else:
            import tempfile

            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, _SIZE)
        made = cls(fd)
        text = json.dumps({"queue": queue, "installation": installation}).encode()
        made._page[_TEXT_AT : _TEXT_AT + len(text)] = text
        made.write(Phase.STARTING)
        return made

    def write(self, phase: Phase, pid: int = 0) -> None:
        """Writes a beat; ``pid`` is the consumer's process id, once it is known."""
        known = pid or self.pid
        _BEAT.pack_into(self._page, 0, time.monotonic_ns(), phase, known)

    def claim(self, pid: int) -> None:
        """Notes the process id of the consumer that was started with this page."""
        _PID.pack_into(self._page, _PID_AT, pid)

    def read(self) -> Beat:
        """The last beat."""
        at, phase, _ = _BEAT.unpack_from(self._page)
        return Beat(at, Phase(phase))

    @property
    def pid(self) -> int:
        """The consumer's process id; 0 before it has started."""
        return int(_BEAT.unpack_from(self._page)[2])

    @property
    def owner(self) -> tuple[str, str]:
        """The queue and the installation."""
        text = json.loads(self._page[_TEXT_AT:].rstrip(b"\0"))
        return text["queue"], text["installation"]

    def close(self) -> None:
        """Releases the memory and the descriptor. A second call has no effect."""
        if self.fd != -1:
            self._page.close()
            os.close(self.fd)
            self.fd = -1


def installation_id(settings: Settings) -> str:
    """A digest that tells consumers of one Redis and prefix from those of others on the machine."""
    import hashlib

    place: tuple[object, ...] = (
        settings.redis_url,
        settings.redis_host,
        settings.redis_port,
        settings.redis_db,
    )
    if not any(place[:3]):
        # The embedded server, or the one on localhost.
        place = (settings.jobs_home, settings.redis_db)
    return hashlib.sha256(repr((place, settings.redis_prefix)).encode()).hexdigest()[:16]


class _Own(NamedTuple):
    pulse: Pulse
    pid: int
    thread: int


_own: _Own | None = None


def attach(queue: str, installation: str) -> None:
    """Begins this process's pulse. The calling thread is the one whose beats count.

    Uses the page of the supervisor if there is one. Without shared memory there is no pulse.
    """
    global _own
    given = os.environ.pop(VARIABLE, None)
    detach()
    with contextlib.suppress(OSError, ValueError):
        if given is not None and _is_pulse(int(given)):
            pulse = Pulse(int(given))
        else:
            pulse = Pulse.create(queue, installation)
        pulse.write(Phase.STARTING, os.getpid())
        _own = _Own(pulse, os.getpid(), threading.get_ident())


def detach() -> None:
    """Ends this process's pulse."""
    global _own
    if _own is not None:
        _own.pulse.close()
        _own = None


def _is_pulse(fd: int) -> bool:
    """Whether this descriptor, whose number was inherited, is still a pulse and no other file."""
    try:
        page = os.pread(fd, _SIZE + 1, 0)
        return len(page) == _SIZE and "installation" in json.loads(page[_TEXT_AT:].rstrip(b"\0"))
    except (OSError, ValueError):
        return False


def beat() -> None:
    """Tells that this process's main thread works. No effect in other threads and in a child."""
    _write(Phase.RUNNING)


@contextlib.contextmanager
def connecting() -> Iterator[None]:
    """While it lasts, the main thread may be silent for longer, until the next ``beat``."""
    _write(Phase.CONNECTING)
    try:
        yield
    finally:
        _write(Phase.RUNNING)


def _write(phase: Phase) -> None:
    own = _own
    if own is not None and own.thread == threading.get_ident() and own.pid == os.getpid():
        own.pulse.write(phase)


def hand_over() -> None:
    """Keeps the page for the program that replaces this one by ``exec``."""
    if _own is not None and _own.pid == os.getpid():
        _own.pulse.write(Phase.STARTING)
        os.set_inheritable(_own.pulse.fd, True)
        os.environ[VARIABLE] = str(_own.pulse.fd)


class Found(NamedTuple):
    """A consumer of this machine, as its pulse shows it."""

    queue: str
    pid: int
    beat: Beat

    @property
    def frozen(self) -> bool:
        """Whether its last beat is too long ago."""
        return self.beat.age() > LIMITS[self.beat.phase]


def find(installation: str) -> list[Found]:
    """The consumers of an installation whose processes this user may see. Empty without ``/proc``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for link in (folder / "fd").iterdir():
                one = _look(link, int(folder.name), installation)
                if one is not None:
                    # Its page has more descriptors than one.
                    found.append(one)
                    break
    return found


def _look(link: Path, pid: int, installation: str) -> Found | None:
    """The consumer behind a descriptor of the process ``pid``, which must be the consumer itself."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if not os.readlink(link).startswith(f"/memfd:{_NAME}"):
            return None
        # Opened for writing, because the page is mapped so; nothing is written.
        with contextlib.closing(Pulse(os.open(link, os.O_RDWR | os.O_CLOEXEC))) as pulse:
            queue, theirs = pulse.owner
            if pulse.pid == pid and theirs == installation:
                return Found(queue, pid, pulse.read())
    return None
