"""A real headless Chromium, driven by its own protocol (CDP) over a websocket."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support import wait_until


class Page:
    """A tab. Reads what the program behind it sends as its terminal's script does."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session = socket, session
        self._numbers = itertools.count(1)
        #: The text that came through websockets since the last ``forget``, and errors of the page.
        self.seen, self.errors = "", list[str]()
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> Any:
        """Sends a command and returns its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, "sessionId": self._session}
        self._socket.send(json.dumps(message))
        while (answer := self._next(30)).get("id") != number:
            pass
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _next(self, seconds: float) -> Any:
        answer = json.loads(self._socket.recv(timeout=seconds))
        if answer.get("sessionId") == self._session:
            self._note(answer.get("method"), answer.get("params", {}))
        return answer

    def _note(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Network.webSocketFrameReceived":
            frame = params["response"]
            if frame["opcode"] == 2:
                self.seen += base64.b64decode(frame["payloadData"]).decode("utf-8", "replace")
        elif method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"]["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
            # Not files that are absent, such as an icon, or the login's answer.
            if self.errors[-1].startswith("Failed to load resource"):
                del self.errors[-1]

    def forget(self) -> None:
        """Forgets what came so far."""
        self.seen = ""

    def until(self, true: Callable[[], Any], what: str, seconds: float = 30) -> Any:
        """Reads until something is true."""
        end = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < end, (what, self.address, self.seen[-2_000:], self.errors)
            with contextlib.suppress(TimeoutError):
                self._next(0.05)
        return found

    def shows(self, *words: str) -> None:
        """Reads until the terminal has drawn all the words since the last ``forget``."""
        self.until(lambda: all(word in self.seen for word in words), f"{words}")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; of its promise, once that is kept."""
        found = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, (script, found)
        return found["result"].get("value")

    @property
    def address(self) -> str:
        return str(self.run("location.pathname + location.search"))

    def at(self, address: str) -> None:
        """Reads until the page has this address, and is loaded."""
        loaded = "document.readyState"
        self.until(lambda: self.address == address and self.run(loaded) == "complete", address)

    def open(self, url: str) -> None:
        """Opens an address, and waits until it is loaded."""
        self.ask("Page.navigate", url=url)
        # The new document, not the old one that is still there.
        self.until(
            lambda: (
                self.run("location.href !== 'about:blank' && document.readyState") == "complete"
            ),
            url,
        )

    def press(self, text: str) -> None:
        """Types text into the terminal, once it has the focus; a carriage return is Enter."""
        focused = "document.activeElement && document.activeElement.tagName === 'TEXTAREA'"
        self.until(lambda: self.run(focused), "the focus")
        for char in text:
            if char == "\r":
                for kind in ("keyDown", "keyUp"):
                    self.ask(
                        "Input.dispatchKeyEvent",
                        type=kind,
                        key="Enter",
                        code="Enter",
                        windowsVirtualKeyCode=13,
                        text="\r" * (kind == "keyDown"),
                    )
            else:
                self.ask("Input.dispatchKeyEvent", type="keyDown", key=char, text=char)
                self.ask("Input.dispatchKeyEvent", type="keyUp", key=char)

    def drag(self, start: tuple[int, int], end: tuple[int, int], *, modifiers: int = 0) -> None:
        """Presses the mouse at one point and lets go at another; ``modifiers``: 8 is Shift."""
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            self.ask(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="left",
                buttons=0 if kind == "mouseReleased" else 1,
                clickCount=1,
                modifiers=modifiers,
            )

    def picture(self, path: Path) -> None:
        """Writes a picture of the page."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))


class Chromium:
    """A running browser with one profile."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1_000_000)
        self._contexts: list[str] = []

    def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(self._socket.recv(timeout=30))).get("id") != number:
            pass
        return answer["result"]

    def page(self, width: int = 1280, height: int = 800, scheme: str = "dark") -> Page:
        """A new tab of this size, with cookies of its own, whose user prefers this color scheme."""
        apart = self._ask("Target.createBrowserContext")["browserContextId"]
        self._contexts.append(apart)
        target = self._ask("Target.createTarget", url="about:blank", browserContextId=apart)
        target = target["targetId"]
        session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self._socket, session)
        page.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.ask("Emulation.setEmulatedMedia", features=features)
        return page

    def close_pages(self) -> None:
        """Closes all tabs."""
        while self._contexts:
            self._ask("Target.disposeBrowserContext", browserContextId=self._contexts.pop())


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Runs a browser; skips the test where there is none."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no chromium: .ci/run installs it")
        pytest.skip("there is no chromium")
    process = subprocess.Popen(
        [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        found = folder / "DevToolsActivePort"
        # Two lines: the port, and the path of the browser's own socket.
        wait_until(lambda: found.exists() and "\n/" in found.read_text(), 60, "the browser")
        address = "ws://127.0.0.1:" + found.read_text().replace("\n", "")
        with connect(address, proxy=None, max_size=None) as socket:
            yield Chromium(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
