"""Pictures of the transformer: one look-up by numbers, and the block."""

from contextlib import redirect_stdout

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from course.notebooks import run_cells
from sheet import BLUE, GREEN, GREY, VERMILLION, Point, arrow, box, canvas, label, tint, word

WORDS, ASKING = ["wolf", "sees", "girl"], 1  # of the example; the place of the word that the picture follows
VECTOR, THREE, SCORE, WEIGHT, OUTPUT = 2.3, 4.75, 6.7, 8.05, 9.95  # heights


def by_hand() -> Figure:
    """Self-attention of three words, with the numbers that lesson 2 computes by hand; one of the words asks."""
    with redirect_stdout(None):
        lesson = run_cells("2-transformers", "by-hand", torch=torch)
    figure, sheet = canvas(10.8)
    for y, name in [(0.6, "words"), (VECTOR, "vectors"), (THREE, "queries, keys\nand values"), (SCORE, "scores"),
                    (WEIGHT, "weights"), (OUTPUT, "output")]:  # fmt: skip
        label(sheet, 0.3, y, name, "left", color=GREY, weight="bold", linespacing=1.3)
    for y, how in [(6.05, "query · key"), (7.4, "softmax: sum 1"), (9.1, "sum of weight · value")]:
        label(sheet, 0.3, y, how, "left", fontsize=16)
    for row, question in enumerate(["noun?", "verb?", "wolf?", "girl?"]):
        label(sheet, 4.0, VECTOR + 0.6 - 0.4 * row, question, "right", fontsize=13)
    scores = lesson["Q"] @ lesson["K"].T
    xs = [4.7, 8.7, 12.7]
    for i, x in enumerate(xs):
        word(sheet, x, 0.55, WORDS[i], GREY)
        arrow(sheet, (x, 0.9), (x, numbers(sheet, x, VECTOR, lesson["X"][i], GREY)[0]), GREY)
        project(sheet, x, i, lesson)
        look = {"color": GREEN, "linestyle": "--", "linewidth": 1.5, "zorder": 1}
        sheet.plot([xs[ASKING] - 1.2, x + 0.15], [THREE + 0.3, SCORE - 0.35], **look)
        number_box(sheet, x, SCORE, scores[ASKING, i].item(), GREY)
        arrow(sheet, (x, SCORE + 0.3), (x, WEIGHT - 0.3), GREY, 1.5)
        weight = lesson["weights"][ASKING, i].item()
        strong = tint(VERMILLION, 0.4 + 0.6 * weight)
        number_box(sheet, x, WEIGHT, weight, strong)
        sheet.plot([x + 1.2, x + 1.2], [THREE + 0.5, WEIGHT], color=strong, linewidth=1 + 9 * weight, zorder=1)
        sheet.plot([x + 0.55, x + 1.2], [WEIGHT, WEIGHT], color=strong, linewidth=2, zorder=1)
        arrow(sheet, (x + 1.2, WEIGHT), (xs[ASKING] + 0.8 + 0.4 * i, OUTPUT - 0.5), strong, 1 + 9 * weight)
        sheet.add_patch(Circle((x + 1.2, WEIGHT), 0.2, facecolor="white", edgecolor=strong, linewidth=2, zorder=2))
        label(sheet, x + 1.2, WEIGHT, "×", zorder=3)
    numbers(sheet, xs[ASKING] + 1.2, OUTPUT, (lesson["weights"] @ lesson["V"])[ASKING], VERMILLION, digits=2)
    label(sheet, xs[ASKING] + 2.1, OUTPUT, f"of “{WORDS[ASKING]}”", "left")
    return figure


def project(sheet: Axes, x: float, i: int, lesson: dict) -> None:
    """From the vector of word i to query, key and value; the queries of the words that do not ask are pale."""
    arrow(sheet, (x, THREE + 0.3), (x, SCORE - 0.3), BLUE, 1.5)
    for shift, letter, color in ((-1.2, "Q", GREEN), (0, "K", BLUE), (1.2, "V", VERMILLION)):
        pale = letter == "Q" and i != ASKING
        color = tint(color, 0.3) if pale else color
        bottom, _ = numbers(sheet, x + shift, THREE, lesson[letter][i], color, faint=pale)
        arrow(sheet, (x + shift / 3, VECTOR + 0.9), (x + shift, bottom), color, 1.5)
        side, ha = (0.15, "left") if letter == "V" else (-0.12, "right")
        label(sheet, x + 0.7 * shift + side, 3.75, f"$W_{letter}$", ha, fontsize=15, color=color)


def numbers(sheet: Axes, x: float, y: float, vector, color, digits: int = 0, faint: bool = False) -> Point:
    """A vector, one number above the other; returns its lower and its upper end."""
    half = 0.1 + 0.2 * len(vector)
    width = 1.15 if digits else 0.8
    box(sheet, x, y, width, 2 * half, facecolor=tint(color, 0.12), edgecolor=color, linewidth=2, zorder=3)
    look = {"zorder": 4, "fontsize": 16, "color": "#AAAAAA" if faint else "#222222"}
    for row, value in enumerate(vector.tolist()):
        label(sheet, x, y + half - 0.3 - 0.4 * row, f"{value:.{digits}f}", **look)
    return y - half, y + half


def number_box(sheet: Axes, x: float, y: float, value: float, color) -> None:
    box(sheet, x, y, 1.1, 0.6, facecolor="white", edgecolor=color, linewidth=2, zorder=3)
    label(sheet, x, y, f"{value:.2f}", zorder=4)


def block() -> Figure:
    """The encoder block with its two residuals: norms after the sums (BERT), or inside of the branches (GPT-2)."""
    figure, sheet = canvas(9.6)
    for x, title, pre in ((4.3, "post-norm: BERT", False), (12.0, "pre-norm: GPT-2", True)):
        label(sheet, x, 9.2, title, weight="bold", fontsize=20)
        label(sheet, x, 0.35, "$x$", fontsize=24)
        y = 0.6  # where the last part ends
        for name, color in (("self-attention", BLUE), ("feed-forward", GREEN)):
            start, gap = y + 0.25, 0.75
            for text, shade in [("layer norm", GREY), (name, color)] if pre else [(name, color)]:
                y = part(sheet, x, y, gap, text, shade)
                gap = 0.4
            arrow(sheet, (x, y), (x, y + 0.4), GREY)
            residual(sheet, x, start, y + 0.7)
            y += 1.0
            if not pre:
                y = part(sheet, x, y, 0.4, "layer norm", GREY)
        arrow(sheet, (x, y), (x, 8.75), GREY)
    look = {"color": VERMILLION, "weight": "bold", "fontsize": 16, "linespacing": 1.4}
    label(sheet, 8.1, 2.0, "residual:\nthe input\nis added", **look)
    return figure


def part(sheet: Axes, x: float, y: float, gap: float, text: str, color) -> float:
    """One part of a block, `gap` above the height y where the last one ends; returns where this one ends."""
    arrow(sheet, (x, y), (x, y + gap), GREY)
    box(sheet, x, y + gap + 0.35, 3.6, 0.7, facecolor=tint(color, 0.15), edgecolor=color, linewidth=2, zorder=3)
    label(sheet, x, y + gap + 0.35, text, zorder=4)
    return y + gap + 0.7


def residual(sheet: Axes, x: float, start: float, y: float) -> None:
    """A plus, and the way to it around the parts below, from the line that leads into them."""
    sheet.plot([x, x + 2.4, x + 2.4], [start, start, y], color=VERMILLION, linewidth=3, zorder=1)
    arrow(sheet, (x + 2.4, y), (x + 0.3, y), VERMILLION, 3)
    sheet.add_patch(Circle((x, y), 0.3, facecolor="white", edgecolor=VERMILLION, linewidth=2.5, zorder=3))
    label(sheet, x, y, "+", fontsize=24, zorder=4)
