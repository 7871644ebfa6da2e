"""The settings contract: every variable, its checks, precedence, and the choice of Redis."""

from __future__ import annotations

import dataclasses
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hsejobs.errors import SettingsError
from hsejobs.redis_url import parse_redis_url
from hsejobs.settings import (
    SETTINGS,
    QueueOverrides,
    ensure_home,
    load_settings,
    redact_url,
    redis_target,
)

DOC = Path(__file__).parent.parent / "docs" / "settings.md"
PEM = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----"


class RecordingEnv(Mapping[str, str]):
    """An environment that records which names were read."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values_ = values
        self.read_names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read_names.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def test_defaults() -> None:
    settings = load_settings({"HOME": "/home/ann"})
    assert (settings.concurrency, settings.attempts, settings.backoff_ms) == (5, 3, 5000)
    assert (settings.lease_ms, settings.max_stalls, settings.shutdown_grace_ms) == (
        30_000,
        3,
        10_000,
    )
    assert (settings.redis_prefix, settings.redis_db, settings.wait_replicas) == ("hsejobs", 0, 0)
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8090)
    assert (settings.log_format, settings.log_level) == ("json", "INFO")
    assert settings.webhook_allow_private is False
    assert settings.smtp_from_allowed == ()
    assert settings.global_overrides == QueueOverrides()


def test_a_set_value_is_distinguished_from_a_default() -> None:
    settings = load_settings({"QUEUE_CONCURRENCY": "5", "QUEUE_MAX_RETRIES": "3"})
    assert settings.global_overrides == QueueOverrides(concurrency=5, attempts=3)


def test_overrides_of_one_queue() -> None:
    settings = load_settings(
        {
            "QUEUE_DATA_EXPORTS_ATTEMPTS": "7",
            "QUEUE_DATA_EXPORTS_BACKOFF_DELAY": "0",
            "QUEUE_DATA_EXPORTS_TIMEOUT": "1500",
            "QUEUE_DATA_EXPORTS_WORKERS": "processes",
            "QUEUE_EMAIL_CONCURRENCY": "2",
            "QUEUE_EMAIL_MAX_JOBS": "0",
            "QUEUE_REPORTS_MAX_RSS": "512",
        }
    )
    assert settings.queue("data-exports") == QueueOverrides(
        attempts=7, backoff_ms=0, timeout_ms=1500, workers="processes"
    )
    assert settings.queue("email") == QueueOverrides(concurrency=2, max_jobs=0)
    assert settings.queue("reports") == QueueOverrides(max_rss=512)
    assert settings.queue("webhooks") == QueueOverrides()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QUEUE_CONCURRENCY", "0"),
        ("QUEUE_CONCURRENCY", "five"),
        ("QUEUE_CONCURRENCY", "5.0"),
        ("QUEUE_CONCURRENCY", "\u0665"),
        ("QUEUE_CONCURRENCY", "9" * 5000),
        ("QUEUE_MAX_RETRIES", "-1"),
        ("QUEUE_BACKOFF_DELAY", "1e3"),
        ("QUEUE_LEASE_MS", "99"),
        ("QUEUE_MAX_JOBS", "-1"),
        ("QUEUE_EMAIL_MAX_RSS", "1G"),
        ("QUEUE_APP", "shop.py:huey"),
        ("QUEUE_MAX_STALLS", "x"),
        ("QUEUE_SHUTDOWN_GRACE_MS", "-5"),
        ("QUEUE_CANCEL_GRACE_MS", "-5"),
        ("QUEUE_EMAIL_CONCURRENCY", "0"),
        ("QUEUE_DATA_EXPORTS_ATTEMPTS", "many"),
        ("QUEUE_EMAIL_BACKOFF_DELAY", "5s"),
        ("QUEUE_EMAIL_TIMEOUT", "0"),
        ("QUEUE_NOT_YET_KNOWN_WORKERS", "greenlets"),
        ("QUEUE_REDIS_URL", "http://localhost"),
        ("QUEUE_REDIS_URL", "localhost:6379"),
        ("QUEUE_REDIS_URL", "redis://localhost:99999"),
        ("QUEUE_REDIS_URL", "redis://localhost/first"),
        ("QUEUE_REDIS_URL", "redis://:s3cr3t℀@localhost"),
        ("QUEUE_REDIS_URL", "redis://a,b"),
        ("QUEUE_REDIS_URL", "unix://relative.sock"),
        ("QUEUE_REDIS_URL", "redis+sentinel://a:26379,b:26379"),
        ("QUEUE_REDIS_URL", "redis+cluster://a:7000/3"),
        ("QUEUE_REDIS_HOST", "redis://localhost"),
        ("QUEUE_REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("QUEUE_REDIS_DB", "one"),
        ("QUEUE_REDIS_PREFIX", "a:b"),
        ("QUEUE_REDIS_PREFIX", "{tag}"),
        ("QUEUE_REDIS_PREFIX", "x" * 41),
        ("QUEUE_REDIS_WAIT_REPLICAS", "all"),
        ("JOBS_HTTP_HOST", "two words"),
        ("JOBS_HTTP_PORT", "70000"),
        ("JOBS_PUBLIC_URL", "ftp://example.com"),
        ("JOBS_PUBLIC_URL", "https://user:pw@example.com"),
        ("JOBS_PUBLIC_URL", "https://"),
        ("JOBS_JWT_SECRET", "s3cr3t-but-too-short"),
        ("JOBS_JWT_SECRET", "s3cr3t" * 8 + ",s3cr3t-but-too-short"),
        ("JOBS_SECRET_KEY", "s3cr3t,,s3cr3t"),
        ("QUEUE_RELEASE", "my release"),
        ("JOBS_JWT_PUBLIC_KEY", "/nowhere/key.pem"),
        ("JOBS_JWT_PUBLIC_KEY", PEM.replace("PUBLIC", "PRIVATE")),
        ("PLATFORM_DATABASE_URL", "s3cr3t"),
        ("SMTP_URL", "http://mail.example.com"),
        ("SMTP_URL", "smtp://mail.example.com:port"),
        ("SMTP_FROM", "nobody"),
        ("SMTP_FROM", "a@b\r\nBcc: c@d"),
        ("SMTP_FROM", "Ann <ann@example.com"),
        ("SMTP_FROM_ALLOWED", "example.com,,"),
        ("ARTIFACTS_URL", "bucket"),
        ("ARTIFACTS_URL", "ftp://s3cr3t/bucket"),
        ("ARTIFACTS_URL", "s3://key:s3cr3t@bucket"),
        ("ARTIFACTS_URL", "s3://"),
        ("ARTIFACTS_URL", "file://relative/s3cr3t"),
        ("WEBHOOK_ALLOW_PRIVATE", "maybe"),
        ("JOBS_LOG_FORMAT", "xml"),
        ("JOBS_LOG_LEVEL", "LOUD"),
        ("JOBS_HOME", "a\0b"),
    ],
)
def test_a_bad_value_names_the_variable_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: value})
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    assert "s3cr3t" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_empty_counts_as_not_set() -> None:
    empty = dict.fromkeys((setting.name for setting in SETTINGS), "")
    assert load_settings({**empty, "HOME": "/h"}) == load_settings({"HOME": "/h"})


def test_repr_shows_no_secret() -> None:
    settings = load_settings(
        {
            "QUEUE_REDIS_URL": "redis://:s3cr3t@h",
            "QUEUE_REDIS_PASSWORD": "s3cr3t",
            "JOBS_JWT_SECRET": "s3cr3t" * 8,
            "JOBS_METRICS_TOKEN": "s3cr3t",
            "JOBS_SECRET_KEY": "s3cr3t",
            "PLATFORM_DATABASE_URL": "postgresql://u:s3cr3t@h/d",
            "SMTP_URL": "smtp://u:s3cr3t@h",
            "ARTIFACTS_URL": "s3://bucket/s3cr3t",
        }
    )
    assert "s3cr3t" not in repr(settings)


def test_settings_do_not_change() -> None:
    settings = load_settings({})
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.attempts = 4  # type: ignore[misc]


def test_mail_senders() -> None:
    assert load_settings({"SMTP_FROM": "Ann <ann@Example.com>"}).smtp_from_allowed == (
        "example.com",
    )
    settings = load_settings({"SMTP_FROM": "a@b.org", "SMTP_FROM_ALLOWED": "c.org, @D.org"})
    assert settings.smtp_from_allowed == ("c.org", "d.org")


def test_public_key_from_a_file_or_one_line(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(PEM + "\n")
    assert load_settings({"JOBS_JWT_PUBLIC_KEY": str(path)}).jwt_public_key == PEM
    one_line = PEM.replace("\n", "\\n")
    assert load_settings({"JOBS_JWT_PUBLIC_KEY": one_line}).jwt_public_key == PEM


def test_redis_target_prefers_the_url() -> None:
    url = "redis+sentinel://a:1,b:2/main/0"
    env = {"QUEUE_REDIS_URL": url, "QUEUE_REDIS_HOST": "other"}
    assert redis_target(load_settings(env)) == url


@pytest.mark.parametrize(
    ("env", "target"),
    [
        ({"QUEUE_REDIS_HOST": "r"}, "redis://r:6379/0"),
        ({"QUEUE_REDIS_PORT": "7"}, "redis://localhost:7/0"),
        ({"QUEUE_REDIS_HOST": "::1", "QUEUE_REDIS_DB": "2"}, "redis://[::1]:6379/2"),
        (
            {"QUEUE_REDIS_HOST": "r", "QUEUE_REDIS_PASSWORD": "a/b@c:%"},
            "redis://:a%2Fb%40c%3A%25@r:6379/0",
        ),
        ({"QUEUE_REDIS_PASSWORD": "x"}, "redis://:x@localhost:6379/0"),
        ({}, "redis://localhost:6379/0"),
    ],
)
def test_redis_target_by_host_or_last_resort(
    tmp_path: Path, env: dict[str, str], target: str
) -> None:
    settings = load_settings({"JOBS_HOME": str(tmp_path), **env})
    assert redis_target(settings) == target
    parse_redis_url(target)


def test_a_live_socket_is_taken_and_a_dead_one_is_not(short_tmp: Path) -> None:
    home = short_tmp / "ho me"
    home.mkdir()
    settings = load_settings({"JOBS_HOME": str(home), "QUEUE_REDIS_PASSWORD": "x"})
    elsewhere = short_tmp / "e.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(home / "redis.sock"))
        assert redis_target(settings) == "redis://:x@localhost:6379/0"
        server.listen()
        target = redis_target(settings)
        assert parse_redis_url(target).path == str(home / "redis.sock")
        assert parse_redis_url(target).password is None
        with socket.socket(socket.AF_UNIX) as noted:
            noted.bind(str(elsewhere))
            noted.listen()
            (home / "redis.sock.path").write_text(f"{elsewhere}\n")
            assert parse_redis_url(redis_target(settings)).path == str(elsewhere)
        assert redis_target(settings) == target
    with_host = dataclasses.replace(settings, redis_host="r")
    assert redis_target(with_host).startswith("redis://:x@r:")


def test_parts_of_a_redis_url() -> None:
    url = parse_redis_url("redis+sentinel://u:p%40@a,[::1]:5/main/3?sentinel_password=q")
    assert url.hosts == (("a", 26379), ("::1", 5))
    assert (url.username, url.password, url.service, url.db) == ("u", "p@", "main", 3)
    assert (url.sentinel_username, url.sentinel_password, url.tls) == (None, "q", None)
    assert parse_redis_url("redis://h/1?db=2").db == 2
    assert parse_redis_url("redis://").hosts == (("localhost", 6379),)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@h:1/0", "redis://:***@h:1/0"),
        ("redis://u:p/w?@#d@h", "redis://u:***@h"),
        ("redis://u@h", "redis://u@h"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("unix:///run/x.sock?db=1&password=pw", "unix:///run/x.sock?db=1&password=***"),
        ("postgresql+psycopg://u:pw@h/d", "postgresql+psycopg://u:***@h/d"),
        ("s3://b?secret_access_key=k&region=r", "s3://b?secret_access_key=***&region=r"),
    ],
)
def test_redact_url(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_where_home_is() -> None:
    linux = sys.platform != "darwin"
    usual = ".local/share" if linux else "Library/Application Support"
    assert load_settings({"HOME": "/h"}).jobs_home == Path("/h", usual, "hsejobs")
    if linux:
        env = {"HOME": "/h", "XDG_DATA_HOME": "/d"}
        assert load_settings(env).jobs_home == Path("/d/hsejobs")
        assert load_settings({**env, "XDG_DATA_HOME": "d"}).jobs_home == Path(
            "/h", usual, "hsejobs"
        )
    assert load_settings({"HOME": "/h", "JOBS_HOME": "~/j"}).jobs_home == Path("/h/j")
    assert load_settings({"JOBS_HOME": "j"}).jobs_home == Path.cwd() / "j"


def test_ensure_home(tmp_path: Path) -> None:
    settings = load_settings({"JOBS_HOME": str(tmp_path / "a" / "b")})
    assert not settings.jobs_home.exists()
    home = ensure_home(settings)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert ensure_home(settings) == home
    in_a_file = tmp_path / "file"
    in_a_file.touch()
    for path in (in_a_file, in_a_file / "x"):
        with pytest.raises(SettingsError, match="JOBS_HOME"):
            ensure_home(load_settings({"JOBS_HOME": str(path)}))


def test_the_table_is_what_is_read() -> None:
    env = RecordingEnv({"QUEUE_X_TIMEOUT": "1"})
    load_settings(env)
    read_names = {name.replace("QUEUE_X_", "QUEUE_<NAME>_") for name in env.read_names}
    assert read_names - {"HOME", "XDG_DATA_HOME"} == {setting.name for setting in SETTINGS}


def test_the_table_has_the_defaults_that_hold() -> None:
    explicit = {s.name: s.default for s in SETTINGS if s.default and " " not in s.default}
    implicit = load_settings({"HOME": "/h"})
    spelt_out = load_settings({"HOME": "/h", **explicit})
    assert dataclasses.replace(spelt_out, global_overrides=QueueOverrides()) == implicit


def test_the_documentation_lists_every_setting() -> None:
    rows = re.findall(r"^\| `([A-Z][A-Z_<>]+)` \|([^|]*)\|([^|]*)\|$", DOC.read_text(), re.M)
    documented = {name: default.replace("`", "").strip() for name, default, _ in rows}
    assert documented == {setting.name: setting.default for setting in SETTINGS}
    assert all(meaning.strip() for _, _, meaning in rows)


def test_settings_are_light() -> None:
    code = (
        "import sys, hsejobs.settings;"
        "print([m for m in ('pydantic','redis','huey','rich','typer') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
