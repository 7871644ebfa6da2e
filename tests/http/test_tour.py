"""The tour of docs/http.md, command by command, against `hsejobs up` and its workers."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.conftest import free_port
from tests.support import skip_or_fail, wait_until
from tests.support.programs import wait_for_log

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
TOUR = PAGE.partition("## A tour with curl")[2].partition("\n## ")[0]
STEPS = re.findall(r"```bash\n(.*?)```\n(?:```json\n(.*?)```)?", TOUR, re.DOTALL)


#: Fields whose values differ each time.
CHANGING = (
    ".jobId",
    ".requestId",
    ".createdAt",
    ".processedAt",
    ".finishedAt",
    ".total",
    ".rate",
    ".share",
    ".pausedAt",
    ".pausedBy",
)


class Up:
    """`hsejobs up --headless` with its own home and port, and a shell next to it."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        bin_folder = Path(sys.executable).parent
        self.env = {
            **os.environ,
            "JOBS_HOME": str(home),
            "JOBS_HTTP_PORT": str(self.port),
            "SMTP_FROM_ALLOWED": "hse.digital",
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
        }
        self.log = home / "up.log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hsejobs_cli", "up", "--headless"],
                env=self.env,
                stdout=file,
                stderr=file,
            )

    def shell(self, commands: str) -> str:
        """Returns what the commands print; they must exit with 0."""
        commands = commands.replace("127.0.0.1:8090", f"127.0.0.1:{self.port}")
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", commands],
            env=self.env,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def up(short_tmp: Path) -> Iterator[Up]:
    if shutil.which("curl") is None:
        skip_or_fail("no curl on the PATH")
    found = Up(short_tmp)
    try:
        wait_for_log(found.process, found.log, "processor started", 6)
        wait_until(
            lambda: (
                "alive"
                in found.shell(
                    f"curl -fsS http://127.0.0.1:{found.port}/healthz >/dev/null 2>&1 && echo alive || true"
                )
            ),
            30,
            "the shim",
        )
        yield found
        assert found.stop() == 0, found.log.read_text()[-3000:]
    finally:
        if found.process.poll() is None:
            found.stop()


def alike(expected: Any, got: Any, place: str = "") -> None:
    """Checks for the same keys and kinds of values; lists and {} match any content."""
    if isinstance(expected, dict) and expected:
        missing = set(expected) - set(got)
        assert not missing, f"{place}: no {missing}"
        if place == "":
            assert set(got) == set(expected)
        for name, one in expected.items():
            alike(one, got[name], f"{place}.{name}")
    elif expected is None or (not isinstance(expected, dict | list) and place not in CHANGING):
        assert got == expected, place
    else:
        assert isinstance(got, type(expected)), place


@pytest.mark.timeout(240)
def test_the_tour(up: Up) -> None:
    assert len(STEPS) > 12
    setup = STEPS[0][0]

    def job(queue: str, job_id: str) -> Any:
        return json.loads(up.shell(f'{setup}\ncurl -sS "$JOBS/{queue}/jobs/{job_id}" -H "$AUTH"'))

    made: dict[str, str] = {}
    for commands, expected in STEPS[1:]:
        if "/org-123:tour" in commands:
            # Typing would take as long.
            queue = "reports" if "reports" in commands else "email"
            wait_until(
                lambda queue=queue: job(queue, "org-123:tour")["status"] == "completed",  # type: ignore[misc]
                60,
                f"{queue}: {job(queue, 'org-123:tour')}",
            )
        printed = up.shell(f"{setup}\n{commands}")
        if not expected:
            continue
        got = json.loads(printed)
        alike(json.loads(expected), got)
        if "jobId" in got:
            made[got["queue"]] = got["jobId"]
    assert set(made) == {"email", "reports", "data-exports", "webhooks", "tenant-onboarding"}
    assert json.loads((up.home / "report.json").read_text())
    assert list((up.home / "outbox").glob("*.eml"))
    onboarded = made["tenant-onboarding"]
    wait_until(
        lambda: job("tenant-onboarding", onboarded)["status"] == "completed", 60, "onboarding"
    )
    # The host does not exist, so the job has failed once and waits for its next attempt.
    wait_until(lambda: job("webhooks", made["webhooks"])["attemptsMade"] >= 1, 60, "the webhook")
    assert job("webhooks", made["webhooks"])["errors"][0]["code"] == "webhook_unreachable"
    delayed = made["data-exports"]
    act = f'{setup}\ncurl -sS -X POST "$JOBS/data-exports/jobs/{delayed}/promote" -H "$AUTH"'
    assert json.loads(up.shell(act))["status"] in ("waiting", "active", "completed", "failed")
    wait_until(lambda: job("data-exports", delayed)["attemptsMade"] >= 1, 60, "the export")
