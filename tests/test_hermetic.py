"""The suite is hermetic: the caller's settings and other installations do not affect it."""

from __future__ import annotations

import ast
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import remove_left_folders, short_folder

TESTS = Path(__file__).parent
ROOT = TESTS.parent
#: Calls that listen or connect. Port 0 means any free port, and nothing listens on port 1.
NETWORK = {
    "bind",
    "connect",
    "connect_ex",
    "create_connection",
    "create_server",
    "listen",
    "start_server",
}
ANY_PORT = {0, 1}
#: Variables that a caller may have set, with values that make a test fail if it reads them.
HOSTILE = {
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "POSIX",
    "LANGUAGE": "tr",
    "TZ": "Asia/Kathmandu",
    "HOME": "/nonexistent",
    "XDG_DATA_HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "http_proxy": "http://127.0.0.1:1",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "ALL_PROXY": "socks5://127.0.0.1:1",
    "QUEUE_REDIS_URL": "redis://127.0.0.1:1",
    "QUEUE_REDIS_PREFIX": "strange",
    "QUEUE_LEASE_MS": "nonsense",
    "JOBS_HOME": "/nonexistent",
    "JOBS_HTTP_PORT": "8090",
    "JOBS_JWT_SECRET": "too short",
    "SMTP_URL": "nonsense",
    "PLATFORM_DATABASE_URL": "nonsense",
    "NO_COLOR": "1",
    "COLUMNS": "20",
    "LINES": "5",
    "EDITOR": "/bin/false",
    "TEXTUAL_THEME": "nonsense",
    "PYTHONWARNINGS": "default",
}
#: One test of each kind: settings, scripts, a consumer, a command, the TUI.
SAMPLE = (
    "test_settings.py",
    "test_support.py::test_the_environment_is_bare",
    "test_redis_url.py",
    "store/test_promises.py",
    "engine/test_outcomes.py::test_delays_priorities_pause",
    "cli/test_commands.py::test_a_payload_over_the_limit_is_refused",
    "tui/test_screens.py::test_a_removal_asks_and_undo_brings_the_job_back",
    "services/test_mail_message.py",
    "webhooks/test_signing.py::test_the_vector_of_standard_webhooks",
    "webhooks/test_signing.py::test_node_refuses_what_is_not_right",
)


def fixed_ports(tree: ast.AST) -> Iterator[int]:
    """Literal port numbers that the code binds or connects to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = [*node.args] if name in NETWORK else []
            given = [one for one in given if isinstance(one, ast.Tuple)]
            given += [one.value for one in node.keywords if one.arg == "port"]
            for one in given:
                numbers = one.elts if isinstance(one, ast.Tuple) else [one]
                yield from (
                    number.value
                    for number in numbers
                    if isinstance(number, ast.Constant) and type(number.value) is int
                )
        elif isinstance(node, ast.List | ast.Tuple):
            words = [str(getattr(one, "value", "")) for one in node.elts]
            yield from (
                int(port)
                for option, port in itertools.pairwise(words)
                if option == "--port" and port.isdigit()
            )


def test_no_test_has_a_fixed_port() -> None:
    found = {
        f"{path.relative_to(TESTS)}: {port}"
        for path in sorted(TESTS.rglob("*.py"))
        for port in fixed_ports(ast.parse(path.read_text()))
        if port not in ANY_PORT
    }
    assert found == set()


@pytest.mark.parametrize(
    "code",
    [
        's.bind(("127.0.0.1", 8090))',
        "Server(binary, port=8090)",
        'run(["serve", "--port", "8090"])',
        'socket.create_server(("", 8090))',
    ],
)
def test_a_fixed_port_is_noticed(code: str) -> None:
    assert list(fixed_ports(ast.parse(code))) == [8090]


def test_the_environment_of_a_test_is_its_own(tmp_path: Path) -> None:
    left = {name for name in os.environ if name.lower().endswith("_proxy")}
    left |= {name for name in os.environ if name.startswith(("XDG_", "QUEUE_", "SMTP_", "LC_"))}
    assert left == {"LC_ALL"}
    assert (os.environ["TZ"], time.strftime("%Z")) == ("UTC", "UTC")
    assert os.environ["HOME"] != str(Path("~").expanduser().parent)
    assert list(Path(os.environ["HOME"]).glob(".*rc")) == []
    file = tmp_path / "made"
    file.touch()
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.timeout(400)
def test_a_hostile_caller_changes_nothing(tmp_path: Path) -> None:
    env = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "--basetemp",
            str(tmp_path / "base"),
            *(f"tests/{one}" for one in SAMPLE),
        ],
        cwd=ROOT,
        env={**env, **HOSTILE},
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
        timeout=380,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\d+ passed", done.stdout)


def test_leftovers_of_a_killed_test_process_are_removed_by_the_next_one() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = Path(f"/tmp/hj-{gone.pid}-left")
    left.mkdir()
    mine = short_folder()
    remove_left_folders.cache_clear()
    remove_left_folders()
    assert not left.exists()
    assert mine.exists()
    mine.rmdir()


def test_nothing_of_a_server_is_left() -> None:
    """Each server's folder is below the temporary one and is removed with the test process."""
    from tests.support.server import Server, server_binary

    with Server(server_binary()) as server:
        folder, pid = server.folder, server.pid
        assert folder.parent == Path(tempfile.gettempdir())
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()
