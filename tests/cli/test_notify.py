"""What systemd hears, and when, through a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsejobs_cli.notify import Notifier


class Systemd:
    """A socket in the file system."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.place)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """The messages since the last call."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(short_tmp: Path) -> Iterator[Systemd]:
    made = Systemd(short_tmp / "notify")
    yield made
    made.close()


def test_the_watchdog_hears_of_it_only_while_all_is_well(systemd: Systemd) -> None:
    environ = {
        "NOTIFY_SOCKET": systemd.place,
        "WATCHDOG_USEC": "60000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/bin",
    }
    notifier = Notifier(environ)
    assert environ == {"PATH": "/bin"}
    notifier.check(ready=False, well=False)
    assert systemd.heard() == []
    notifier.check(ready=False, well=True)
    notifier.check(ready=False, well=True)
    assert systemd.heard() == ["WATCHDOG=1"]
    notifier.check(ready=True, well=True)
    notifier.check(ready=True, well=True)
    assert systemd.heard() == ["READY=1\nSTATUS=all consumers run"]
    notifier.stopping(2.5)
    notifier.stopping(2.0)
    assert systemd.heard() == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=2500000"]


def test_the_watchdog_of_another_process_is_left_alone(systemd: Systemd) -> None:
    notifier = Notifier(
        {"NOTIFY_SOCKET": systemd.place, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}
    )
    notifier.check(ready=False, well=True)
    assert systemd.heard() == []


def test_a_socket_that_is_gone_or_none_harms_nothing(short_tmp: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(short_tmp / "gone")}):
        notifier = Notifier(environ)
        notifier.check(ready=True, well=True)
        notifier.stopping(1.0)
