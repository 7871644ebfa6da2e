"""A readable text for a mail that came as HTML alone.

The HTML is a tenant's, and it is read in a thread that nobody can stop: what reads it must be
linear whatever it is given. Building a tree is not, in any library, because the rules of HTML
look back at all open elements; so tokens are read here, by the WHATWG's rules for them, which
never look back. Each step begins where the last one ended, and what has no end (a comment, a
tag, a quote) takes the rest and ends the reading.
"""

from __future__ import annotations

import re

from hsejobs.services.mail.text import unescape_html

#: Elements that hold text which is no markup, and which nobody sees.
_RAW = frozenset({"script", "style", "title", "xmp", "iframe", "noembed", "noframes"})
_PARAGRAPHS = frozenset(
    {"blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"}
)
_BLOCKS = _PARAGRAPHS | frozenset(
    {"address", "article", "aside", "dd", "div", "dl", "dt", "fieldset", "footer", "form"}
    | {"header", "hr", "li", "main", "nav", "section", "tr"}
)
# Possessive throughout (`*+`): a part that matched is never tried again at another length.
_MARKUP = re.compile(r"<(?:(?P<end>/?)(?P<name>[A-Za-z][^\t\n\f\r />]*+)|(?P<comment>!--)|[/!?])")
_ATTRIBUTE = re.compile(
    r"[\t\n\f\r /]*+(?P<name>[^\t\n\f\r />][^\t\n\f\r />=]*+)"
    r"(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?P<value>\"[^\"]*+\"?|'[^']*+'?|[^\t\n\f\r >]*+))?"
)
_BEFORE_END = re.compile(r"[\t\n\f\r /]*+>")
_COMMENT_END = re.compile(r"--!?>")
_RAW_END = {name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE) for name in _RAW}


def html_to_text(html: str) -> str:
    """Return what ``html`` says, without its markup, in time that grows as its length does.

    Modest on purpose: paragraphs, line breaks, list items and the addresses of
    links are kept; layout is not. Never raises on bad HTML.
    """
    said = _Said()
    at = 0
    while (mark := _MARKUP.search(html, at)) is not None:
        said.text(html[at : mark.start()])
        at = _past(html, mark, said)
        if at < 0:
            break
    else:
        said.text(html[at:])
    said.end_link()
    text = re.sub(r"[ \t\xa0]+", " ", "".join(said.out))
    # At most one space is left on each side of a line break.
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" ?\n ?", "\n", text)).strip() + "\n"


def _past(html: str, mark: re.Match[str], said: _Said) -> int:
    """Where the reading goes on after the markup that begins at ``mark``; -1 at the end."""
    if mark["name"] is None:
        end = _COMMENT_END.search(html, mark.start() + 2) if mark["comment"] else None
        if mark["comment"]:
            return -1 if end is None else end.end()
        return html.find(">", mark.end()) + 1 or -1
    name = mark["name"].lower()
    href, at = _attributes(html, mark.end())
    if at < 0:
        return -1
    if mark["end"]:
        said.end(name)
        return at
    said.start(name, href)
    if name in _RAW:
        end = _RAW_END[name].search(html, at)
        return -1 if end is None else end.start()
    return at


def _attributes(html: str, at: int) -> tuple[str, int]:
    """The first ``href`` of a tag, and where the tag ends; -1 when it never does."""
    href: str | None = None
    while True:
        if html.startswith(">", at):
            return href or "", at + 1
        found = _ATTRIBUTE.match(html, at)
        if found is None:
            end = _BEFORE_END.match(html, at)
            return href or "", -1 if end is None else end.end()
        if href is None and found["value"] and found["name"].lower() == "href":
            value = found["value"]
            href = unescape_html(value.strip(value[0]) if value[0] in "\"'" else value)
        at = found.end()


class _Said:
    """What was read so far, in pieces."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self._templates = 0
        self._href = ""
        self._link = -1

    def text(self, text: str) -> None:
        if text:
            self._add(re.sub(r"\s+", " ", unescape_html(text)))

    def start(self, name: str, href: str) -> None:
        if name == "template":
            self._templates += 1
        elif name == "br":
            self._add("\n")
        elif name == "a" and not self._templates:
            # A link ends where the next one begins, so that no text is looked at twice.
            self.end_link()
            self._href, self._link = href, len(self.out)
        elif name in _BLOCKS:
            self._add("\n\n" if name in _PARAGRAPHS else "\n")
            if name == "li":
                self._add("- ")

    def end(self, name: str) -> None:
        if name == "template":
            self._templates = max(0, self._templates - 1)
        elif name == "a" and not self._templates:
            self.end_link()
        elif name in _BLOCKS:
            self._add("\n\n" if name in _PARAGRAPHS else "\n")
        elif name in {"td", "th"}:
            self._add(" ")

    def end_link(self) -> None:
        if self._link < 0:
            return
        shown = "".join(self.out[self._link :]).strip()
        if self._href.startswith(("http://", "https://")) and self._href != shown:
            self.out.append(f" ({self._href})")
        self._link = -1

    def _add(self, text: str) -> None:
        if not self._templates:
            self.out.append(text)
