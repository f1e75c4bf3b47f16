"""Markup in cells: entities unescaped, tags removed, paragraphs and lists kept as lines.

HTML, BBCode, and of Markdown what stands inside of lines: bold text and links.

What is stored is the plain text, so that whatever reads it later, offsets of evidence included,
reads the same. One expression finds the tags: `html.parser` of the standard library takes time by
the square of the length for tags that do not end (minutes for 300 kB), and selectolax would be one
more package for whoever only serves, where cells are short and no page needs to be understood.
"""

from __future__ import annotations

import html
import re

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "ul",
    ]
)
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "basefont",
        "bdi",
        "bdo",
        "big",
        "br",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "input",
        "ins",
        "kbd",
        "label",
        "li",
        "link",
        "mark",
        "meta",
        "nobr",
        "noscript",
        "o:p",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "svg",
        "td",
        "th",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
        "body",
        "html",
        "head",
        "title",
        "button",
        "iframe",
        "video",
        "audio",
        "source",
    ]
)
_DROPPED = frozenset({"script", "style", "template"})
_KNOWN = _BLOCKS | _INLINE | _DROPPED
# Each attempt ends at the next `<`, so that the whole takes time by the length. A tag has no
# attributes, or at least one with a value.
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9:]*)"
    r"(?:\s*/?|\s(?=[^<>]*=)(?:(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*+|[^<>]*+))>"
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_BBCODE = re.compile(
    r"\[(/?)(b|i|u|s|h1|h2|h3|list|olist|quote|spoiler|center|size|color|url|img|table|tr|td)"
    r"(?:=[^\]\[]{0,300})?\]|\[(\*)\]",
    re.IGNORECASE,
)
_AS_HTML = {"list": "ul", "olist": "ol", "quote": "p", "spoiler": "span", "url": "a", "*": "li"}
_BOLD = re.compile(r"(?<![\w*])\*\*(?=\S)([^*\n]{1,300}?)(?<=\S)\*\*(?![\w*])")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\((?:https?://|mailto:|[/#])[^()\s]{0,500}\)")
_TIMES = 3
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n ?")
_MANY = re.compile(r"\n{3,}")


def plain_text(text: str) -> str:
    """Return text without markup: a blank line between paragraphs, `- ` before points of a list.

    Text that holds neither entities nor known tags comes back as it is: `a < b & c`, `<3`.
    Escaped markup (`&lt;p&gt;`) is markup as well.
    """
    if "<![CDATA[" in text:
        text = text.replace("<![CDATA[", "").replace("]]>", "")
    if "](" in text:
        text = _LINK.sub(r"\1", text)
    if "**" in text:
        text = _BOLD.sub(r"\1", text)
    for _ in range(_TIMES):
        if "[" in text and _BBCODE.search(text):
            text = _BBCODE.sub(_bbcode, text)
        if "<" in text and _holds_tags(text):
            text = _stripped(text)
        elif "&" in text and _ENTITY.search(text):
            text = html.unescape(text)
        else:
            break
    return text


def one_line(text: str) -> str:
    """Return `plain_text` of a name or a title, on one line."""
    plain = plain_text(text)
    return plain if plain is text else " ".join(plain.split())


def _holds_tags(text: str) -> bool:
    return "<!--" in text or any(one["name"].lower() in _KNOWN for one in _TAG.finditer(text))


def _bbcode(found: re.Match[str]) -> str:
    name = (found[2] or found[3]).lower()
    tag = _AS_HTML.get(name, name if name in _KNOWN else "span")
    return f"<{found[1] or ''}{tag}>"


def _stripped(text: str) -> str:
    text = _without(text, "<!--", "-->")
    for name in _DROPPED:
        text = _without(text, f"<{name}", f"</{name}>")
    text = html.unescape(_TAG.sub(_as_lines, text))
    lines = _LINES.sub("\n", _SPACES.sub(" ", text))
    return _MANY.sub("\n\n", lines).strip()


def _without(text: str, start: str, end: str) -> str:
    """Cut what stands between two marks; where the last one has no end, up to the end."""
    begins = re.compile(re.escape(start), re.IGNORECASE).search
    ends = re.compile(re.escape(end), re.IGNORECASE).search
    parts, position = [], 0
    while begin := begins(text, position):
        parts.append(text[position : begin.start()])
        behind = ends(text, begin.end())
        if behind is None:
            return "".join(parts)
        position = behind.end()
    return "".join([*parts, text[position:]]) if parts else text


def _as_lines(found: re.Match[str]) -> str:
    """Return what stands for a tag in plain text; tags that HTML does not have are text."""
    name = found["name"].lower()
    if name not in _KNOWN:
        return found[0]
    if name == "br":
        return "\n"
    if name == "li":
        return "" if found["end"] else "\n- "
    if name in ("td", "th"):
        return " "
    if name in _BLOCKS:
        return "\n" if name == "tr" else "\n\n"
    return ""
