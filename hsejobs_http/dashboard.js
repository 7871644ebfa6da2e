// Focuses the terminal as soon as it exists, and again when its page gets the focus.
function focusTerminal() {
  const keys = document.querySelector(".textual-terminal textarea");
  if (!keys) return;
  // The focus event goes through the socket: one from before the socket was open was lost.
  keys.blur();
  keys.focus();
}
window.addEventListener("focus", focusTerminal);
window.addEventListener("load", () => {
  const shown = new MutationObserver(() => {
    if (!document.body.classList.contains("-first-byte")) return;
    shown.disconnect();
    focusTerminal();
  });
  shown.observe(document.body, { attributes: true, attributeFilter: ["class"] });
});
