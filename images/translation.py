"""Pictures of translators with attention."""

from math import cos, radians, sin

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from course.notebooks import run_cells
from sheet import BLUE, GREEN, GREY, RADIUS, VERMILLION, arrow, box, canvas, label, node, tint, word

TRANSLATOR_CELLS = [  # of lesson 1: all that its translator needs
    "imports", "seed", "nouns", "other-words", "noun-phrase", "clause", "sentence", "data", "vocabularies",
    "to-tensors", "encoder", "decoder", "translator", "fit", "bahdanau-attention", "alignment",
]  # fmt: skip


SOURCE = ["the", "big", "wolf", "sees", "the", "girl"]
SCORES = np.array([0.7, 1.8, 4.4, 1.6, 0.0, 0.7])  # made up; the weights are their softmax
WEIGHTS = np.exp(SCORES) / np.exp(SCORES).sum()
ENCODER, SCORE, WEIGHT, CONTEXT, DECODER, WRITTEN = 1.85, 3.6, 4.95, 6.45, 8.2, 9.75  # heights
NOW = 8.75  # where the decoder state of step t = 1 stands, and the context below it


def encoder_decoder_attention() -> Figure:
    """A recurrent encoder and decoder with attention (Bahdanau et al., 2015), at the output step t = 1."""
    figure, sheet = canvas(10.3)
    bands = [("encoder", 1.3, 2.3, BLUE), ("scores", SCORE, 0.9, GREY), ("attention\nweights", WEIGHT, 1.0, VERMILLION),
             ("decoder", 8.65, 3.1, GREEN)]  # fmt: skip
    for name, y, height, color in bands:
        box(sheet, 8, y, 15.6, height, facecolor=tint(color, 0.08), edgecolor="none", zorder=0)
        label(sheet, 0.8, 9.45 if name == "decoder" else y, name, "left", color=color, weight="bold", linespacing=1.3)
    for number, (text, score, weight) in enumerate(zip(SOURCE, SCORES, WEIGHTS, strict=True), start=1):
        x = 1.9 + 2 * number
        word(sheet, x, 0.55, text, BLUE)
        arrow(sheet, (x, 0.9), (x, ENCODER - RADIUS), BLUE)
        node(sheet, x, ENCODER, f"$h_{number}$", BLUE)
        if number < len(SOURCE):  # the encoder reads the source in both directions
            left, right = x + RADIUS, x + 2 - RADIUS
            arrow(sheet, (left, ENCODER + 0.15), (right, ENCODER + 0.15), BLUE)
            arrow(sheet, (right, ENCODER - 0.15), (left, ENCODER - 0.15), BLUE)
        score_and_sum(sheet, x, number, score, weight)
    label(sheet, 3.35, 2.75, "keys", "right", color=BLUE, weight="bold")
    label(sheet, 14.85, 2.65, "values", "left", color=VERMILLION, weight="bold", fontsize=16)
    node(sheet, NOW, CONTEXT, "$c_1$", VERMILLION)
    label(sheet, NOW + 1.0, CONTEXT + 0.45, "context", "left", color=VERMILLION, weight="bold")
    label(sheet, NOW + 3.0, CONTEXT + 0.45, r"$c_1 = \sum_i\, \alpha_{1,i}\, h_i$", "left", fontsize=22)
    arrow(sheet, (NOW, CONTEXT + RADIUS), (NOW, DECODER - RADIUS), VERMILLION, 4)
    decoder(sheet)
    return figure


def score_and_sum(sheet: Axes, x: float, number: int, score: float, weight: float) -> None:
    """One column: the key of a state is compared with the query; the state goes into the context by its weight."""
    left, right, top = x - 0.25, x + 0.85, WEIGHT + 0.7
    sheet.plot([left, left], [ENCODER + RADIUS, SCORE], color=BLUE, linewidth=1.5, zorder=1)
    box(sheet, left, SCORE, 1.35, 0.62, facecolor="white", edgecolor=GREY, linewidth=1.5, zorder=2)
    label(sheet, left, SCORE, f"{score:.1f}")
    arrow(sheet, (left, SCORE + 0.31), (left, WEIGHT - 0.31), GREY, 1.5)
    color, width = tint(VERMILLION, 0.4 + 0.6 * weight), 1.2 + 12 * weight
    box(sheet, left, WEIGHT, 1.35, 0.62, facecolor="white", edgecolor=color, linewidth=2, zorder=2)
    label(sheet, left, WEIGHT, f"{weight:.2f}")
    # every value goes to the context by its weight; the arrows arrive side by side on its rim
    start = (x + RADIUS * cos(radians(45)), ENCODER + RADIUS * sin(radians(45)))
    sheet.plot([start[0], right, right], [start[1], 2.9, top], color=color, linewidth=width, zorder=1)
    sheet.plot([left, right], [WEIGHT, WEIGHT], color=color, linewidth=2, zorder=1)
    sheet.add_patch(Circle((right, WEIGHT), 0.2, facecolor="white", edgecolor=color, linewidth=2, zorder=2))
    label(sheet, right, WEIGHT, "×", zorder=3)
    angle = radians(270 + 28 * (number - 3))
    arrow(sheet, (right, top), (NOW + RADIUS * cos(angle), CONTEXT + RADIUS * sin(angle)), color, width)


def decoder(sheet: Axes) -> None:
    """One word at each step, from the state before, the word before and the context; what comes later is paler."""
    target = [(6.0, "<start>"), (NOW, "lupus"), (11.5, "magnus"), (14.25, "puellam")]
    for step, (x, text) in enumerate(target):
        color = GREEN if step < 2 else tint(GREEN, 0.55)
        node(sheet, x, DECODER, f"$s_{step}$", color)
        word(sheet, x, WRITTEN, text, GREY if step == 0 else color)
        if step:
            arrow(sheet, (x, DECODER + RADIUS), (x, WRITTEN - 0.35), color)
        later = GREEN if step == 0 else tint(GREEN, 0.55)
        arrow(sheet, (x + RADIUS, DECODER), (min(x + 2.75 - RADIUS, 15.1), DECODER), later)
        if step < 3:  # the word before
            arrow(
                sheet, (x + 0.85, WRITTEN - 0.2), (x + 2.75 - 0.45, DECODER + 0.45), GREY if step == 0 else later, 1.2
            )
    label(sheet, 15.4, DECODER, "…", fontsize=22)
    label(sheet, 5.0, WRITTEN, "the word before", "right", color=GREY, fontsize=15)
    # the first state is what the encoder ends with; the query is the state before
    sheet.plot([0.5, 0.5, 5.0], [2.45, DECODER, DECODER], color=BLUE, linewidth=2)
    arrow(sheet, (5.0, DECODER), (6.0 - RADIUS, DECODER), BLUE)
    label(sheet, 0.8, 8.5, "$s_0$: where the encoder ends", "left", color=BLUE, fontsize=15)
    look = {"arrowstyle": "-|>", "mutation_scale": 18, "linestyle": "--", "linewidth": 2, "color": GREEN}
    look |= {"connectionstyle": "arc3,rad=0.32", "shrinkA": 0, "shrinkB": 0}
    sheet.add_patch(FancyArrowPatch((5.8, DECODER - RADIUS), (2.55, SCORE + 0.4), **look))
    label(sheet, 2.75, 6.6, "query $s_0$", "right", color=GREEN, weight="bold")


def alignment_matrices() -> Figure:
    """Alignment matrices after figure 3 of Bahdanau et al. (2015), by the translator of lesson 1, trained here."""
    lesson = run_cells("1-attention", *TRANSLATOR_CELLS)
    model = lesson["Translator"](attention=lesson["AdditiveAttention"](64))
    lesson["fit"](model, 500)

    figure = Figure(figsize=(16, 10), layout="constrained")
    grid = figure.subplots(2, 2)
    for axes, length in zip(grid.flat, (8, 9, 11, 12), strict=True):
        english, latin, positions = lesson["sentence"](length, length)
        written, weights = lesson["alignment"](model, [(english, latin, positions)])
        words = [list(lesson["latin_ids"])[i] for i in written[0, : len(latin)]]
        image = axes.imshow(weights[0, : len(words)], cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(english)), english, rotation=45, ha="left", rotation_mode="anchor", fontsize=22)
        axes.set_yticks(range(len(words)), words, fontsize=22)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_color(tint(GREY, 0.5))
    figure.supxlabel("across: English, read; down: Latin, written; the darker, the larger the weight", fontsize=22)
    figure.colorbar(image, ax=grid, aspect=30, pad=0.01).ax.tick_params(labelsize=22)
    return figure
