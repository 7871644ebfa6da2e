"""The commands that run things: up, worker."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from hsejobs.application import Application, need
from hsejobs.errors import Refused, UnknownQueue
from hsejobs.extras import require
from hsejobs.watch.forgetting import LOG_FOLDER
from hsejobs_cli.session import CommandSession
from hsejobs_cli.supervisor import Supervisor


def _name_application(name: str | None) -> None:
    if name is not None:
        # The programs that are started go by the environment too.
        os.environ["QUEUE_APP"] = name


App = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="NAME",
        callback=_name_application,
        is_eager=True,
        help="The module that has the queues, in the working folder or on Python's path.",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(epilog="Example: hsejobs up --headless")(up)
    app.command(epilog="Example: hsejobs worker email webhooks")(worker)
    app.command(epilog="Example: hsejobs tui --read-only")(tui)


def _queues(wanted: Sequence[str], own: Mapping[str, Any]) -> list[str]:
    unknown = [name for name in wanted if name not in own]
    if unknown:
        raise UnknownQueue(f"there is no queue {unknown[0]!r}; known queues: {', '.join(own)}")
    return list(wanted) or list(own)


def worker(
    queues: Annotated[list[str] | None, typer.Argument(help="Queues; all of them if none.")] = None,
    app: App = None,
) -> None:
    """Run the consumers of some queues, or of all, and restart what dies."""
    settings = CommandSession().settings
    places = need(settings).places
    chosen = {name: places[name] for name in _queues(queues or [], places)}
    supervisor = Supervisor(chosen, settings.shutdown_grace_ms)
    _mind_signals(supervisor)
    with _watching(settings):
        supervisor.run()


def tui(
    read_only: Annotated[bool, typer.Option("--read-only", help="Nothing can be changed.")] = False,
    org: Annotated[str | None, typer.Option(help="Only this organization's jobs.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    profile: Annotated[str | None, typer.Option(help="A Redis of JOBS_HOME/profiles.toml.")] = None,
) -> None:
    """See all queues and act on their jobs, in the terminal."""
    from hsejobs_tui.start import start

    start(read_only, org, once, profile)


def up(
    headless: Annotated[
        bool, typer.Option("--headless", help="Logs instead of the TUI in front.")
    ] = False,
    app: App = None,
) -> None:
    """Run everything on this machine: Redis if none is named, all workers, the TUI in front."""
    from hsejobs.secret_file import ensure_secret
    from hsejobs.settings import ensure_home, redact_url, redis_target

    view = sys.stdin.isatty() and sys.stdout.isatty() and not headless
    require("worker", "http", *(["tui"] if view else []))
    from hsejobs_http.server import free_port

    settings = CommandSession().settings
    application = need(settings)
    home = ensure_home(settings)
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"another `hsejobs up` runs on {home}; end it or set JOBS_HOME") from None
        port = free_port(settings)
        if settings.jwt_secret is None and settings.jwt_public_key is None:
            ensure_secret(home)
        named = settings.redis_url or settings.redis_host or settings.redis_port
        server = None if named else _embedded(settings)
        try:
            url = server.url if server else redis_target(settings)
            os.environ.update(QUEUE_REDIS_URL=url, JOBS_HTTP_PORT=str(port))
            supervisor = Supervisor(
                application.places,
                settings.shutdown_grace_ms,
                logs=home / LOG_FOLDER if view else None,
                shim=True,
            )
            _mind_signals(supervisor)
            where = {
                "home": home,
                "Redis": redact_url(url),
                "mails": "SMTP_URL" if settings.smtp_url else home / "outbox",
                "logs": home / LOG_FOLDER if view else "here",
                **_to_try(application, f"http://{_host(settings)}:{port}"),
            }
            for name, value in where.items():
                sys.stdout.write(f"{name:<6} {value}\n")
            sys.stdout.flush()
            with _watching(settings, quiet=view):
                _front(supervisor, server, view)
        finally:
            if server is not None:
                server.stop()


@contextlib.contextmanager
def _watching(settings: Any, *, quiet: bool = False) -> Iterator[None]:
    """Alerts are looked at meanwhile; ``quiet``: nothing is logged over what is in front."""
    from hsejobs.services.alerts import Watcher
    from hsejobs.settings import redis_target
    from hsejobs.store.client import RedisClient
    from hsejobs.watch import logs

    out = open(os.devnull, "w", encoding="utf-8") if quiet else None  # noqa: SIM115
    logs.configure(settings.log_level, settings.log_format, out)
    target = os.environ.get("QUEUE_REDIS_URL") or redis_target(settings)
    watcher = Watcher(RedisClient(target), settings)
    watcher.start()
    try:
        yield
    finally:
        watcher.stop()
        if out is not None:
            logs.configure(settings.log_level, settings.log_format)
            out.close()


def _embedded(settings: Any) -> Any:
    from hsejobs_cli.embedded import Embedded

    server = Embedded(settings)
    server.start()
    return server


def _host(settings: Any) -> str:
    host = str(settings.http_host)
    return host if ":" not in host else f"[{host}]"


def _to_try(application: Application, address: str) -> dict[str, str]:
    """Two commands that add a job of the first queue, and where to read on."""
    from hsejobs_http.openapi_routes import without_options

    queue = next(iter(application.queues))
    example = (application.hook("examples") or {}).get(queue, {})
    # On the command line options are no part of the payload.
    text = json.dumps(without_options(example), separators=(",", ":"))
    payload = shlex.quote(text)
    return {
        "try": f"hsejobs enqueue {queue} {payload} --wait",
        "HTTP": f"{address}/docs",
        "curl": 'curl -H "Authorization: Bearer $(hsejobs token --org org-1 --user ann)"'
        f" -d {payload} {address}/api/jobs/{queue}",
    }


def _mind_signals(supervisor: Supervisor) -> None:
    """What ends it in good order; a lost terminal too, unless nohup or the like says otherwise."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signum is not signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, supervisor.handle)


def _front(supervisor: Supervisor, server: Any, view: bool) -> None:
    checked = time.monotonic()

    def mind() -> None:
        nonlocal checked
        if server is not None and time.monotonic() - checked > 2:
            if not server.alive():
                sys.stderr.write("the embedded Redis is gone; it is started again\n")
                server.stop()
                server.start()
            checked = time.monotonic()

    if not view:
        supervisor.run(mind)
        return
    # Textual wants the main thread, so the consumers are watched over in another.
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            supervisor.run(mind)
        except BaseException as error:
            failures.append(error)

    watcher = threading.Thread(target=watch, name="supervisor")
    watcher.start()
    try:
        from hsejobs_tui.core.options import load
        from hsejobs_tui.start import run

        run(load(front=True), ended=lambda: bool(supervisor.signals) or not watcher.is_alive())
    finally:
        supervisor.signals = max(1, supervisor.signals)
        watcher.join()
    if failures:
        raise failures[0]
