"""Starting and stopping: the key, the port, several processes, exit statuses."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.conftest import MAIL, SECRET, running
from tests.support import wait_until
from tests.support.commands import run_text


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run_text(*words, timeout=30, env=env)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def test_no_key_refuses_to_start(redis_url: str) -> None:
    done = run("serve")
    assert done.returncode == 2
    assert "JOBS_JWT_SECRET" in done.stderr
    assert "openssl rand" in done.stderr


@pytest.mark.parametrize("words", [("serve",), ("serve", "--workers", "2"), ("up", "--headless")])
def test_a_port_in_use_is_one_error_line(words: tuple[str, ...], taken: int) -> None:
    done = run(*words, JOBS_HTTP_PORT=str(taken), JOBS_JWT_SECRET=SECRET)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: JOBS_HTTP_PORT: port {taken} is in use")
    assert "set another port" in line


def test_a_foreign_address_is_one_error_line(redis_url: str) -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        done = run("serve", JOBS_HTTP_HOST=host, JOBS_JWT_SECRET=SECRET)
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert line.startswith("error: JOBS_HTTP_HOST: ")


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    # One of them is multiprocessing's resource tracker.
    return [int(one) for one in text.split() if b"spawn_main" in command(int(one))]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_two_processes_end_with_their_parent(redis_url: str, tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as shim:
        wait_until(lambda: len(children(shim.process.pid)) == 2, 20, "two processes")
        # New connections, so that both are likely to answer.
        for number in range(20):
            body = {**MAIL, "jobId": f"n{number}"}
            done = shim.ask("POST", "/email", json=body, headers={"Connection": "close"})
            assert done.status_code == 202, done.text
        assert shim.ask("GET", "/stats").json()["email"]["waiting"] == 20
        workers = children(shim.process.pid)
        shim.process.kill()
        shim.process.wait()
        wait_until(lambda: not any(map(command, workers)), 20, "the end of both")


@pytest.mark.parametrize("number", ["1", "2"])
def test_a_signal_exits_with_0(number: str, redis_url: str, tmp_path: Path) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        with running(tmp_path, "--workers", number) as shim:
            shim.process.send_signal(signum)
            assert shim.process.wait(20) == 0, shim.log.read_text()
            assert "Traceback" not in shim.log.read_text()
