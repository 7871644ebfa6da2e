"""Runs Python modules as programs in forks of a process that has imported what each of them imports.

Importing takes most of the time of a command and of a consumer's start, and the suite has over a thousand.
A fork server has done nothing but import, and nothing that its programs do not import at their start by
themselves (``tests/test_forkserver.py`` compares). A program has its own environment, folder, files,
session, arguments and end, and executes Python when it restarts. Its command line in ``/proc`` is that of
the server: tests that read it, and those of a start itself, start Python.

``python -m tests.forkserver KIND FD`` is a server. It imports nothing else of the tests.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parents[1]
_COMMAND = (
    "hsejobs.application",
    "hsejobs.engine.register",
    "hsejobs.services.artifacts.access",
    "hsejobs.services.breaker",
    "hsejobs.services.mail.payload",
    "hsejobs.services.webhooks.payload",
    "hsejobs_cli.app",
    "hsejobs_cli.session",
)
#: What all programs of a kind import when they start; not the application, which differs by folder.
KINDS = {
    "command": _COMMAND,
    "consumer": (
        # First, as a consumer's own program does.
        "huey",
        "hsejobs.engine.consumer",
        "hsejobs.engine.register",
        "hsejobs.services.artifacts.access",
        "hsejobs.services.breaker",
        "hsejobs.services.mail.payload",
        "hsejobs.services.mail.send",
        "hsejobs.services.webhooks.payload",
        "hsejobs.watch.metrics_server",
    ),
    # The command that serves HTTP.
    "shim": (
        *_COMMAND,
        "hsejobs_http.app",
        "hsejobs_http.server",
        "hsejobs_http.wire",
        "uvicorn.supervisors",
        "uvicorn.lifespan.on",
        "uvicorn.loops.uvloop",
        "uvicorn.protocols.websockets.websockets_sansio_impl",
    ),
}


class Process(Protocol):
    """What the tests need of a program that they started: a `subprocess.Popen`, or a `Program`."""

    pid: int
    returncode: int | Any

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class Program:
    """A program in a fork. As with `subprocess.Popen`, its end is kept until it is asked for."""

    def __init__(self, server: ForkServer, pid: int, args: Sequence[str]) -> None:
        self.pid, self.args = pid, args
        self.returncode: int | None = None
        self._server = server

    def poll(self) -> int | None:
        """The exit status, as `subprocess.Popen.returncode`; None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask({"wait": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; raises `subprocess.TimeoutExpired`."""
        if self.poll() is None:
            fd = os.pidfd_open(self.pid)
            try:
                ended = select.poll()
                ended.register(fd, select.POLLIN)
                if not ended.poll(None if timeout is None else timeout * 1000):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            finally:
                os.close(fd)
            self.poll()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The server of one of `KINDS`, which ends with this process."""

    def __init__(self, kind: str) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        # No setting of a test: it lives longer.
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **_read_by_python(os.environ)}
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, kind, str(other.fileno())],
                pass_fds=[other.fileno()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=env,
                # Ctrl-C is for the tests, which then end it.
                start_new_session=True,
            )
        self._env = _read_by_python(env)
        atexit.register(self.close, os.getpid())

    def close(self, of: int) -> None:
        """Ends it; it notices that no one can ask it any more."""
        if of == os.getpid():
            self._socket.close()
            self._process.wait()

    def start(
        self, *words: str, files: Sequence[int], env: dict[str, str], cwd: str, session: bool
    ) -> Program:
        """Starts ``python -m WORDS`` with *files* as its standard input, output and error."""
        if _read_by_python(env) != self._env:
            raise ValueError(f"needs a Python of its own: {_read_by_python(env)}")
        question = {"words": words, "env": env, "cwd": cwd, "session": session}
        with tempfile.TemporaryFile() as asked:
            # An environment may be longer than a packet.
            asked.write(json.dumps(question).encode("utf-8", "surrogateescape"))
            asked.seek(0)
            pid = self.ask({}, [asked.fileno(), *files])
        assert pid is not None
        return Program(self, pid, words)

    def ask(self, question: dict[str, int], fds: Sequence[int] = ()) -> int | None:
        """Sends a question, and returns the reply."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(question).encode()], fds)
            reply = self._socket.recv(100)
        if not reply:
            raise RuntimeError("the fork server has ended")
        found: int | None = json.loads(reply)
        return found


@cache
def _server(kind: str, pid: int) -> ForkServer:
    return ForkServer(kind)


def start(
    kind: str,
    *words: str,
    files: Sequence[int],
    env: dict[str, str] | None = None,
    cwd: Path | str | None = None,
    session: bool = False,
) -> Program:
    """Starts ``python -m WORDS`` as one of `KINDS`, with *files* as its standard input, output and error.

    *env* is added to this process's environment. With *session* it is the leader of a session of its own.
    """
    return _server(kind, os.getpid()).start(
        *words,
        files=files,
        env={**os.environ, **(env or {})},
        cwd=str(cwd or Path.cwd()),
        session=session,
    )


def _serve(kind: str, fd: int) -> list[str] | None:
    """Imports, then forks until no one can ask.

    Returns in each fork: the words of its command line. Returns None in the server, at the end.
    """
    with socket.socket(fileno=fd) as asking:
        if kind in ("command", "shim"):
            from hsejobs.store import lean

            lean.import_redis()
        for name in KINDS[kind]:
            importlib.import_module(name)
        # A search for garbage would touch, and so copy, every page that the programs share.
        gc.freeze()
        while True:
            data, fds, _, _ = socket.recv_fds(asking, 1000, 4)
            if not data:
                return None
            question = json.loads(data)
            if "wait" in question:
                reply = _ended(question["wait"])
            elif pid := os.fork():
                reply = pid
                for one in fds:
                    os.close(one)
            else:
                break
            asking.send(json.dumps(reply).encode())
    return _become(fds)


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _become(fds: list[int]) -> list[str]:
    """Becomes the program: what it is given, and its three files."""
    with open(fds[0], encoding="utf-8", errors="surrogateescape") as file:
        asked: Any = json.load(file)
    # The streams of Python stay: the server wrote and read none of them.
    for number, fd in enumerate(fds[1:]):
        os.dup2(fd, number)
        os.close(fd)
    if asked["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    time.tzset()
    words: list[str] = asked["words"]
    sys.path[0] = asked["cwd"]
    sys.argv = ["-m", *words[1:]]
    # With which it restarts.
    sys.orig_argv = [sys.executable, "-m", *words]
    return words


def _read_by_python(env: Any) -> dict[str, str]:
    """The variables that Python reads when it starts."""
    return {name: value for name, value in env.items() if name.startswith("PYTHON")}


def _main(kind: str, fd: int) -> None:
    words = _serve(kind, fd)
    if words is None:
        return
    if kind != "command":
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        return
    # A command's modules need not be taken apart one by one: that is a third of its time.
    status = 70
    try:
        status = _status(words[0])
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _status(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
