// The terminal gets the keys as soon as it is there, and again when its page does.
function focusTerminal() {
  const keys = document.querySelector(".textual-terminal textarea");
  if (keys) keys.focus();
}
window.addEventListener("load", () => setTimeout(focusTerminal, 0));
window.addEventListener("focus", focusTerminal);
