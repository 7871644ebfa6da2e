"""Runs ``hsejobs`` commands in processes of their own that need not import anything.

Tests of the start itself start Python.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

from tests import forkserver


def run_command(
    *words: str,
    stdin: str | bytes = "",
    cwd: Path | str | None = None,
    timeout: float = 60,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Runs ``hsejobs WORDS`` with this process's environment and ``env``, and returns its output."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(stdin.encode() if isinstance(stdin, str) else stdin)
        files[0].seek(0)
        started = forkserver.start(
            "command",
            "hsejobs_cli",
            *words,
            files=[one.fileno() for one in files],
            cwd=cwd,
            env=env,
        )
        try:
            status = started.wait(timeout)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
            raise subprocess.TimeoutExpired(
                words, timeout, _all(files[1]), _all(files[2])
            ) from None
        return subprocess.CompletedProcess(words, status, _all(files[1]), _all(files[2]))


def run_text(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """As `run_command`, with the output as text."""
    done = run_command(*words, **options)
    text = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, *text)


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
