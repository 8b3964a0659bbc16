"""What ``print`` and a notebook show of a result: some facts and one table, at most a screen.

The page for notebooks has no colours of its own, so that it is readable in light and dark themes.
"""
from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 92


@dataclass(frozen=True)
class Screen:
    """The content, as strings: ``facts`` are pairs of a label and its text, ``heads`` and ``rows``
    are those of the table, ``more`` says what the table leaves out.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    more: str = ""
    note: str = ""

    def text(self) -> str:
        """For a terminal."""
        label = max(len(name) for name, _ in self.facts) + 2
        lines = [f"{self.title}"]
        for name, fact in self.facts:
            lines.append(textwrap.fill(f"{name + ':':>{label}} {fact}", WIDTH,
                                       subsequent_indent=(label + 1) * " "))
        lines += ["", *aligned(self.heads, self.rows)]
        lines += [f"  {self.more}"] if self.more else []
        lines += ["", textwrap.fill(self.note, WIDTH)] if self.note else []
        return "\n".join(line.rstrip() for line in lines)

    def html(self) -> str:
        """For a notebook."""
        facts = "".join(f"<tr>{_cell('th', name, 'right')}{_cell('td', fact, 'left')}</tr>"
                        for name, fact in self.facts)
        head = "".join(_cell("th", cell, "left" if place == 0 else "right")
                       for place, cell in enumerate(self.heads))
        body = "".join("<tr>" + "".join(
            _cell("td", cell, "left" if place == 0 else "right")
            for place, cell in enumerate(row)) + "</tr>" for row in self.rows)
        return (f"<div><p><strong>{_escaped(self.title)}</strong></p>"
                f"<table><tbody>{facts}</tbody></table>"
                f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
                + "".join(f"<p>{_escaped(line)}</p>" for line in (self.more, self.note) if line)
                + "</div>")


def aligned(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table: the first column to the left, the others to the right."""
    cells = [heads, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  " + "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                             for place, (cell, width) in enumerate(zip(row, widths, strict=True)))
            for row in cells]


def _cell(tag: str, content: str, side: str) -> str:
    return f"<{tag} style=\"text-align: {side}\">{_escaped(content)}</{tag}>"


def _escaped(content: str) -> str:
    return html.escape(content)
