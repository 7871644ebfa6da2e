"""The driver of a session in a browser: Textual's, and the page's address."""

from __future__ import annotations

from textual.drivers.web_driver import WebDriver

from hsejobs_tui.session.browser import Visit


class BrowserDriver(WebDriver):
    """Textual's web driver; its packets ``place`` carry addresses in both directions."""

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """Called in the input thread for each packet that is not input."""
        if packet_type == "place":
            self._app.post_message(Visit(str(payload.get("address"))))
        else:
            super().on_meta(packet_type, payload)

    def show_address(self, address: str, title: str, *, replace: bool) -> None:
        """Shows an address and a title in the browser."""
        self.write_meta({"type": "place", "address": address, "title": title, "replace": replace})
