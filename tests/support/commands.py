"""Runs ``hsejobs`` commands in processes of their own that need not import anything.

A process that has imported the command line forks a copy of itself for each command: importing takes
most of a command's time, and the suite runs hundreds. Tests of the start itself start Python.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
#: What commands import, with what an application imports of the library. Not the application: a command
#: takes that of its folder.
PRELOADED = (
    "hsejobs.application",
    "hsejobs.engine.register",
    "hsejobs.services.artifacts.access",
    "hsejobs.services.breaker",
    "hsejobs.services.mail.payload",
    "hsejobs.services.webhooks.payload",
    "hsejobs_cli.app",
    "hsejobs_cli.session",
)


def run_command(
    *words: str,
    stdin: str | bytes = "",
    cwd: Path | str | None = None,
    timeout: float = 60,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Runs ``hsejobs WORDS`` with this process's environment and ``env``, and returns its output."""
    return _forker(os.getpid()).run(
        words,
        stdin.encode() if isinstance(stdin, str) else stdin,
        str(cwd or Path.cwd()),
        {**os.environ, **(env or {})},
        timeout,
    )


def run_text(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """As `run_command`, with the output as text."""
    done = run_command(*words, **options)
    text = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, *text)


@cache
def _forker(pid: int) -> _Forker:
    made = _Forker()
    atexit.register(made.close)
    return made


class _Forker:
    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.commands", str(other.fileno())],
                pass_fds=[other.fileno()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                # No setting of a test: it lives longer.
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            )

    def close(self) -> None:
        """Ends it; it notices that no one can ask it any more."""
        self._socket.close()
        self._process.wait()

    def run(
        self, words: tuple[str, ...], stdin: bytes, cwd: str, env: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
            files[0].write(stdin)
            files[0].seek(0)
            question = {"words": words, "cwd": cwd, "env": env}
            with tempfile.TemporaryFile() as asked:
                # An environment may be longer than a packet.
                asked.write(json.dumps(question).encode("utf-8", "surrogateescape"))
                asked.seek(0)
                fds = [one.fileno() for one in (asked, *files)]
                socket.send_fds(self._socket, [b"run"], fds)
            self._socket.settimeout(timeout)
            pid = int(self._socket.recv(100))
            try:
                status = int(self._socket.recv(100))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._socket.settimeout(None)
                self._socket.recv(100)
                raise subprocess.TimeoutExpired(
                    words, timeout, _all(files[1]), _all(files[2])
                ) from None
            return subprocess.CompletedProcess(words, status, _all(files[1]), _all(files[2]))


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _serve(asking: socket.socket) -> None:
    from hsejobs.store import lean

    lean.import_redis()
    for name in PRELOADED:
        importlib.import_module(name)
    while True:
        data, fds, _, _ = socket.recv_fds(asking, 100, 4)
        if not data:
            return
        pid = os.fork()
        if pid == 0:
            asking.close()
            _become(fds)
        for fd in fds:
            os.close(fd)
        asking.send(str(pid).encode())
        _, ended = os.waitpid(pid, 0)
        asking.send(str(os.waitstatus_to_exitcode(ended)).encode())


def _become(fds: list[int]) -> None:
    """Becomes the command: what it is given, and its three files. Does not return."""
    status = 70
    try:
        with open(fds[0], encoding="utf-8", errors="surrogateescape") as file:
            asked: Any = json.load(file)
        for number, fd in enumerate(fds[1:]):
            os.dup2(fd, number)
            os.close(fd)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.environ.clear()
        os.environ.update(asked["env"])
        os.chdir(asked["cwd"])
        time.tzset()
        sys.path[0] = asked["cwd"]
        sys.argv = ["hsejobs", *asked["words"]]
        from hsejobs_cli.main import main

        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        atexit._run_exitfuncs()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as _socket:
        _serve(_socket)
