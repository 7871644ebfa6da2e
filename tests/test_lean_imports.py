"""What a consumer or a command imports before it does anything: no large library that it may not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LARGE = ("sqlalchemy", "psycopg", "typst", "xlsxwriter", "jinja2", "textual", "fastapi", "obstore")


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_platform_s_queues_load_nothing_large_and_hide_nothing() -> None:
    """Huey's own import of psycopg is put off, and still there for who asks for it."""
    said = python(
        f"import sys, huey_config; print([one for one in {LARGE!r} if one in sys.modules]);"
        "import huey.storage as its, psycopg;"
        "print(its.psycopg.connect == psycopg.connect, its.psycopg.rows is psycopg.rows)"
    )
    assert said.splitlines() == ["[]", "True True"]


def test_psycopg_comes_first_or_meanwhile() -> None:
    for code in (
        "import psycopg, hsejobs.engine, huey.storage; print(huey.storage.psycopg is psycopg)",
        # What another thread imports while Huey is being imported.
        "import sys; from hsejobs.late import _Late;"
        "sys.modules['psycopg'] = _Late('psycopg'); import psycopg.rows; import psycopg;"
        "print(psycopg.rows.dict_row is not None)",
    ):
        assert python(code) == "True"


#: What redis-py imports and a command or the TUI does not use, on a single server.
UNUSED = (
    "redis.client",
    "redis.asyncio",
    "redis.cluster",
    "redis.commands",
    "opentelemetry.metrics",
)


def test_a_command_imports_of_redis_py_what_it_uses() -> None:
    code = (
        "import sys; from hsejobs.store.lean import import_redis; import_redis(); import_redis();"
        "from hsejobs.store.client import RedisClient;"
        "RedisClient('redis://localhost:1').driver.connection_pool.make_connection();"
        f"print('redis.connection' in sys.modules, [one for one in {UNUSED!r} if one in sys.modules]);"
        "import opentelemetry.sdk.metrics"
    )
    assert python(code) == "True []"


def test_a_program_reads_the_scripts_that_it_runs() -> None:
    """Not all of them at each start."""
    code = (
        "import sys; opened = [];"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None);"
        "from hsejobs.store import scripts;"
        "print([one for one in opened if one.endswith('.lua')]);"
        "scripts.KEY.sha; print([one for one in opened if one.endswith('/key.lua')] != [])"
    )
    assert python(code).splitlines() == ["[]", "True"]


@pytest.mark.parametrize(
    "first", ["redis", "redis.client", "redis.cluster", "redis.asyncio.sentinel"]
)
def test_the_rest_of_redis_py_is_there_for_who_imports_it(first: str) -> None:
    """Of an application, or for another kind of server: whole, and each of its classes once."""
    code = (
        "from hsejobs.store.lean import import_redis; import_redis();"
        "from redis.connection import Connection; from redis.exceptions import ResponseError;"
        f"import {first}; import redis;"
        "print(redis.Connection is redis.connection.Connection is Connection,"
        " redis.ResponseError is redis.exceptions.ResponseError is ResponseError, bool(redis.__version__),"
        " redis.RedisCluster.__name__, redis.asyncio.Redis.__module__)"
    )
    assert python(code) == "True True True RedisCluster redis.asyncio.client"
