// The page around the terminal: its address and title, its focus, its selection, and why it ended.
"use strict";
(() => {
  const ROOT = "/api/jobs/dashboard";
  const MOUSE_OFF = "\x1b[?1003l\x1b[?1000l", MOUSE_ON = "\x1b[?1000h\x1b[?1003h";
  const here = () => location.pathname + location.search;
  let socket = null, reason = "", selecting = false;

  // A phone gets the plain page, unless its user has asked for the terminal there.
  if (location.hash === "#terminal") sessionStorage.setItem("terminal", "1");
  if (matchMedia("(max-width: 600px)").matches && !sessionStorage.getItem("terminal")) {
    location.replace(document.getElementById("plain").href);
    return;
  }

  // The terminal's script opens the socket; here it gets the address and the theme.
  window.WebSocket = class extends WebSocket {
    constructor(address) {
      const theme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
      super(`${address}&place=${encodeURIComponent(here())}&theme=${theme}`);
      socket = this;
      this.addEventListener("message", hear);
      this.addEventListener("close", explain);
    }
  };

  function hear(event) {
    if (typeof event.data !== "string") return;
    const [kind, value] = JSON.parse(event.data);
    if (kind === "ended") reason = value;
    if (kind === "place") show(value);
  }

  // The page has the organization that limits an operator's view; the terminal's places do not.
  function show({ address, title, replace }) {
    document.title = title;
    const kept = new URLSearchParams(location.search).get("organizationId");
    if (kept) address += `${address.includes("?") ? "&" : "?"}organizationId=${encodeURIComponent(kept)}`;
    if (address === here() || !address.startsWith(ROOT)) return;
    if (replace) history.replaceState(null, "", address);
    else history.pushState(null, "", address);
  }

  window.addEventListener("popstate", () => {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(["place", here()]));
    else location.reload();
  });

  // A browser shows no reason for a refused socket: the same question as a request has one.
  async function explain() {
    try {
      const answer = reason ? null : await fetch(`${ROOT}/view`);
      if (answer && !answer.ok) reason = (await answer.json()).detail;
    } catch {
      reason = "the server does not answer";
    }
    document.getElementById("why").textContent = reason || "it was closed";
  }

  function focusTerminal() {
    const keys = document.querySelector(".textual-terminal textarea");
    if (!keys) return;
    // The focus event goes through the socket: one from before the socket was open was lost.
    keys.blur();
    keys.focus();
  }
  window.addEventListener("focus", focusTerminal);

  // While the program does not get the mouse, dragging selects text, as Shift and dragging always does.
  function select() {
    selecting = !selecting;
    document.getElementById("select").setAttribute("aria-pressed", String(selecting));
    const data = new TextEncoder().encode(selecting ? MOUSE_OFF : MOUSE_ON).buffer;
    if (socket) socket.dispatchEvent(new MessageEvent("message", { data }));
    focusTerminal();
  }

  // The text that is selected in the terminal, which draws it on a canvas.
  function selection() {
    const asked = new ClipboardEvent("copy", { clipboardData: new DataTransfer(), cancelable: true });
    const terminal = document.querySelector(".textual-terminal .xterm");
    if (terminal) terminal.dispatchEvent(asked);
    return asked.defaultPrevented ? asked.clipboardData.getData("text/plain") : "";
  }

  // A move that is reported to the program is input to the terminal, which ends a selection.
  document.addEventListener("mousemove", (event) => {
    if (!event.buttons && selection()) event.stopImmediatePropagation();
  }, true);

  // With a selection, Ctrl+C or Cmd+C copies it and is no key of the program.
  document.addEventListener("keydown", (event) => {
    const copies = (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "c";
    if (copies && selection()) event.stopImmediatePropagation();
  }, true);

  window.addEventListener("load", () => {
    document.getElementById("select").addEventListener("click", select);
    const shown = new MutationObserver(() => {
      if (!document.body.classList.contains("-first-byte")) return;
      shown.disconnect();
      focusTerminal();
    });
    shown.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });
})();
