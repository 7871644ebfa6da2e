"""Makes the pictures of the README from the demo: ``python -m tests.tui.picture [still|recording]``.

``docs/tui.svg`` is the overview at the time at which the demo's clock stands still; ``docs/tui.cast`` is a
recording of ``hsejobs demo`` for asciinema players.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from tests.tui.demo import DemoServer
from tests.tui.driving import settle

DOCS = Path(__file__).parents[2] / "docs"
PICTURE, RECORDING = DOCS / "tui.svg", DOCS / "tui.cast"
#: Columns and rows of the picture, and of the recording.
SIZE, RECORDED = (120, 36), (100, 30)
#: What is pressed in the recording, and the seconds until the next.
KEYS: tuple[tuple[bytes, float], ...] = (
    (b"", 4.0),
    (b"2", 3.0),
    (b"\r", 3.0),
    (b"4", 3.0),
    (b"8", 2.5),
    (b"3", 2.5),
    (b"\r", 1.5),
    (b"F", 2.5),
)


async def still() -> None:
    """Draws the overview."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    with DemoServer() as server, tempfile.TemporaryDirectory() as home:
        app = server.app(Path(home))
        async with app.run_test(size=SIZE) as pilot:
            await settle(pilot)
            PICTURE.write_text(app.export_screenshot(title="hsejobs demo"))


def recording() -> None:
    """Records the demo."""
    pid, fd = pty.fork()
    if not pid:
        # With 256 colors, the recording has half the size.
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": ""}
        words = [sys.executable, "-m", "hsejobs_cli", "demo"]
        os.execve(words[0], words, environment)  # noqa: S606
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", RECORDED[1], RECORDED[0], 0, 0))
    seen = b""
    while b"31 %" not in seen:
        seen += os.read(fd, 65_536)
    began = time.monotonic()
    entries = [[0.0, "o", seen.decode(errors="replace")]]
    try:
        for keys, seconds in KEYS:
            os.write(fd, keys)
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                if select.select([fd], [], [], left)[0]:
                    drawn = os.read(fd, 65_536)
                    # What is drawn together is one entry.
                    while select.select([fd], [], [], 0.03)[0]:
                        drawn += os.read(fd, 65_536)
                    text = drawn.decode(errors="replace")
                    entries.append([round(time.monotonic() - began, 3), "o", text])
    finally:
        os.kill(pid, signal.SIGTERM)
        while select.select([fd], [], [], 5.0)[0]:
            try:
                os.read(fd, 65_536)
            except OSError:
                break
        os.waitpid(pid, 0)
        os.close(fd)
    size = {"width": RECORDED[0], "height": RECORDED[1]}
    head = {"version": 2, **size, "title": "hsejobs demo"}
    lines = [json.dumps(one, ensure_ascii=False) for one in (head, *entries)]
    # Tracebacks name the folder of this machine: another one of the same width.
    folder = str(DOCS.parent)
    text = "\n".join(lines).replace(folder, ("/srv" + "/hsejobs" * len(folder))[: len(folder)])
    if folder in "".join(str(entry[2]) for entry in map(json.loads, text.splitlines()[1:])):
        raise SystemExit("a path of this machine is left: record it again")
    RECORDING.write_text(text + "\n")


def main() -> None:
    """Makes both, or the one that is named."""
    wanted = sys.argv[1:] or ["still", "recording"]
    if "still" in wanted:
        asyncio.run(still())
    if "recording" in wanted:
        recording()


if __name__ == "__main__":
    main()
