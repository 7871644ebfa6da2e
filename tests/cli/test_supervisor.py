"""The supervisor with real consumers: they die, freeze and stop, and nothing of them is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsejobs import pulse
from hsejobs.errors import Refused
from hsejobs.settings import load_settings
from hsejobs_cli.liveness import check_consumers
from tests.cli.supervised import processes, threads
from tests.support import skip_or_fail, wait_until
from tests.support.server import Server

APP = "tests.cli.supervised"
QUEUES = ("threads", "processes")
#: Runs a supervisor whose limit for a frozen consumer is two seconds.
IMPATIENT = """
import signal
from hsejobs_cli.supervisor import Supervisor
from hsejobs.pulse import LIMITS, Phase
made = Supervisor({"threads": "tests.cli.supervised.threads"}, 5000, limits={**LIMITS, Phase.RUNNING: 2.0})
signal.signal(signal.SIGTERM, made.handle)
made.run()
"""


class Supervised:
    """A supervisor and its log."""

    def __init__(self, words: list[str], log: Path, **env: str) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                words,
                env={**os.environ, "QUEUE_APP": APP, "QUEUE_CONCURRENCY": "1", **env},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        #: The supervisor itself, where ``words`` run it in a namespace.
        self.pid = self.process.pid

    def wait_for(self, words: str, times: int) -> None:
        def written() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.log.read_text().count(words) >= times

        wait_until(written, 60, f"{times} times {words!r}")

    def consumers(self) -> list[int]:
        """The process ids of the consumers that have not ended."""
        return [
            pid
            for pid, text in children(self.pid).items()
            if "huey_consumer" in text and state(pid) != "Z"
        ]

    def zombies(self) -> list[int]:
        return [pid for pid in children(self.pid) if state(pid) == "Z"]

    def stop(self) -> int:
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(60)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def children(parent: int) -> dict[int, str]:
    numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    found = {}
    for pid in numbers:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found[pid] = command(pid)
    return found


def sleepers(seconds: str) -> int:
    """How many processes sleep for this time."""
    numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    return sum(command(pid) == f"sleep {seconds} " for pid in numbers)


@pytest.fixture
def supervised(redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Starts a supervisor; at the end, it and all its descendants are ended."""
    made: list[Supervised] = []

    def start(*words: str, **env: str) -> Supervised:
        default = [sys.executable, "-m", "hsejobs_cli", "worker"]
        made.append(Supervised(list(words) or default, tmp_path / "worker.log", **env))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.process.wait(30)
        one.process.kill()
        one.process.wait()


def spawn_and_kill(one: Supervised) -> None:
    """Runs a job in each queue that starts processes, and kills the consumers."""
    seconds = f"600.{os.getpid()}"
    for queue in (threads, processes):
        queue.submit({"seconds": seconds}, task="spawn")
    wait_until(lambda: sleepers(seconds) == 8, 30, "all processes of two jobs")
    for pid in one.consumers():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: sleepers(seconds) == 0, 5, "the end of what the jobs started")
    wait_until(lambda: not one.zombies(), 5, "no zombie")
    one.wait_for("processor started", 4)


def test_nothing_is_left_of_killed_consumers_and_systemd_hears_of_it(
    supervised: Callable[..., Supervised],
) -> None:
    with listening() as (address, heard):
        one = supervised(NOTIFY_SOCKET=address, WATCHDOG_USEC="400000")
        wait_until(lambda: any("READY=1" in text for text in heard), 60, "READY=1")
        assert one.log.read_text().count("processor started") == 2
        ready = len(heard)
        wait_until(lambda: heard[ready:].count("WATCHDOG=1") > 3, 30, "the watchdog")
        for pid in one.consumers():
            assert "NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_text()
        spawn_and_kill(one)
        assert one.stop() == 0
        wait_until(lambda: any("STOPPING=1" in text for text in heard), 5, "STOPPING=1")
    assert sum("STOPPING=1" in text for text in heard) == 1
    assert sum("READY=1" in text for text in heard) == 1


@contextlib.contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """The address of an abstract socket, as systemd may use one, and the messages that arrive there."""
    heard: list[str] = []
    name = f"hsejobs-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name)

        def listen() -> None:
            while text := systemd.recv(4096).decode():
                heard.append(text)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield "@" + name, heard
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.sendto(b"", "\0" + name)
            thread.join()


def test_process_1_of_a_container_leaves_no_zombie(supervised: Callable[..., Supervised]) -> None:
    namespace = ["unshare", "--pid", "--fork", "--mount-proc"]
    if os.geteuid() != 0:
        namespace += ["--user", "--map-root-user"]
    if subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode != 0:
        skip_or_fail("unshare cannot make a namespace for processes")
    one = supervised(*namespace, sys.executable, "-m", "hsejobs_cli", "worker")
    one.wait_for("processor started", 2)
    [one.pid] = children(one.process.pid)
    spawn_and_kill(one)
    assert one.stop() == 0


def test_a_frozen_consumer_is_replaced_but_not_after_a_suspension(
    supervised: Callable[..., Supervised],
) -> None:
    one = supervised(sys.executable, "-c", IMPATIENT)
    one.wait_for("processor started", 1)
    [pid] = one.consumers()
    wait_until(lambda: pid in running(""), 10, "the end of its start")
    # The times that pass are what is tested: the supervisor sees the last beat, is suspended for more
    # than the limit, and looks again for less.
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.3)
    os.kill(one.pid, signal.SIGSTOP)
    time.sleep(2.2)
    os.kill(one.pid, signal.SIGCONT)
    time.sleep(0.5)
    os.kill(pid, signal.SIGCONT)
    seconds = f"601.{os.getpid()}"
    threads.submit({"seconds": seconds}, task="spawn")
    wait_until(lambda: sleepers(seconds) == 4, 30, "the processes of the job")
    assert "not responded" not in one.log.read_text()
    os.kill(pid, signal.SIGSTOP)
    one.wait_for("has not responded for 2 s; replacing it", 1)
    one.wait_for("processor started", 2)
    assert sleepers(seconds) == 0
    assert pid not in one.consumers()
    assert one.stop() == 0


def test_the_check_names_the_queue_and_needs_no_redis(
    supervised: Callable[..., Supervised],
    redis_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load_settings()
    with pytest.raises(Refused, match=r"^threads: no consumer runs on this machine$"):
        check_consumers(settings, ["threads"])
    one = supervised()
    one.wait_for("processor started", 2)
    check = [sys.executable, "-m", "hsejobs_cli", "worker", "--check"]
    env = {**os.environ, "QUEUE_APP": APP}
    redis_server.stop()
    done = subprocess.run(check, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok: threads, processes\n", "")
    redis_server.start()
    [pid] = [pid for pid in one.consumers() if ".threads" in command(pid)]
    wait_until(lambda: pid in running(pulse.installation_id(settings)), 10, "the end of its start")
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setitem(pulse.LIMITS, pulse.Phase.RUNNING, 0.5)
    wait_until(lambda: frozen(pid), 10, "a frozen consumer")
    with pytest.raises(Refused, match=rf"^threads: process {pid} has not responded for \d+ s$"):
        check_consumers(settings, list(QUEUES))
    assert check_consumers(settings, ["processes"]) == "ok: processes"
    os.kill(pid, signal.SIGCONT)
    # A consumer of another installation on this machine is not ours.
    monkeypatch.setenv("QUEUE_REDIS_PREFIX", "other")
    with pytest.raises(Refused, match="threads"):
        check_consumers(load_settings(), ["threads"])


def running(installation: str) -> set[int]:
    """The consumers that have begun their work."""
    return {
        one.pid
        for one in pulse.find(installation)
        if one.beat.phase is pulse.Phase.RUNNING and not one.frozen
    }


def frozen(pid: int) -> bool:
    found = pulse.find(pulse.installation_id(load_settings()))
    return any(one.pid == pid and one.frozen for one in found)


def test_signals_at_random_moments(tmp_path: Path) -> None:
    """The short form of ``benchmarks/stops.py --sequences 1000``."""
    words = ["--sequences", "3", "--lanes", "3", "--keep", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.stops", *words], capture_output=True, check=False
    )
    assert done.returncode == 0, json.loads(done.stdout)
