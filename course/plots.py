"""The plots of the lessons: lines, bars, points, one matrix, many matrices. Large enough for the back row.

Each one is shown as a PNG picture with an alternative text, which `course/alt.py` makes from the numbers.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
from cycler import cycler
from IPython.display import Image, display
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from PIL import Image as Bitmap

from course import alt

__all__ = ["plot_bars", "plot_heatmap", "plot_lines", "plot_matrices", "plot_panels", "plot_points"]

HANGUL = ("Malgun Gothic", "Apple SD Gothic Neo", "AppleGothic", "NanumGothic", "Noto Sans KR", "Noto Sans CJK KR",
          "Noto Sans CJK JP", "Source Han Sans K", "UnDotum")  # fmt: skip
INSTALLED = {font.name for font in font_manager.fontManager.ttflist}
FONTS = ["DejaVu Sans", *[name for name in HANGUL if name in INSTALLED][:1]]
# Large enough for the back row. The colours are those of Okabe and Ito (2008), told apart by colour-blind readers too.
STYLE = {
    "font.family": FONTS, "font.size": 15, "axes.titlesize": 17, "lines.linewidth": 3, "lines.markersize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True,
    "text.parse_math": False,  # labels come from data: "$30 to $25" is no formula
    "axes.prop_cycle": cycler(color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"],
                              marker=["o", "s", "^", "D", "v", "P"]),
}  # fmt: skip
DASHED = {"color": "#333333", "linestyle": "--", "linewidth": 2, "marker": ""}
Spread = float | Sequence[float]  # half the width of an interval, or its lower and its upper end


def plot_lines(
    series: dict[str, tuple[Sequence[float], ...]],
    xlabel: str,
    ylabel: str,
    title: str,
    reference: dict[str, float] | None = None,
    at: dict[str, float] | None = None,
    **axis,
) -> None:
    """Draw one line per entry of `series`, `{name: (x, y)}`.

    `(x, y, spread)` adds a band from y - spread to y + spread, `(x, y, low, high)` one from low to high.
    `reference`, `{"chance": 0.25}`, draws dashed lines across, `at` dashed lines upwards; `axis` goes to `Axes.set`
    (`xscale="log"`, `ylim=...`).
    """
    told = alt.lines(series, xlabel, ylabel, title, (reference or {}) | (at or {}))
    with _figure((10, 4.5), told) as figure:
        _draw_lines(figure.subplots(), series, reference, at, xlabel=xlabel, ylabel=ylabel, title=title, **axis)


def plot_panels(
    panels: dict[str, dict[str, tuple]], xlabel: str, title: str, at: dict[str, float] | None = None, **axis
) -> None:
    """Draw lines of several quantities beside each other, one quantity per axis: `{ylabel: series of plot_lines}`.

    `at` and `axis` as in `plot_lines`, for each of them.
    """
    told = [alt.lines(series, xlabel, ylabel, title, at or {}) for ylabel, series in panels.items()]
    with _figure((6.5 * len(panels), 4.5), " ".join(told)) as figure:
        figure.suptitle(title, fontsize=17)
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (ylabel, series) in zip(grid, panels.items(), strict=True):
            _draw_lines(ax, series, at=at, xlabel=xlabel, ylabel=ylabel, **axis)
        for ax in grid[:-1]:  # one legend is enough for lines of the same names
            if ax.get_legend() and list(panels.values())[0].keys() == list(panels.values())[-1].keys():
                ax.get_legend().remove()


def plot_bars(
    bars: dict[str, float],
    xlabel: str,
    title: str,
    fmt: str = "{:,.0f}",
    spread: dict[str, Spread] | None = None,
    reference: dict[str, float] | None = None,
    **axis,
) -> None:
    """Draw one horizontal bar per entry of `bars`, `{name: value}`, the first on top, each with its value as text.

    `spread`, `{name: half-width}` or `{name: (low, high)}`, adds whiskers, `reference` dashed lines, as in
    `plot_lines`; `axis` goes to `Axes.set` (`xlim=...`).
    """
    told = alt.bars(bars, xlabel, title, fmt, spread or {}, reference or {})
    with _figure((9, 1.2 + 0.6 * len(bars)), told, **{"axes.grid": False}) as figure:
        ax = figure.subplots()
        ends = [_ends(bars[name], spread[name]) for name in bars] if spread else []
        whiskers = {"xerr": np.abs(np.subtract(np.transpose(ends), list(bars.values()))), "capsize": 6} if ends else {}
        drawn = ax.barh([readable(name) for name in bars], list(bars.values()), **whiskers)
        ax.bar_label(drawn, fmt=fmt, padding=6)
        ax.invert_yaxis()
        ax.margins(x=0.15)
        ax.set(xlabel=xlabel, title=readable(title), **axis)
        _dashed(ax, {}, reference)
        if reference:
            _legend(ax)


def plot_points(groups: dict[str, Sequence], xlabel: str, ylabel: str, title: str, **axis) -> None:
    """Draw points, `{name: (n, 2)}`, in a colour and shape for each group."""
    groups = {name: np.asarray(xy, dtype=float) for name, xy in groups.items()}
    with _figure((9, 4.5), alt.points(groups, xlabel, ylabel, title)) as figure:
        ax = figure.subplots()
        for name, xy in groups.items():
            ax.plot(*xy.T, linestyle="", markersize=16, label=readable(name))
        ax.set(xlabel=xlabel, ylabel=ylabel, title=readable(title), **axis)
        _legend(ax)


def plot_heatmap(
    matrix,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    xlabel: str = "",
    ylabel: str = "",
    fmt: str = "",
    signed: bool | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a matrix `(rows, columns)` in shades; `fmt`, such as `"{:.2f}"`, writes the values into it.

    Colours as in `plot_matrices`.
    """
    matrix = np.asarray(matrix, dtype=float)
    told = alt.heatmap(matrix, rows, columns, title, xlabel=xlabel, ylabel=ylabel)
    rows, columns = [textwrap.fill(readable(row), 28) for row in rows], [readable(column) for column in columns]
    longest = max(len(line) for row in rows for line in row.split("\n"))
    wide, high = (1.15, 0.75) if fmt else (0.6, 0.45)
    if len(columns) < 6:  # room to write their names straight
        wide = max(wide, 0.13 * max(map(len, columns)))
    steep = max(map(len, columns)) > 8 * wide
    size = (2.3 + 0.13 * longest + wide * len(columns), 2 + high * len(rows))
    with _figure(size, told, **{"axes.grid": False}) as figure:
        ax = figure.subplots()
        image = ax.imshow(matrix, aspect="auto", **_colours([matrix], signed, limits))
        ax.set_xticks(range(len(columns)), columns, rotation=45 if steep else 0, ha="right" if steep else "center")
        ax.set_yticks(range(len(rows)), rows)
        ax.set(title=readable(title), xlabel=xlabel, ylabel=ylabel)
        if fmt:
            for (i, j), value in np.ndenumerate(matrix):
                light = np.dot(np.power(image.to_rgba(value)[:3], 2.2), (0.2126, 0.7152, 0.0722)) > 0.18
                ax.text(j, i, fmt.format(value), ha="center", va="center", color="black" if light else "white")
        else:
            figure.colorbar(image)


def plot_matrices(
    matrices: dict[str, Sequence],
    columns: int = 1,
    labels: Sequence[str] = (),
    xlabel: str = "",
    ylabel: str = "",
    xlabels: Sequence[str] = (),
    grid_rows: Sequence[str] = (),
    grid_columns: Sequence[str] = (),
    signed: bool | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw `{title: matrix}` side by side, `columns` of them in a row, on one scale of colours beside them.

    Args:
        labels: names of the rows and columns of each matrix; `xlabels`: of its columns, where they differ.
        grid_rows, grid_columns: names of the rows and columns of the grid ("layer 1", "head 1"), in place of titles.
        signed: blue is high, white 0, red below 0; by default where a value is below 0. Otherwise white to blue.
        limits: the values of the first and the last colour; by default 0 and 1, or as far as the values go beyond.
    """
    matrices = {title: np.asarray(matrix, dtype=float) for title, matrix in matrices.items()}
    colours = _colours(list(matrices.values()), signed, limits)
    told = alt.matrices(matrices, colours["vmin"], colours["vmax"], xlabel=xlabel, ylabel=ylabel)
    wide, rows = 13 / columns, -(-len(matrices) // columns)
    with _figure((14, 0.6 + rows * min(wide, 5)), told, **{"axes.grid": False}) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for place, (ax, (title, matrix)) in enumerate(zip(grid.flat, matrices.items(), strict=False)):
            image = ax.imshow(matrix, aspect="auto", **colours)
            ax.set(xlabel=xlabel, ylabel=ylabel)
            if not grid_rows and not grid_columns:
                ax.set_title(readable(title), fontsize=17 if wide > 2 else 12)
            if grid_columns and place < columns:
                ax.set_title(grid_columns[place], fontsize=13)
            if grid_rows and place % columns == 0:
                ax.set_ylabel(grid_rows[place // columns], fontsize=13)
            _name_ticks(ax, labels, xlabels or labels, hidden=wide < 2)
        for ax in grid.flat[len(matrices) :]:
            ax.axis("off")
        figure.colorbar(image, ax=grid, aspect=30, pad=0.01)


@contextmanager
def _figure(size: tuple[float, float], told: str, **style) -> Iterator[Figure]:
    """A figure in the style of the course, shown as a picture with an alternative text when it is drawn."""
    with rc_context(STYLE | style):
        figure = Figure(size, layout="constrained")
        yield figure
        picture = io.BytesIO()
        figure.savefig(picture, dpi=90, bbox_inches="tight")
    display(Image(in_256_colours(picture.getvalue()), alt=told))


def in_256_colours(png: bytes) -> bytes:
    """The same picture in a third of the bytes: notebooks with many plots stay small."""
    small = io.BytesIO()
    bitmap = Bitmap.open(io.BytesIO(png)).convert("RGB")
    bitmap.quantize(256, dither=Bitmap.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def _draw_lines(ax: Axes, series: dict[str, tuple], reference=None, at=None, **axis) -> None:
    for name, (x, y, *spread) in series.items():
        (line,) = ax.plot(x, y, label=readable(name), markevery=max(1, len(x) // 12))
        if spread:
            low, high = spread if len(spread) == 2 else (np.subtract(y, spread[0]), np.add(y, spread[0]))
            ax.fill_between(x, low, high, color=line.get_color(), alpha=0.2)
    ax.set(**axis | ({"title": readable(axis["title"])} if "title" in axis else {}))
    if axis.get("xscale") == "log":  # 100, 500, 4000 say more than powers of ten
        values = np.unique(np.concatenate([np.asarray(x, dtype=float) for x, *_ in series.values()]))
        ticks = _spaced(values[values > 0])
        ax.set_xticks(ticks, [alt.number(tick) for tick in ticks])
    for scaled, scale in ((ax.xaxis, axis.get("xscale")), (ax.yaxis, axis.get("yscale"))):
        if scale == "log":
            scaled.set_minor_formatter(NullFormatter())
    if axis.get("yscale") == "log":
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: alt.number(value)))
    _dashed(ax, reference, at)
    if len(series) + len(reference or {}) + len(at or {}) > 1:
        _legend(ax)


def _spaced(values: np.ndarray, most: int = 9) -> np.ndarray:
    """Those of the sorted values that have room for a tick of their own on a logarithmic axis, from the right."""
    kept = [values[-1]]
    for value in values[-2::-1]:
        if np.log(kept[-1] / value) >= np.log(values[-1] / values[0]) / most:
            kept.append(value)
    return np.array(kept[::-1])


def _dashed(ax: Axes, across: dict[str, float] | None, upwards: dict[str, float] | None) -> None:
    """Named dashed lines: in the legend of lines, or beside the bars."""
    for draw, lines in ((ax.axhline, across), (ax.axvline, upwards)):
        for style, (name, value) in zip(("--", ":", "-."), (lines or {}).items(), strict=False):
            draw(value, **DASHED | {"linestyle": style, "label": f"{name}: {alt.number(value)}"})


def _legend(ax: Axes) -> None:
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)  # beside the lines, not on them


def _ends(value: float, spread: Spread) -> tuple[float, float]:
    return (value - spread, value + spread) if np.ndim(spread) == 0 else (spread[0], spread[1])


def _colours(matrices: Sequence[np.ndarray], signed: bool | None, limits: tuple[float, float] | None) -> dict:
    low, high = min(matrix.min() for matrix in matrices), max(1.0, *(matrix.max() for matrix in matrices))
    if signed or (signed is None and low < 0):
        low, high = limits or (-max(high, -low), max(high, -low))
        return {"cmap": "RdBu", "vmin": low, "vmax": high}
    low, high = limits or (min(0.0, low), high)
    return {"cmap": "Blues", "vmin": low, "vmax": high}


def _name_ticks(ax: Axes, rows: Sequence[str], columns: Sequence[str], hidden: bool) -> None:
    if rows:
        for set_ticks, names, turned in ((ax.set_xticks, columns, 90), (ax.set_yticks, rows, 0)):
            names = [readable(name) for name in names]
            set_ticks(range(len(names)), names, rotation=turned, fontsize=15 if len(names) < 10 else 13)
    elif hidden:
        ax.set(xticks=[], yticks=[])


def readable(text: str) -> str:
    """A text whose characters the fonts have: without one for Hangul, a "?" stands for what would be an empty box."""
    drawn = (sign if sign == "\n" or ord(sign) in _glyphs() else " " if sign.isspace() else "?" for sign in text)
    return "".join(drawn)


@cache
def _glyphs() -> frozenset[int]:
    found = map(font_manager.get_font, map(font_manager.findfont, FONTS))
    return frozenset().union(*(font.get_charmap() for font in found))
