"""Building blocks of a page: text is escaped unless it is `Markup` already."""

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Any

VOID = frozenset({"img", "meta", "br"})

STYLE = """
:root { color-scheme: light; }
body { color: #1a1a1a; background: #fff; font: 16px/1.5 system-ui, sans-serif;
  max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.3rem; margin-top: 2.5rem; border-bottom: 1px solid #bbb; }
h3 { font-size: 1.05rem; margin-bottom: 0.3rem; }
.notice { border-left: 4px solid #d55e00; background: #fdf1e8; padding: 0.6rem 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; margin: 0.8rem 0; }
caption { text-align: left; padding-bottom: 0.3rem; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.7rem;
  border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
.numbers td { white-space: nowrap; }
thead th { border-bottom: 2px solid #888; }
figure { margin: 0.5rem 0 2rem; break-inside: avoid; }
figure img { max-width: 100%; height: auto; }
figcaption { font-size: 0.9rem; color: #333; }
.caption { font-size: 0.9rem; color: #333; }
.row { display: grid; gap: 0 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr)); }
.row figure { margin: 0.5rem 0 1rem; }
.run .controls { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem 1rem;
  position: sticky; top: 0; background: #fff; padding: 0.4rem 0; }
.run input { flex: 1 1 16rem; }
.run button { font: inherit; min-width: 5rem; padding: 0.2rem 0.8rem; }
.run output { flex: 1 0 100%; font-variant-numeric: tabular-nums; }
.run .panels { display: grid; gap: 0.5rem 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.run svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
pre { background: #f5f5f5; padding: 0.8rem; overflow-x: auto; font-size: 0.85rem; }
dt { font-weight: 600; margin-top: 0.6rem; }
@media print {
  body { font-size: 10pt; max-width: none; margin: 0; }
  .wide, pre { overflow: visible; }
  .run .controls button, .run .controls input { display: none; }
  pre { white-space: pre-wrap; }
  table { font-size: 8pt; }
  tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""


class Markup(str):
    """Text that is HTML already."""


def markup(value: Any) -> Markup:
    """Markup as it is; anything else as escaped text."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def tag(name: str, /, *children: Any, **attributes: str) -> Markup:
    """An element; `class_` stands for the attribute `class`."""
    told = "".join(
        f' {key.rstrip("_")}="{html.escape(value)}"'
        for key, value in attributes.items()
    )
    if name in VOID:
        return Markup(f"<{name}{told}>")
    inside = "".join(map(markup, children))
    return Markup(f"<{name}{told}>{inside}</{name}>")


def join(parts: Iterable[Any]) -> Markup:
    """Parts one after the other."""
    return Markup("\n".join(map(markup, parts)))


def table(
    caption: Any, head: Sequence[Any], rows: Iterable[Sequence[Any]], class_: str = ""
) -> Markup:
    """A table; the first cell of a row is its heading."""
    top = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    body = (
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", c) for c in row[1:]))
        for row in rows
    )
    parts = tag("caption", caption), tag("thead", top), tag("tbody", *body)
    return tag("div", tag("table", *parts, class_=class_), class_="wide")


def definitions(pairs: Iterable[tuple[Any, Any]]) -> Markup:
    """A list of terms and what they are."""
    return tag("dl", *(join([tag("dt", a), tag("dd", b)]) for a, b in pairs))


def section(title: str, *parts: Any) -> Markup:
    """A part of the page under its heading."""
    return tag("section", tag("h2", title), join(parts))


def figure(png: bytes, alt: str, caption: Any, *, width: int) -> Markup:
    """A picture kept inside the page, at most that many rem wide."""
    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    picture = tag("img", src=source, alt=alt, style=f"width: {width}rem")
    below = [tag("figcaption", caption)] if caption else []
    return tag("figure", picture, *below)


def page(title: str, parts: Iterable[Any]) -> str:
    """A whole page that asks for nothing outside of itself."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    body = tag("body", tag("h1", title), join(parts))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"
