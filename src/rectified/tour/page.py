"""The parts that a page is made of: text in, HTML out, and nothing that is loaded from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rectified.tour.pictures import Picture


def page(title: str, body: Iterable[str]) -> str:
    """A page that holds all that it needs."""
    style = files("rectified.tour").joinpath("page.css").read_text(encoding="utf-8")
    parts = "\n".join(body)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{parts}
</body>
</html>
"""


def section(anchor: str, number: int, title: str, *parts: str) -> str:
    """A section with its number and title."""
    head = f"<h2><small>{number}</small>{escape(title)}</h2>"
    return "\n".join([f'<section id="{anchor}">', head, *parts, "</section>"])


def row(*parts: str) -> str:
    """Parts side by side, where there is room."""
    return "\n".join(['<div class="row">', *parts, "</div>"])


def cards(*contents: tuple[str, str]) -> str:
    """Figures, each with what it says."""
    parts = [f'<div class="card"><b>{escape(figure)}</b><span>{escape(text)}</span></div>' for figure, text in contents]
    return "\n".join(['<div class="cards">', *parts, "</div>"])


def figure(picture: Picture, caption: str = "") -> str:
    """A picture in the page's colours, light or dark."""
    light, dark = (
        f"data:image/svg+xml;base64,{b64encode(text.encode()).decode()}" for text in (picture.light, picture.dark)
    )
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><picture><source srcset="{dark}" media="(prefers-color-scheme: dark)">'
        f'<img src="{light}" alt="{escape(picture.alt)}"></picture>{below}</figure>'
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", kind: str = "") -> str:
    """A table whose first column names the rows; it scrolls by itself where it is too wide."""
    above = f'<div class="caption">{escape(caption)}</div>' if caption else ""
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = [
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    ]
    body = "\n".join(lines)
    return (
        f'<div class="table">{above}<div class="scroll"><table class="{kind}">\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div></div>"
    )


def session(lines: Sequence[str]) -> str:
    """Python lines with what they return now."""
    known: dict[str, object] = {}
    shown = []
    for line in lines:
        shown.append(f"&gt;&gt;&gt; {escape(line)}")
        try:
            found = eval(line, known)
        except SyntaxError:
            exec(line, known)
        else:
            shown.append(f'<span class="out">{escape(repr(found))}</span>')
    return f"<pre><code>{chr(10).join(shown)}</code></pre>"


def source(summary: str, text: str) -> str:
    """A program, folded."""
    return f"<details><summary>{escape(summary)}</summary><pre><code>{escape(text)}</code></pre></details>"
