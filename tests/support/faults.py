"""Faults of a real Redis, each of which can be started and ended.

``FAULTS[name]`` is a context manager on a ``Server`` with a TCP port or a socket. Inside, the
server refuses what it would refuse in production; at the end it works again.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from hsejobs_cli.chaos.refusals import refusing
from tests.support import wait_until
from tests.support.server import PASSWORD, USER, Server

Fault = Callable[[Server], contextlib.AbstractContextManager[Any]]


@contextlib.contextmanager
def _admin(server: Server) -> Iterator[Any]:
    with server.client(retry=None, socket_timeout=10) as client:
        yield client


@contextlib.contextmanager
def _config(server: Server, **values: tuple[str, str]) -> Iterator[None]:
    """Sets server options by name (``_`` for ``-``): values during and after the fault."""
    with _admin(server) as admin:
        for name, (during, _) in values.items():
            admin.config_set(name.replace("_", "-"), during)
        try:
            yield
        finally:
            for name, (_, after) in values.items():
                admin.config_set(name.replace("_", "-"), after)


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    """An administrator stops the server; it restarts with its data."""
    with _admin(server) as admin:
        admin.config_set("appendonly", "yes")
        wait_until(lambda: admin.info("persistence")["aof_rewrite_in_progress"] == 0, what="AOF")
    server.stop()
    try:
        yield
    finally:
        server.start(appendonly=True)


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Connections stay open but get no replies."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextlib.contextmanager
def read_only(server: Server) -> Iterator[None]:
    """The server is a replica: reads work, writes get READONLY."""
    with _admin(server) as admin, refusing(admin, "read-only"):
        yield


@contextlib.contextmanager
def master_down(server: Server) -> Iterator[None]:
    """A replica without its primary that refuses stale reads: every command gets MASTERDOWN."""
    with _config(server, replica_serve_stale_data=("no", "yes")), read_only(server):
        yield


@contextlib.contextmanager
def no_replicas(server: Server) -> Iterator[None]:
    """Too few replicas: writes get NOREPLICAS."""
    with _admin(server) as admin, refusing(admin, "no-replicas"):
        yield


@contextlib.contextmanager
def misconf(server: Server) -> Iterator[None]:
    """The server cannot save, as on a full disk: writes get MISCONF."""
    obstacle = server.folder / "dump.rdb"
    obstacle.unlink(missing_ok=True)
    # The file cannot replace a folder that is not empty.
    (obstacle / "x").mkdir(parents=True)
    with _admin(server) as admin:
        admin.config_set("save", "3600 1")
        try:
            _save(admin, "err")
            yield
        finally:
            shutil.rmtree(obstacle)
            _save(admin, "ok")
            admin.config_set("save", "")
            obstacle.unlink(missing_ok=True)


def _save(admin: Any, status: str) -> None:
    def saved() -> bool:
        return bool(admin.info("persistence")["rdb_last_bgsave_status"] == status)

    admin.bgsave()
    wait_until(saved, what=f"a save that ends with {status}")


@contextlib.contextmanager
def full(server: Server) -> Iterator[None]:
    """maxmemory is reached: commands that need memory get OOM."""
    with _admin(server) as admin, refusing(admin, "full"):
        yield


def require_questions(client: Any) -> None:
    """Skips a test on Redis 6, where a script cannot ask what its user may do before it writes."""
    if int(client.info("server")["redis_version"].partition(".")[0]) < 7:
        pytest.skip("Redis 6 cannot tell a script what its user may do")


@contextlib.contextmanager
def no_rights(server: Server) -> Iterator[None]:
    """The user may only read: writes get NOPERM."""
    with _admin(server) as admin:
        admin.execute_command("ACL", "SETUSER", "admin", "on", "nopass", "~*", "&*", "+@all")
        admin.execute_command("AUTH", "admin", "x")
        for user in ("default", USER):
            admin.execute_command("ACL", "SETUSER", user, "-@write")
        try:
            yield
        finally:
            for user in ("default", USER):
                admin.execute_command("ACL", "SETUSER", user, "+@write")


@contextlib.contextmanager
def password_changed(server: Server) -> Iterator[None]:
    """All connections are closed, and new ones fail to log in: WRONGPASS or NOAUTH."""
    with _admin(server) as admin:
        admin.config_set("requirepass", "another")
        admin.execute_command("ACL", "SETUSER", USER, "resetpass", ">another")
        _end_clients(admin)
        try:
            yield
        finally:
            admin.config_set("requirepass", "")
            admin.execute_command("ACL", "SETUSER", USER, "resetpass", f">{PASSWORD}")


@contextlib.contextmanager
def too_many_clients(server: Server) -> Iterator[None]:
    """All connections are closed, and new ones are refused."""
    with _admin(server) as admin:
        before = admin.config_get("maxclients")["maxclients"]
        admin.config_set("maxclients", "1")
        _end_clients(admin)
        try:
            yield
        finally:
            admin.config_set("maxclients", before)


@contextlib.contextmanager
def loading(server: Server) -> Iterator[None]:
    """The server restarts and loads its file for two seconds: LOADING. Ends without action."""
    with _admin(server) as admin:
        admin.config_set("appendonly", "yes")
        wait_until(lambda: admin.info("persistence")["aof_rewrite_in_progress"] == 0, what="AOF")
        pipe = admin.pipeline(transaction=False)
        for number in range(2000):
            pipe.set(f"ballast:{number}", "x" * 100, ex=60)
        pipe.execute()
        # The delay applies to the first part of the file.
        admin.bgrewriteaof()
        wait_until(
            lambda: (
                (found := admin.info("persistence"))["aof_rewrite_in_progress"] == 0
                and found["aof_rewrite_scheduled"] == 0
            ),
            what="AOF",
        )
    server.stop()
    server.options |= {"key-load-delay": "1000", "loading-process-events-interval-bytes": "1024"}
    try:
        server.start(appendonly=True, ready=False)
        wait_until(lambda: _is_loading(server), what="a server that loads")
        yield
    finally:
        for name in ("key-load-delay", "loading-process-events-interval-bytes"):
            del server.options[name]
        server.wait_ready()
        with _admin(server) as admin:
            admin.unlink(*(f"ballast:{number}" for number in range(2000)))


def _is_loading(server: Server) -> bool:
    try:
        with _admin(server) as admin:
            admin.get("x")
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        return False
    raise AssertionError("the server has already loaded: give it more data")


@contextlib.contextmanager
def busy(server: Server) -> Iterator[None]:
    """Another client's script does not end: BUSY until the script is killed."""
    with _admin(server) as admin, _config(server, lua_time_limit=("50", "5000")):
        admin.ping()
        script: Any = server.client(retry=None, socket_timeout=0.2)
        with contextlib.suppress(redis.TimeoutError):
            script.eval("while true do end", 0)
        try:
            yield
        finally:
            admin.execute_command("SCRIPT", "KILL")
            wait_until(lambda: _answers(admin), what="the end of the script")
            script.close()


def _answers(admin: Any) -> bool:
    with contextlib.suppress(redis.ResponseError):
        return bool(admin.ping())
    return False


@contextlib.contextmanager
def scripts_flushed(server: Server) -> Iterator[None]:
    """All cached scripts are flushed, repeatedly."""
    with _admin(server) as admin:
        admin.script_flush()
        yield
        admin.script_flush()


@contextlib.contextmanager
def clients_killed(server: Server) -> Iterator[None]:
    """All connections are closed, at the beginning and at the end."""
    with _admin(server) as admin:
        _end_clients(admin)
        yield
        _end_clients(admin)


def _end_clients(admin: Any) -> None:
    for kind in ("normal", "pubsub"):
        admin.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


#: Faults during which no write succeeds.
REFUSING: dict[str, Fault] = {
    "stopped": stopped,
    "frozen": frozen,
    "read only": read_only,
    "master down": master_down,
    "no replicas": no_replicas,
    "misconf": misconf,
    "no rights": no_rights,
    "password changed": password_changed,
    "too many clients": too_many_clients,
    "loading": loading,
    "busy": busy,
}
#: Faults during which at least outcomes can be written.
FAULTS: dict[str, Fault] = {
    **REFUSING,
    "full": full,
    "scripts flushed": scripts_flushed,
    "clients killed": clients_killed,
}


def during(fault: Fault, server: Server, seconds: float) -> None:
    """Applies the fault for a number of seconds."""
    with fault(server):
        time.sleep(seconds)
