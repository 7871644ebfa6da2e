"""Generated clients compile in strict mode, and do what they should."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.http.conftest import running, token
from tests.support.npm import node_modules

PROJECT = Path(__file__).parent / "clients"


class Workshop:
    """A folder with the document, the packages and the code that calls the generated clients."""

    def __init__(self, folder: Path, document: bytes) -> None:
        self.folder = folder
        (folder / "openapi.json").write_bytes(document)
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "node_modules").symlink_to(node_modules(PROJECT))
        for file in [*PROJECT.glob("*.ts"), PROJECT / "tsconfig.json"]:
            shutil.copy(file, folder)

    def run(self, *command: str, **env: str) -> str:
        """Runs a program of the packages, or node, and returns its output; it must exit with 0."""
        tool, *words = command
        here = self.folder / "node_modules" / ".bin" / tool
        done = subprocess.run(
            [str(here) if here.exists() else tool, *words],
            env={**os.environ, **env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{tool}: {(done.stdout + done.stderr)[-6000:]}"
        return done.stdout


@pytest.mark.timeout(420)
def test_generated_clients_compile_and_run(redis_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "clients"
    folder.mkdir()
    with running(tmp_path, SMTP_FROM_ALLOWED="hse.digital") as shim:
        shop = Workshop(folder, shim.client.get("/openapi.json").content)
        # Each with its defaults: what a developer gets without reading a manual.
        shop.run("openapi-typescript", "openapi.json", "-o", "openapi.ts")
        shop.run("openapi-ts", "-i", "openapi.json", "-o", "heyapi")
        # Checks the types as well.
        shop.run("tsc", "-p", ".", "--noEmit", "false", "--outDir", "out")
        env = {"JOBS_URL": shim.url, "JOBS_TOKEN": token("operator")}
        assert shop.run("node", "out/fetch.js", **env) == "done\n"
        counts = {name: one["total"] for name, one in shim.ask("GET", "/stats").json().items()}
    # Ten jobs were added, and one of the mails was removed again.
    assert counts == {
        "cleanup": 0,
        "data-exports": 2,
        "email": 1,
        "reports": 2,
        "tenant-onboarding": 2,
        "webhooks": 2,
    }


def test_the_lock_names_no_registry() -> None:
    text = (PROJECT / "package-lock.json").read_text()
    assert '"resolved"' not in text
    pinned: dict[str, Any] = json.loads(text)["packages"]
    assert all("integrity" in one for name, one in pinned.items() if name)
    assert not re.search(r"registry\s*=|registry\.", (PROJECT / ".npmrc").read_text())
