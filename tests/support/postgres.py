"""A private PostgreSQL server for the tests, on a unix socket only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.support import skip_or_fail, wait_until
from tests.support.certificates import short_folder


def _binaries() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: one.parts[-3])
    if not places:
        skip_or_fail("there is no PostgreSQL on this machine")
    return places[-1].parent


def _as_unprivileged() -> list[str]:
    """A command prefix that drops root, because PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        skip_or_fail("PostgreSQL does not run as root, and setpriv is missing")
    return [setpriv, "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@contextmanager
def postgres() -> Iterator[str]:
    """Starts a new server; yields its URL without a database name."""
    binaries, prefix, folder = _binaries(), _as_unprivileged(), short_folder()
    data = folder / "data"
    if prefix:
        shutil.chown(folder, "postgres", "postgres")
    subprocess.run(
        [
            *prefix,
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "tests",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--locale=C",
        ],
        check=True,
        capture_output=True,
        cwd="/",
    )
    server = subprocess.Popen(
        [*prefix, binaries / "postgres", "-D", data, "-k", folder, "-F", "-c", "listen_addresses="],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    try:
        wait_until(lambda: _answers(folder), 30, "PostgreSQL")
        yield f"postgresql://tests@/{{}}?host={quote(str(folder))}"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(folder: Path) -> bool:
    import psycopg

    try:
        psycopg.connect(host=str(folder), user="tests", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True
