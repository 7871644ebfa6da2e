"""``hsejobs doctor``: what is well, what is not, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_commands import run


def checks(text: str) -> dict[str, str | None]:
    return {check["check"].split()[0]: check["todo"] for check in json.loads(text)["checks"]}


def test_all_is_looked_at(redis_url: str) -> None:
    done = run("doctor", "--json")
    seen = checks(done.stdout)
    assert set(seen) == {
        "settings", "JOBS_HOME", "Redis", "version", "eviction", "append-only", "database",
        "artifacts",
    }  # fmt: skip
    assert [name for name, todo in seen.items() if todo] == ["append-only"]
    assert done.returncode == 1


def test_whatever_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = run(
        "doctor",
        JOBS_HOME=str(tmp_path / "home"),
        QUEUE_REDIS_URL="redis://:hidden@127.0.0.1:1",
        PLATFORM_DATABASE_URL="postgresql://hse:hidden@127.0.0.1:1/hse",
        ARTIFACTS_URL=f"file://{file}/below",
        SMTP_URL="smtp://hse:hidden@127.0.0.1:1",
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1] for line in failed] == ["Redis", "database", "artifacts", "SMTP"]
    assert "hidden" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 3
