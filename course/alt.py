"""What a plot shows, in words: the alternative texts of `course/plots.py`, made from the numbers that are drawn.

Each function takes what the plot takes, and gives sentences with figures in the language of the lesson: the kind of
plot, its axes, what is seen. Names and labels stay as they are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from course.language import WORDS, here

FEW = 14  # rows or bars that are told one by one


def say(key: str, **values) -> str:
    """A sentence of `WORDS` in the language of the lesson."""
    text = WORDS[here()]["alt"][key].format(**{name: number(value) for name, value in values.items()})
    return text.replace("?.", "?").replace("!.", "!")  # a title may end so


def number(value) -> str:
    """A number as one reads it: 1,234 or 0.123; text stays text, in one line."""
    if isinstance(value, str):
        return value.replace("\n", " ")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def each(names: Iterable[str], values: Iterable) -> str:
    """Names and numbers in a row; a name may come twice."""
    return ", ".join(f"{number(name)} {number(value)}" for name, value in zip(names, values, strict=True))


def lines(series: dict[str, tuple], xlabel: str, ylabel: str, title: str, reference: dict[str, float]) -> str:
    """The lines that `plot_lines` draws: axes, ends, extremes between them, which is on top, where that changes."""
    series = {name: [np.asarray(part, dtype=float) for part in parts] for name, parts in series.items()}
    every_x = np.concatenate([x for x, *_ in series.values()])
    parts = [say("lines", title=title, xlabel=xlabel, ylabel=ylabel, low=every_x.min(), high=every_x.max())]
    parts += [_line(name, *line) for name, line in series.items()]
    parts += _order(series)
    parts += [say("reference", name=name, value=value) for name, value in reference.items()]
    return " ".join(parts)


def _line(name: str, x: np.ndarray, y: np.ndarray, *spread: np.ndarray) -> str:
    about = [say("line", name=name, first=y[0], last=y[-1])]
    slack = 0.02 * np.ptp(y)  # what can hardly be seen is not told
    if y.min() < min(y[0], y[-1]) - slack:
        about.append(say("lowest", value=y.min(), at=x[y.argmin()]))
    if y.max() > max(y[0], y[-1]) + slack:
        about.append(say("highest", value=y.max(), at=x[y.argmax()]))
    if spread:
        half = spread[0] if len(spread) == 1 else np.maximum(y - spread[0], spread[1] - y)
        about.append(say("band", half=np.max(half)))
    return ", ".join(about) + "."


def _order(series: dict[str, list[np.ndarray]]) -> list[str]:
    """Which line is on top at the right end, by how much, and where the upper line changes."""
    if len(series) < 2:
        return []
    last = {name: y[-1] for name, (_, y, *_) in series.items()}
    names = sorted(last, key=last.get, reverse=True)
    if len(names) == 2:
        found = [say("leads", name=names[0], other=names[1], gap=last[names[0]] - last[names[1]])]
    else:
        found = [say("order", each=each(names, map(last.get, names)))]
    x = next(iter(series.values()))[0]
    if all(np.array_equal(x, other) for other, *_ in series.values()):
        heights = np.stack([y for _, y, *_ in series.values()])
        clear = np.flatnonzero(np.ptp(np.sort(heights, axis=0)[-2:], axis=0) > 0)  # one line alone is on top
        x, upper = x[clear], np.array(list(series))[heights[:, clear].argmax(axis=0)]
        changes = [i for i in range(len(upper) - 1) if upper[i] != upper[i + 1]]
        if len(changes) <= 3:  # more is noise
            found += [say("crossing", left=x[i], right=x[i + 1], old=upper[i], new=upper[i + 1]) for i in changes]
    return found


def bars(values: dict[str, float], xlabel: str, title: str, fmt: str, spread: dict, reference: dict) -> str:
    """The bars that `plot_bars` draws: each value, the largest, and how far it is from the next."""
    names = sorted(values, key=values.get, reverse=True)
    told = values if len(values) <= FEW else {name: values[name] for name in names[:FEW]}
    texts = [fmt.format(value) + _whisker(spread.get(name), fmt) for name, value in told.items()]
    parts = [say("bars", title=title, xlabel=xlabel, each=each(told, texts))]
    if len(names) > 1:
        gap = float(values[names[0]]) - float(values[names[1]])
        parts.append(say("longest", name=names[0], other=names[1], gap=gap))
    parts += [say("reference", name=name, value=value) for name, value in reference.items()]
    return " ".join(parts)


def _whisker(spread, fmt: str) -> str:
    if spread is None:
        return ""
    if np.ndim(spread) == 0:
        return f" ± {fmt.format(spread)}"
    return f" ({fmt.format(spread[0])} … {fmt.format(spread[1])})"


def heatmap(matrix: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, **labels: str) -> str:
    """The table that `plot_heatmap` draws: all values of a small one, else the largest of each row."""
    matrix = np.where(abs(matrix) < abs(matrix).max() / 1000, 0, matrix)  # 2e-12 says no more than 0
    parts = [say("heatmap", title=title, rows=len(rows), columns=len(columns), **_in_brackets(labels))]
    if matrix.size <= 2 * FEW:
        told = [f"{row}: {each(columns, values)}" for row, values in zip(rows, matrix, strict=True)]
        return " ".join([*parts, say("values", each="; ".join(told))])
    if len(rows) <= FEW:
        best = each([f"{row} → {columns[i]}" for row, i in zip(rows, matrix.argmax(1), strict=True)], matrix.max(1))
        parts.append(say("by_row", each=best))
    (r, c), (r2, c2) = (np.unravel_index(at, matrix.shape) for at in (matrix.argmin(), matrix.argmax()))
    low = {"low": matrix[r, c], "low_row": rows[r], "low_column": columns[c]}
    high = {"high": matrix[r2, c2], "high_row": rows[r2], "high_column": columns[c2]}
    return " ".join([*parts, say("extremes", **low, **high)])


def matrices(tables: dict[str, np.ndarray], low: float, high: float, **labels: str) -> str:
    """The tables that `plot_matrices` draws: few of them one by one, of many the most and the least pointed."""
    rows, columns = next(iter(tables.values())).shape
    sizes = {"count": len(tables), "rows": rows, "columns": columns, "low": low, "high": high}
    parts = [say("matrices", **sizes, **_in_brackets(labels))]
    if len(tables) <= 6:
        parts += [f"{number(name)}: {_table(table)}." for name, table in tables.items()]
    if len(tables) > 1:
        tops = {name: table.max(axis=1).mean() for name, table in tables.items()}
        most, least = max(tops, key=tops.get), min(tops, key=tops.get)
        parts.append(say("sharpest", name=most, value=tops[most], other=least, least=tops[least]))
    return " ".join(parts)


def _table(table: np.ndarray) -> str:
    if table.shape[0] != table.shape[1] or len(table) < 2:
        return f"{number(table.min())} … {number(table.max())}"
    about = say("diagonal", **{name: table.diagonal(k).mean() for name, k in (("on", 0), ("left", -1), ("right", 1))})
    return about if np.triu(table, 1).any() else f"{about}; {say('nothing_right')}"


def points(groups: dict[str, np.ndarray], xlabel: str, ylabel: str, title: str) -> str:
    """The points that `plot_points` draws: for each group its centre and how far its points lie from there."""
    parts = [say("points", title=title, xlabel=xlabel, ylabel=ylabel)]
    for name, xy in groups.items():
        x, y = centre = xy.mean(axis=0)
        spread = np.linalg.norm(xy - centre, axis=1).mean()
        parts.append(say("group", name=name, count=len(xy), x=x, y=y, spread=spread))
    return " ".join(parts)


def _in_brackets(labels: dict[str, str]) -> dict[str, str]:
    return {name: text and f" ({text})" for name, text in labels.items()}
