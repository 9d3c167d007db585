"""The model card as a page: the little Markdown that it uses, as HTML."""
import re
from collections.abc import Iterator
from html import escape
from itertools import groupby

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Model card</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page.css"></head>
<body><main class="card-page"><p><a href="/">Back to the page</a></p>
{body}
</main></body></html>
"""
ITEM = re.compile(r"- +")


def card_page(markdown: str) -> str:
    """A model card as a whole HTML page. Links to files of the project become plain text."""
    text = re.sub(r"<!--.*?-->\n?", "", markdown, flags=re.DOTALL)
    blocks = re.split(r"\n\s*\n", text.strip())
    return PAGE.format(body="\n".join(part for block in blocks for part in _block(block)))


def _block(block: str) -> Iterator[str]:
    """A block of lines without a blank one: its runs of one kind, each as HTML."""
    for kind, lines in groupby(_joined(block.splitlines()), _kind):
        run = list(lines)
        if kind == "heading":
            for line in run:
                level = len(line) - len(line.lstrip("#"))
                yield f"<h{level}>{_inline(line.lstrip('# '))}</h{level}>"
        elif kind == "table":
            yield _table(run)
        elif kind == "item":
            items = "".join(f"<li>{_inline(ITEM.sub('', line, count=1))}</li>" for line in run)
            yield f"<ul>{items}</ul>"
        else:
            yield f"<p>{_inline(' '.join(run))}</p>"


def _joined(lines: list[str]) -> list[str]:
    """The lines, with those that go on with an item of a list joined to it."""
    joined: list[str] = []
    for line in lines:
        if joined and ITEM.match(joined[-1]) and _kind(line) == "text":
            joined[-1] += " " + line.strip()
        else:
            joined.append(line)
    return joined


def _kind(line: str) -> str:
    if line.startswith("#"):
        return "heading"
    if line.startswith("|"):
        return "table"
    return "item" if ITEM.match(line) else "text"


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    head = "".join(f"<th scope=col>{_inline(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>"
                   for row in rows[2:])
    return f"<div class=scroll tabindex=0><table><tr>{head}</tr>{body}</table></div>"


def _inline(text: str) -> str:
    text = escape(text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    text = re.sub(r"\*(.+?)\*", r"<em>\1</em>", text)
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
