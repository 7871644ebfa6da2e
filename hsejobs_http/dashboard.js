// The terminal gets the keys as soon as it is there, and again when its page does.
function focusTerminal() {
  const keys = document.querySelector(".textual-terminal textarea");
  if (!keys) return;
  // The focus is told through the socket: one from before the socket was open went nowhere.
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
