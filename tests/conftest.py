"""Fixtures for all tests. Two apply to every test: a clean environment and an empty Redis."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

import huey_config
from hsejobs.engine.huey import loaded
from hsejobs.engine.runtime import reset_runtime
from tests.support.certificates import short_folder
from tests.support.cluster import Cluster
from tests.support.consumers import Consumers, consumers
from tests.support.environment import is_callers_own
from tests.support.garbage import pytest_collection_finish
from tests.support.lanes import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
)
from tests.support.leaks import find_leaks
from tests.support.postgres import postgres
from tests.support.programs import logs_of
from tests.support.sentinel import SentinelSet
from tests.support.server import Server, binary_of, server_binary

__all__ = [
    "pytest_addoption",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
]


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell's background job ignores SIGINT, one below ``nohup`` SIGHUP, and so would what it starts,
    to which tests send them.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, _home: Path) -> None:
    """Keeps settings of the machine and the caller from a test and the programs that it starts.

    ``JOBS_HOME`` is the test's ``tmp_path``, a shim uses a free port, the locale is C.UTF-8, the time
    zone is UTC, ``HOME`` is empty, and the umask is 022.
    """
    for name in os.environ:
        if is_callers_own(name):
            monkeypatch.delenv(name)
    own = {
        "JOBS_HOME": str(tmp_path),
        "JOBS_HTTP_PORT": "0",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": str(_home),
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    os.umask(0o022)


@pytest.fixture(autouse=True)
def _queues_of_the_platform() -> Iterator[None]:
    """Fails a test that puts another queue in the place of one of the platform's in this process."""
    yield
    replaced = [name for name, huey in huey_config.QUEUES.items() if loaded(name) is not huey]
    assert not replaced, f"other queues stand in the place of {replaced}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the logs of a test's programs to its failure, as the cause is usually there."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, text in logs_of(item.funcargs):
            report.sections.append((f"end of {name}", text))
    return report


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A temporary folder with a path short enough for unix sockets."""
    folder = short_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _server() -> Iterator[Server]:
    with Server(server_binary()) as server:
        yield server


@pytest.fixture
def redis_server(_server: Server) -> Iterator[Server]:
    """The private server of this process, running and empty; a test may stop, kill, freeze or restart it."""
    _server.reset()
    yield _server
    if _server.running:
        _server.thaw()


@pytest.fixture
def redis_url(redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the private server, which is empty; ``QUEUE_REDIS_URL`` is set to it.

    It logs in as the user that has the least rights of ``docs/redis.md``: what needs more, and the
    tests' own looking, goes by ``redis_server.url`` or ``redis_client``.
    """
    monkeypatch.setenv("QUEUE_REDIS_URL", redis_server.user_url)
    # An earlier test of this process may have made a runtime without a server.
    reset_runtime()
    return redis_server.user_url


@pytest.fixture
def redis_client(redis_server: Server) -> Iterator[redis.Redis]:
    """A plain client of the private server; replies are bytes."""
    with redis_server.client() as client:
        yield client


@pytest.fixture
def no_leaks(redis_server: Server) -> Iterator[None]:
    """Fails a test that leaves a key in Redis that belongs to no job and never expires."""
    yield
    redis_server.start()
    with redis_server.client() as client:
        # One installation per test, whichever prefix it uses.
        prefixes = {key.decode().partition(":")[0] for key in client.keys("*:{*}:*")}
        assert [leak for prefix in sorted(prefixes) for leak in find_leaks(client, prefix)] == []


@pytest.fixture(scope="session")
def _clusters() -> Iterator[Callable[[str], Cluster]]:
    """Clusters by kind of server, each started on first use."""
    started: dict[str, Cluster] = {}

    def get(kind: str) -> Cluster:
        if kind not in started:
            cluster = Cluster(binary_of(kind))
            cluster.start()
            started[kind] = cluster
        return started[kind]

    yield get
    for cluster in started.values():
        cluster.close()


@pytest.fixture(params=["redis", "valkey"])
def cluster(request: pytest.FixtureRequest, _clusters: Callable[[str], Cluster]) -> Cluster:
    """An empty three-node Cluster, for each kind of server."""
    found = _clusters(request.param)
    found.flush()
    return found


@pytest.fixture(params=["redis", "valkey"])
def sentinels(request: pytest.FixtureRequest) -> Iterator[SentinelSet]:
    """A primary, a replica and three sentinels of the test's own, for each kind of server."""
    with SentinelSet(binary_of(request.param)) as found:
        yield found


@pytest.fixture
def platform_workers(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Consumers]:
    """Consumers of the platform's queues on the test's Redis; this process can add to them."""
    import huey_config
    from hsejobs.engine.runtime import reset_runtime, runtime
    from tasks.shared.platform.database import close_databases

    reset_runtime()
    for huey in huey_config.QUEUES.values():
        huey._registered = None
    with consumers(tmp_path_factory.mktemp("logs")) as found:
        yield found
    runtime().redis.close()
    reset_runtime()
    close_databases()


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[Callable[[], str]]:
    """Creates empty databases on one PostgreSQL server, started on first use, and returns their URLs."""
    with contextlib.ExitStack() as stack:
        running: list[str] = []

        def make() -> str:
            import psycopg

            if not running:
                running.append(stack.enter_context(postgres()))
            name = f"t{uuid.uuid4().hex[:12]}"
            with psycopg.connect(running[0].format("postgres"), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return running[0].format(name)

        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
def platform_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty platform database, for each kind of database."""
    from tasks.shared.platform.database import close_databases, database

    url = None if request.param == "sqlite" else request.getfixturevalue("new_postgres")()
    yield database(url, tmp_path)
    close_databases()
