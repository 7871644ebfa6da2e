"""``hsejobs chaos``: disrupts its own consumers and connections, and reports whether the promise held."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlsplit

import typer

from hsejobs.errors import InvalidOption, JobsError, RedisRefused, Refused
from hsejobs_cli import output
from hsejobs_cli.chaos import plan as plans
from hsejobs_cli.look import Json
from hsejobs_cli.session import REFUSED, CommandSession

if TYPE_CHECKING:
    from hsejobs_cli.chaos.guard import Guard
    from hsejobs_cli.chaos.refusals import Refusal, Words
    from hsejobs_cli.chaos.verdict import InjectedBlow, Verdict

#: Characters of the installation's prefix that the run's own prefix begins with; the limit is 40 in total.
PREFIX_KEPT = 24


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs chaos --seconds 60 --seed 7")(chaos)


def chaos(
    seconds: Annotated[float, typer.Option(help="Seconds for which jobs are added.")] = 30.0,
    rate: Annotated[float, typer.Option(help="Jobs added per second.")] = 20.0,
    workers: Annotated[int, typer.Option(help="Workers of each of the two consumers.")] = 3,
    seed: Annotated[
        int | None, typer.Option(help="The same seed makes the same plan; default: random.")
    ] = None,
    plan: Annotated[
        str | None, typer.Option(help="Replay a plan or verdict: a file, or - for standard input.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and do nothing.")
    ] = False,
    server: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Also disrupt the server; repeat for several: {', '.join(plans.OF_SERVER)}."
        ),
    ] = None,
    server_pid: Annotated[
        int | None, typer.Option(help="The process id of the server on this machine, for frozen.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the ledger and the logs.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation for --server.")] = False,
    as_json: Json = False,
) -> None:
    """Kill, freeze and disconnect consumers of its own; report whether any job was lost or ran twice."""
    settings = CommandSession().settings
    allowed = server or []
    for name in allowed:
        if name not in plans.OF_SERVER:
            raise InvalidOption("server", f"must be one of {', '.join(plans.OF_SERVER)}")
    single = _is_single(settings)
    blows = [*plans.OF_CONSUMERS, *(plans.OF_CONNECTIONS if single else ()), *allowed]
    chosen = (
        plans.read(_read_text(plan))
        if plan is not None
        else plans.make(
            secrets.randbelow(2**32) if seed is None else seed, seconds, rate, workers, blows
        )
    )
    needs = "--server" if single else "a single server: no Sentinel, no Cluster"
    for blow in chosen.blows:
        if blow.blow not in blows:
            raise InvalidOption("plan", f"contains the blow {blow.blow}, which needs {needs}")
    if dry_run:
        output.document(chosen.document())
        return
    if "frozen" in allowed and server_pid is None:
        raise InvalidOption("server-pid", "must be given to freeze the server")
    if allowed:
        question = f"This affects all users of this Redis: {', '.join(allowed)}. Continue?"
        output.confirm(question, yes=yes)
    verdict, injected, prefix, folder = _run(settings, chosen, allowed, server_pid, keep)
    found = _document(verdict, injected, chosen, prefix, folder)
    if as_json:
        output.document(found)
    else:
        _show(found)
    if not verdict.ok:
        raise typer.Exit(REFUSED)


def _is_single(settings: Any) -> bool:
    from hsejobs.redis_url import parse_redis_url
    from hsejobs.settings import redis_target

    return parse_redis_url(redis_target(settings)).scheme in ("redis", "unix")


def _read_text(place: str) -> str:
    try:
        data = sys.stdin.buffer.read() if place == "-" else Path(place).read_bytes()
        return data.decode()
    except OSError as error:
        raise InvalidOption("plan", f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidOption("plan", "must be UTF-8") from None


def _run(
    settings: Any, plan: plans.Plan, allowed: list[str], server_pid: int | None, keep: bool
) -> tuple[Verdict, list[InjectedBlow], str, Path | None]:
    from hsejobs.settings import redis_target
    from hsejobs.store.connect import connect
    from hsejobs_cli.chaos.guard import Guard, Order, clean
    from hsejobs_cli.chaos.proxy import Proxy
    from hsejobs_cli.chaos.run import Chaos

    target = redis_target(settings)
    prefix = f"{settings.redis_prefix[:PREFIX_KEPT]}-chaos-{secrets.token_hex(4)}"
    _check_rights(target, prefix)
    folder = Path(tempfile.mkdtemp(prefix="hsejobs-chaos-"))
    order = Order(target, prefix, folder=None if keep else str(folder))
    with contextlib.ExitStack() as stack:
        stack.enter_context(_signals())
        admin = stack.enter_context(connect(target))
        proxy = stack.enter_context(Proxy(target)) if _is_single(settings) else None
        url = proxy.url if proxy is not None else target
        guard = Guard(order)
        try:
            user: Words = ()
            if "no-rights" in allowed:
                url, user = _own_user(url, prefix, guard, admin)
            refused = _prepare_refusals(allowed, admin, user, server_pid)
            run = Chaos(
                plan,
                guard,
                folder,
                url=url,
                proxy=proxy,
                admin=admin,
                refused=refused,
                server_pid=server_pid,
                say=_log,
            )
            _log(f"keys begin with {prefix}:")
            try:
                verdict = run.run()
            except JobsError:
                order.folder = None
                raise
            finally:
                run.end()
            if not verdict.ok:
                order.folder = None
        finally:
            try:
                clean(order)
            except JobsError as error:
                _log(f"the keys that begin with {prefix}: could not be removed: {error}")
            finally:
                guard.end()
                if order.folder is None:
                    _log(f"ledger and logs are in {folder}")
    return verdict, run.injected, prefix, None if order.folder else folder


def _check_rights(target: str, prefix: str) -> None:
    from hsejobs.store.client import RedisClient
    from hsejobs.store.permissions import try_permissions

    client = RedisClient(target)
    client.ping()
    missing = try_permissions(client, prefix).missing
    if missing:
        raise RedisRefused(
            f"the user of Redis lacks {' '.join(missing)} for the run's own keys;"
            " docs/chaos.md has the rights that it needs"
        )


def _own_user(url: str, prefix: str, guard: Guard, admin: Any) -> tuple[str, Words]:
    """Creates a user for the run, which the guard deletes; returns its URL, and its name and rule.

    Raises Refused if the server does not allow it.
    """
    from redis.exceptions import RedisError

    from hsejobs.store.permissions import rule

    password = secrets.token_hex(16)
    user = (prefix, *rule(prefix).split())
    guard.order.after = [["ACL", "DELUSER", prefix]]
    guard.send_order()
    try:
        admin.execute_command("ACL", "SETUSER", prefix, "on", f">{password}", *user[1:])
    except RedisError as error:
        raise Refused(f"the server does not allow no-rights: {error}") from None
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(prefix)}:{password}@{place}").geturl(), user


def _prepare_refusals(
    allowed: list[str], admin: Any, user: Words, server_pid: int | None
) -> dict[str, Refusal]:
    """Returns the commands for each blow to the server, after a test that changes nothing. Raises Refused."""
    from redis.exceptions import RedisError

    from hsejobs_cli.chaos.refusals import prepare

    prepared = {}
    try:
        for name in allowed:
            if name != "frozen":
                prepared[name] = prepare(name, admin, user)
            elif int(admin.info("server")["process_id"]) != server_pid:
                raise InvalidOption("server-pid", "must be the process id that Redis reports")
    except RedisError as error:
        raise Refused(f"the server does not allow {name}: {error}") from None
    return prepared


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP end a run like Ctrl-C: with everything cleaned up."""

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {
        signum: signal.signal(signum, interrupt)
        for signum in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(signum) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _log(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _document(
    verdict: Verdict,
    injected: list[InjectedBlow],
    plan: plans.Plan,
    prefix: str,
    folder: Path | None,
) -> dict[str, Any]:
    from hsejobs_cli.chaos.verdict import SHOWN

    blows = []
    for one, recovered, drained in zip(injected, verdict.recovered, verdict.drained, strict=True):
        blow = {"at": one.blow.at, "blow": one.blow.blow, "target": one.blow.target}
        blow |= {"seconds": round(one.end - one.start, 3), "recoveredAfter": recovered}
        blows.append(blow | {"drainedAfter": drained, "skipped": one.skipped or None})
    return {
        "ok": verdict.ok,
        "accepted": verdict.accepted,
        "completed": verdict.completed,
        "failed": len(verdict.failed),
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "repeated": verdict.repeated,
        "late": len(verdict.late),
        "consumersDied": verdict.died,
        "blows": blows,
        "jobs": {
            "failed": verdict.failed[:SHOWN],
            "lost": verdict.lost[:SHOWN],
            "doubled": verdict.doubled[:SHOWN],
            "late": dict(list(verdict.late.items())[:SHOWN]),
        },
        "prefix": prefix,
        "files": None if folder is None else str(folder),
        "plan": plan.document(),
    }


def _show(found: dict[str, Any]) -> None:
    names = (
        "accepted",
        "completed",
        "failed",
        "lost",
        "doubled",
        "repeated",
        "late",
        "consumersDied",
    )
    output.table(
        ("at s", "blow", "target", "for s", "recovered after s", "drained after s"),
        [
            (
                one["at"],
                one["blow"],
                one["target"],
                one["seconds"],
                one["skipped"] or one["recoveredAfter"],
                one["drainedAfter"],
            )
            for one in found["blows"]
        ],
        right=[0, 3, 4, 5],
    )
    output.table(("count", "jobs"), [(name, found[name]) for name in names], right=[1])
    for name in ("lost", "doubled", "failed"):
        if found["jobs"][name]:
            typer.echo(f"{name}: {', '.join(found['jobs'][name])}")
    typer.echo("no job was lost or doubled" if found["ok"] else "the promise was broken")
    typer.echo(f"plan: {json.dumps(found['plan'], separators=(',', ':'))}")
