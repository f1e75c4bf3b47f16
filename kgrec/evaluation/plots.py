"""Plots as SVG for a page: no embedded fonts, colours by the page's variables.

Matplotlib is imported when a plot is made.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kgrec.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that nothing else has, so that each can be replaced by a variable of the page.
_COLOURS = {
    "#010203": "var(--text)",
    "#040506": "var(--muted)",
    "#070809": "var(--line)",
    "#0a0b0c": "var(--accent)",
    "#0d0e0f": "var(--soft)",
}
_TEXT, _MUTED, _LINE, _ACCENT, _SOFT = _COLOURS
_WIDTH = 6.4
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "kgrec",
    "font.size": 9.5,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "text.color": _MUTED,
    "text.parse_math": False,
}


class Interval(NamedTuple):
    """A number of a plot, with its confidence interval and a note."""

    label: str
    mean: float
    low: float
    high: float
    note: str = ""


def check_plots() -> None:
    """Raise ConfigError where matplotlib is missing, before the evaluation starts."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError(
            "a report with plots needs matplotlib", remedy="pip install 'kgrec[plots]'"
        ) from None


def whiskers(rows: Sequence[Interval], title: str, *, from_zero: bool = False) -> str:
    """Return a plot of numbers with their intervals, one below the other.

    Args:
        rows: from the top.
        title: title of the axis and of the image for screen readers.
        from_zero: whether they are differences, shown with a line at 0.
    """

    def plot(axes: Axes) -> None:
        place = range(len(rows))
        for y, row in zip(place, rows, strict=True):
            axes.plot([row.low, row.high], [y, y], color=_ACCENT, lw=2.4, solid_capstyle="round")
            axes.plot([row.mean], [y], "o", color=_ACCENT, ms=6, mec=_ACCENT)
            # Labels have a column of their own, so that no interval crosses them.
            axes.text(
                1.02,
                y,
                row.note or f"{row.mean:.4f}",
                transform=axes.get_yaxis_transform(),
                va="center",
                color=_TEXT,
            )
        if from_zero:
            axes.axvline(0, color=_MUTED, lw=1)
        axes.set_yticks(list(place), [row.label for row in rows])
        axes.tick_params(axis="y", length=0, labelcolor=_TEXT)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="x", color=_LINE, lw=0.8)
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(title)
        axes.margins(x=0.06)
        axes.locator_params(axis="x", nbins=6)
        if not from_zero:
            axes.set_xlim(left=max(axes.get_xlim()[0], 0.0))

    return _svg(plot, 0.72 + 0.27 * len(rows), title)


def bars(columns: Sequence[Interval], title: str, across: str) -> str:
    """Return a bar chart of numbers with their intervals and, below, their notes.

    Args:
        columns: from the left.
        title: what the numbers are.
        across: what the columns are.
    """

    def plot(axes: Axes) -> None:
        place = range(len(columns))
        means = [column.mean for column in columns]
        errors = [
            [max(column.mean - column.low, 0.0) for column in columns],
            [max(column.high - column.mean, 0.0) for column in columns],
        ]
        axes.bar(place, means, width=0.62, color=_SOFT, edgecolor=_ACCENT, linewidth=1)
        axes.errorbar(place, means, yerr=errors, fmt="none", ecolor=_ACCENT, elinewidth=1.8)
        names = [f"{c.label}\n{c.note}" if c.note else c.label for c in columns]
        axes.set_xticks(list(place), names)
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="y", color=_LINE, lw=0.8)
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(across)
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0)
        # A fixed width for at least some columns, so that few bars do not fill the plot.
        spare = max(4 - len(columns), 0) / 2
        axes.set_xlim(-0.6 - spare, len(columns) - 0.4 + spare)

    return _svg(plot, 3.1, f"{title} by {across}")


def _svg(plot: Any, height: float, title: str) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        plot(axes)
        return _inline(figure, title)


def _inline(figure: Figure, title: str) -> str:
    """Return the figure as an SVG element that scales, uses the page's colours and is named."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, variable)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", text)
    # Names must not clash with those of another plot on the same page.
    prefix = f"p{_hash_of(text):x}-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r"url\(#", f"url(#{prefix}", text)
    text = re.sub(r'(?:xlink:)?href="#', f'href="#{prefix}', text)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', _root(title), text, count=1)
    text = " ".join(text.split())
    return f'<div class="scroll">{text}</div>'


def _root(title: str) -> str:
    from html import escape

    label = escape(title, quote=True).replace("\\", r"\\")
    return (
        r'<svg class="plot" role="img" viewBox="\1" xmlns="http://www.w3.org/2000/svg" '
        f'aria-label="{label}">'
    )


def _hash_of(text: str) -> int:
    """Return a number of a text that is the same in every process."""
    import hashlib

    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
