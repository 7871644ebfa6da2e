"""The commands that run processes: up, worker, tui."""

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsejobs.application import Application, need
from hsejobs.errors import RedisUnavailable, Refused, UnknownQueue
from hsejobs.extras import require
from hsejobs.watch.forgetting import LOG_FOLDER
from hsejobs_cli.session import CommandSession

if TYPE_CHECKING:
    from hsejobs_cli.supervisor import Supervisor


def _set_application(name: str | None) -> None:
    if name is not None:
        # The processes that this command starts read the environment.
        os.environ["QUEUE_APP"] = name


App = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="NAME",
        callback=_set_application,
        is_eager=True,
        help="The module with the queues, in the working folder or on Python's path.",
    ),
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs up --headless")(up)
    app.command(epilog="Example: hsejobs worker email webhooks")(worker)
    app.command(epilog="Example: hsejobs tui --read-only")(tui)


def _select_queues(wanted: Sequence[str], own: Mapping[str, Any]) -> list[str]:
    unknown = [name for name in wanted if name not in own]
    if unknown:
        raise UnknownQueue(f"there is no queue {unknown[0]!r}; the queues are: {', '.join(own)}")
    return list(wanted) or list(own)


def worker(
    queues: Annotated[
        list[str] | None, typer.Argument(help="The queues to run; default: all.")
    ] = None,
    app: App = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Check the consumers that run on this machine: exit 1 if one is missing.",
        ),
    ] = False,
) -> None:
    """Run the consumers of some queues, or of all; restart a consumer that dies or freezes."""
    settings = CommandSession().settings
    places = need(settings).places
    chosen = {name: places[name] for name in _select_queues(queues or [], places)}
    if check:
        from hsejobs_cli.liveness import check_consumers

        sys.stdout.write(check_consumers(settings, list(chosen)) + "\n")
        return
    from hsejobs.pulse import installation_id
    from hsejobs_cli.supervisor import Supervisor

    supervisor = Supervisor(
        chosen, settings.shutdown_grace_ms, installation=installation_id(settings)
    )
    _install_signal_handlers(supervisor)
    with _watching(settings, chosen):
        supervisor.run()


def tui(
    read_only: Annotated[bool, typer.Option("--read-only", help="Forbid all changes.")] = False,
    org: Annotated[str | None, typer.Option(help="Show only this organization's jobs.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
    profile: Annotated[
        str | None, typer.Option(help="Use a Redis from JOBS_HOME/profiles.toml.")
    ] = None,
) -> None:
    """Open the TUI: watch all queues and act on their jobs."""
    from hsejobs_tui.start import start

    start(read_only, org, once, profile)


def up(
    headless: Annotated[
        bool, typer.Option("--headless", help="Print logs instead of opening the TUI.")
    ] = False,
    app: App = None,
) -> None:
    """Run everything on this machine: Redis unless one is configured, all workers, HTTP and the TUI."""
    from hsejobs.pulse import installation_id
    from hsejobs.secret_file import ensure_secret
    from hsejobs.settings import ensure_home, redact_url, redis_target

    with_tui = sys.stdin.isatty() and sys.stdout.isatty() and not headless
    require("worker", "http", *(["tui"] if with_tui else []))
    from hsejobs_cli.supervisor import Supervisor
    from hsejobs_http.server import free_port

    settings = CommandSession().settings
    application = need(settings)
    home = ensure_home(settings)
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(
                f"another `hsejobs up` runs on {home}; stop it, or set another JOBS_HOME"
            ) from None
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
                installation=installation_id(settings),
                own=lambda: server.pids() if server else (),
                logs=home / LOG_FOLDER if with_tui else None,
                shim=True,
            )
            _install_signal_handlers(supervisor)
            where = {
                "home": home,
                "Redis": redact_url(url),
                "mails": "SMTP_URL" if settings.smtp_url else home / "outbox",
                "logs": home / LOG_FOLDER if with_tui else "below",
                **_examples(application, f"http://{_host(settings)}:{port}"),
            }
            for name, value in where.items():
                sys.stdout.write(f"{name:<6} {value}\n")
            sys.stdout.flush()
            with _watching(settings, application.places, quiet=with_tui):
                _run_in_front(supervisor, server, with_tui)
        finally:
            if server is not None:
                server.stop()


@contextlib.contextmanager
def _watching(settings: Any, queues: Iterable[str], *, quiet: bool = False) -> Iterator[None]:
    """Watches for alerts while the block runs, which starts consumers of these queues.

    ``quiet``: logs nothing, as the TUI owns the terminal.
    """
    from hsejobs.services.alerts import Watcher
    from hsejobs.settings import redis_target
    from hsejobs.store import registry
    from hsejobs.store.client import RedisClient
    from hsejobs.watch import logs

    out = open(os.devnull, "w", encoding="utf-8") if quiet else None  # noqa: SIM115
    logs.configure(settings.log_level, settings.log_format, out)
    target = os.environ.get("QUEUE_REDIS_URL") or redis_target(settings)
    client = RedisClient(target, prefix=settings.redis_prefix)
    client.check_format()
    with contextlib.suppress(RedisUnavailable):
        # Consumers start without Redis, too: they wait for it.
        registry.note_start(client, settings.redis_prefix, list(queues))
    watcher = Watcher(client, settings)
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


def _examples(application: Application, address: str) -> dict[str, str]:
    """Returns two example commands that add a job to the first queue, and the address of the docs."""
    from hsejobs.control.schema import sample
    from hsejobs_http.openapi_routes import without_options

    queue = next(iter(application.queues))
    example = (application.hook("examples") or {}).get(queue)
    if example is None:
        example = sample(application.queues[queue].describe().task(None).schema or {})
    # On the command line, options are not part of the payload.
    text = json.dumps(without_options(example), separators=(",", ":"))
    payload = shlex.quote(text)
    return {
        "try": f"hsejobs enqueue {queue} {payload} --wait",
        "HTTP": f"{address}/docs",
        "curl": 'curl -H "Authorization: Bearer $(hsejobs token --org org-1 --user ann)"'
        f" -d {payload} {address}/api/jobs/{queue}",
    }


def _install_signal_handlers(supervisor: Supervisor) -> None:
    """Stops the processes gracefully on a signal; on SIGHUP too, unless ignored (nohup)."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signum is not signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, supervisor.handle)


def _run_in_front(supervisor: Supervisor, server: Any, with_tui: bool) -> None:
    checked = time.monotonic()

    def check_server() -> None:
        nonlocal checked
        if server is not None and time.monotonic() - checked > 2:
            if not server.alive():
                sys.stderr.write("the embedded Redis does not answer; restarting it\n")
                server.stop()
                server.start()
            checked = time.monotonic()

    if not with_tui:
        supervisor.run(check_server)
        return
    # Textual needs the main thread, so the supervisor runs in another.
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            supervisor.run(check_server)
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
