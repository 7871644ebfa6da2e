"""Convert HTML to readable plain text, for a mail that has only HTML.

The HTML comes from a tenant and is parsed in a thread that cannot be interrupted, so parsing must
take linear time for any input. Building a tree does not, in any library, because HTML's rules
look back at all open elements. This module reads tokens instead, by the WHATWG's tokenizer rules,
which never look back. Each step begins where the last one ended; an unterminated comment, tag or
quote consumes the rest of the input.
"""

from __future__ import annotations

import re

from hsejobs.services.mail.text import unescape_html

#: Elements whose content is text, not markup, and is not displayed.
_RAW = frozenset({"script", "style", "title", "xmp", "iframe", "noembed", "noframes"})
_PARAGRAPHS = frozenset(
    {"blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"}
)
_BLOCKS = _PARAGRAPHS | frozenset(
    {"address", "article", "aside", "dd", "div", "dl", "dt", "fieldset", "footer", "form"}
    | {"header", "hr", "li", "main", "nav", "section", "tr"}
)
# Possessive quantifiers (`*+`) throughout: no backtracking.
_MARKUP = re.compile(r"<(?:(?P<end>/?)(?P<name>[A-Za-z][^\t\n\f\r />]*+)|(?P<comment>!--)|[/!?])")
_ATTRIBUTE = re.compile(
    r"[\t\n\f\r /]*+(?P<name>[^\t\n\f\r />][^\t\n\f\r />=]*+)"
    r"(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?P<value>\"[^\"]*+\"?|'[^']*+'?|[^\t\n\f\r >]*+))?"
)
_BEFORE_END = re.compile(r"[\t\n\f\r /]*+>")
_COMMENT_END = re.compile(r"--!?>")
_RAW_END = {name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE) for name in _RAW}


def html_to_text(html: str) -> str:
    """Return the text of ``html`` without markup, in linear time.

    Keeps paragraphs, line breaks, list items and the URLs of links, but not
    the layout. Never raises on invalid HTML.
    """
    builder = _TextBuilder()
    at = 0
    while (mark := _MARKUP.search(html, at)) is not None:
        builder.text(html[at : mark.start()])
        at = _skip_markup(html, mark, builder)
        if at < 0:
            break
    else:
        builder.text(html[at:])
    builder.end_link()
    text = re.sub(r"[ \t\xa0]+", " ", "".join(builder.out))
    # At most one space remains on each side of a line break.
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" ?\n ?", "\n", text)).strip() + "\n"


def _skip_markup(html: str, mark: re.Match[str], builder: _TextBuilder) -> int:
    """Return the position after the markup that begins at ``mark``; -1 at the end."""
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
        builder.end(name)
        return at
    builder.start(name, href)
    if name in _RAW:
        end = _RAW_END[name].search(html, at)
        return -1 if end is None else end.start()
    return at


def _attributes(html: str, at: int) -> tuple[str, int]:
    """Return the first ``href`` of a tag and where the tag ends, -1 if it is unterminated."""
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


class _TextBuilder:
    """Collects the text in pieces."""

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
            # A link ends where the next one begins, so that no text is processed twice.
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
