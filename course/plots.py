"""The plots of the lessons: lines, bars, one matrix, many matrices. Large enough for the back row."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

__all__ = ["plot_bars", "plot_heatmap", "plot_lines", "plot_matrices"]

# Large enough for the back row. The colours are those of Okabe and Ito (2008), told apart by colour-blind readers too.
STYLE = {
    "figure.figsize": (10, 4.5), "font.size": 15, "axes.titlesize": 17, "lines.linewidth": 3, "lines.markersize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
    "axes.axisbelow": True, "axes.prop_cycle": plt.cycler(
        color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"],
        marker=["o", "s", "^", "D", "v", "P"]),
}  # fmt: skip


def plot_lines(series: dict[str, tuple[Sequence[float], ...]], xlabel: str, ylabel: str, title: str, **axis) -> None:
    """Draw one line per entry of `series`, `{name: (x, y)}`, or `{name: (x, y, spread)}` for a band from y - spread to
    y + spread; `axis` goes to `Axes.set` (`xscale="log"`, `ylim=...`)."""
    with plt.rc_context(STYLE):
        _, ax = plt.subplots()
        for name, (x, y, *spread) in series.items():
            (line,) = ax.plot(x, y, label=name, markevery=max(1, len(x) // 12))
            for half in spread:
                ax.fill_between(x, np.subtract(y, half), np.add(y, half), color=line.get_color(), alpha=0.2)
        ax.set(xlabel=xlabel, ylabel=ylabel, title=title, **axis)
        if axis.get("xscale") == "log":  # 100, 500, 4000 say more than powers of ten
            ticks = sorted({value for values, *_ in series.values() for value in values})
            ax.set_xticks(ticks, [f"{value:g}" for value in ticks], minor=False)
            ax.set_xticks([], minor=True)
        if len(series) > 1:
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)  # beside the lines, not on them
        plt.tight_layout()
        plt.show()


def plot_bars(
    bars: dict[str, float], xlabel: str, title: str, fmt: str = "{:,.0f}", spread: dict[str, float] | None = None
) -> None:
    """Draw one horizontal bar per entry of `bars`, `{name: value}`, the first on top, each with its value as text;
    `spread`, `{name: half-width}`, adds whiskers."""
    with plt.rc_context(STYLE | {"figure.figsize": (9, 1.2 + 0.6 * len(bars)), "axes.grid": False}):
        _, ax = plt.subplots()
        whiskers = {"xerr": [spread[name] for name in bars], "capsize": 6} if spread else {}
        ax.bar_label(ax.barh(list(bars), list(bars.values()), **whiskers), fmt=fmt, padding=6)
        ax.invert_yaxis()
        ax.margins(x=0.15)
        ax.set(xlabel=xlabel, title=title)
        plt.tight_layout()
        plt.show()


def plot_heatmap(
    matrix, rows: Sequence[str], columns: Sequence[str], title: str, xlabel: str = "", ylabel: str = "", fmt: str = ""
) -> None:
    """Draw a matrix `(rows, columns)` in shades of blue; `fmt`, such as `"{:.2f}"`, writes the values into it."""
    matrix = np.asarray(matrix)
    rows = [textwrap.fill(row, 28) for row in rows]
    longest = max(len(line) for row in rows for line in row.split("\n"))
    wide, high = (1.15, 0.75) if fmt else (0.6, 0.45)
    size = (1.5 + 0.13 * longest + wide * len(columns), 2 + high * len(rows))
    steep = max(map(len, columns)) > 8 * wide
    with plt.rc_context(STYLE | {"figure.figsize": size, "axes.grid": False}):
        _, ax = plt.subplots()
        ax.imshow(matrix, cmap="Blues", vmin=0, aspect="auto")
        ax.set_xticks(range(len(columns)), columns, rotation=45 if steep else 0, ha="right" if steep else "center")
        ax.set_yticks(range(len(rows)), rows)
        ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
        if fmt:
            for (i, j), value in np.ndenumerate(matrix):
                dark = value > matrix.max() * 0.6
                ax.text(j, i, fmt.format(value), ha="center", va="center", color="white" if dark else "black")
        plt.tight_layout()
        plt.show()


def plot_matrices(
    matrices: dict[str, Sequence], columns: int = 1, labels: Sequence[str] = (), xlabel: str = "", ylabel: str = ""
) -> None:
    """Draw `{title: matrix}` side by side: blue is 1, white 0, red -1; `labels` name the rows and columns of each."""
    wide, rows = 14 / columns, -(-len(matrices) // columns)
    with plt.rc_context(STYLE | {"figure.figsize": (14, 0.6 + rows * min(wide, 5)), "axes.grid": False}):
        _, grid = plt.subplots(rows, columns, squeeze=False)
        for ax, (title, matrix) in zip(grid.flat, matrices.items(), strict=False):
            ax.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
            ax.set_title(title, fontsize=17 if wide > 2 else 10)
            ax.set(xlabel=xlabel, ylabel=ylabel)
            if labels:
                size = 15 if len(labels) < 10 else 11
                ax.set_xticks(range(len(labels)), labels, rotation=90, fontsize=size)
                ax.set_yticks(range(len(labels)), labels, fontsize=size)
            elif wide < 2:
                ax.set(xticks=[], yticks=[])
        for ax in grid.flat[len(matrices) :]:
            ax.axis("off")
        plt.tight_layout()
        plt.show()
