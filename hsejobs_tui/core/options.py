"""Options of a TUI session: what it may do, which jobs it shows, and its Redis."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from hsejobs.errors import SettingsError
from hsejobs.model import check_organization
from hsejobs.redis_url import check_redis_url
from hsejobs.settings import Settings, load_settings, redact_url, redis_target
from hsejobs.watch.rules import Limits

PROFILES = "profiles.toml"
THEMES = ("dark", "light", "ansi")
#: ``TERM`` values of terminals with 16 colors.
FEW_COLORS = ("linux", "vt100", "vt220", "ansi", "xterm-16color", "screen-16color")


class DashboardUser(NamedTuple):
    """The user of a browser session: user id and role (member, admin, operator) of the token."""

    user_id: str
    role: str


@dataclass(frozen=True, slots=True)
class Options:
    """The fixed options of a session. ``refresh`` in seconds."""

    url: str = field(repr=False)
    prefix: str
    home: Path
    place: str
    sealed: bool = False
    read_only: bool = False
    organization_id: str | None = None
    production: bool = False
    once: bool = False
    ascii_only: bool = False
    theme: str = "dark"
    refresh: float = 1.0
    front: bool = False
    limits: Limits = field(default_factory=Limits)
    viewer: DashboardUser | None = None
    #: Where the HTTP shim is reached, for links to jobs.
    public_url: str | None = None

    @property
    def member(self) -> bool:
        """Whether it is a member's session, which only reads, and cancels the jobs that it added."""
        return self.viewer is not None and self.viewer.role == "member"


def load(
    *,
    read_only: bool = False,
    org: str | None = None,
    profile: str | None = None,
    once: bool = False,
    front: bool = False,
    settings: Settings | None = None,
) -> Options:
    """Loads the options of a session. Raises SettingsError, also for a profile that does not exist.

    Profiles are tables of ``JOBS_HOME/profiles.toml``: ``url``, ``prefix``,
    ``production`` (a red banner), ``read_only``.
    """
    settings = settings or load_settings()
    url = redis_target(settings) if profile is None else ""
    made = Options(
        url=url,
        prefix=settings.redis_prefix,
        home=settings.jobs_home,
        place=redact_url(url) if url else "",
        sealed=settings.secret_key is not None,
        read_only=read_only,
        organization_id=check_organization(org, "--org"),
        once=once,
        front=front,
        ascii_only=_ascii(),
        theme=_theme(),
        limits=Limits.of(settings),
        public_url=settings.public_url,
    )
    return made if profile is None else _with_profile(made, profile)


def _ascii() -> bool:
    if os.environ.get("JOBS_TUI_ASCII"):
        return True
    words = (os.environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next((word for word in words if word), "")
    return locale in ("C", "POSIX")


def _theme() -> str:
    """The configured theme; by default ``ansi`` for terminals with 16 colors, else ``dark``."""
    wanted = os.environ.get("JOBS_TUI_THEME")
    if wanted:
        if wanted not in THEMES:
            raise SettingsError("JOBS_TUI_THEME", f"must be one of: {', '.join(THEMES)}")
        return wanted
    return "ansi" if os.environ.get("TERM", "") in FEW_COLORS else "dark"


def _with_profile(options: Options, name: str) -> Options:
    import tomllib

    path = options.home / PROFILES
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            "--profile", f"{path} does not exist; create it with a table [{name}]"
        ) from None
    except (OSError, ValueError):
        raise SettingsError("--profile", f"{path} is not readable, valid TOML") from None
    table = found.get(name)
    if not isinstance(table, dict):
        have = ", ".join(sorted(found)) or "none"
        raise SettingsError("--profile", f"{path} has no such profile; available: {have}")
    url = table.get("url")
    try:
        check_redis_url(str(url))
    except ValueError as error:
        raise SettingsError("--profile", f"url of [{name}] {error}") from None
    return replace(
        options,
        url=str(url),
        prefix=str(table.get("prefix", options.prefix)),
        place=f"{name}: {redact_url(str(url))}",
        production=bool(table.get("production", name.startswith("prod"))),
        read_only=options.read_only or bool(table.get("read_only", False)),
    )
