"""Pictures of translators with attention."""

from math import cos, radians, sin

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from course.notebooks import run_cells
from sheet import BLUE, GREEN, GREY, RADIUS, VERMILLION, arrow, box, canvas, label, node, tint, word

TRANSLATOR_CELLS = [  # of lesson 1: all that its translator needs
    "imports", "seed", "nouns", "other-words", "noun-phrase", "clause", "sentence", "data", "vocabularies",
    "to-tensors", "encoder", "decoder", "translator", "fit", "bahdanau-attention", "alignment",
]  # fmt: skip


def encoder_decoder_attention() -> Figure:
    """A recurrent encoder and decoder with attention (Bahdanau et al., 2015), at the output step t = 1."""
    source = [("the", 0.02), ("big", 0.06), ("wolf", 0.84), ("sees", 0.05), ("the", 0.01), ("girl", 0.02)]
    target = [(4.9, "s_{t-1}", ""), (7.9, "s_t", "lupus"), (10.9, "s_{t+1}", "magnus"), (13.9, "s_{t+2}", "puellam")]
    encoder_y, weight_y, context_y, decoder_y = 2.05, 3.85, 5.95, 7.8
    now_x = 7.9  # the decoder state of step t, and the context below it
    figure, sheet = canvas(10)
    bands = [("encoder", 1.45, 2.6, BLUE), ("attention\nweights", 3.85, 1.4, VERMILLION), ("decoder", 8.45, 2.7, GREEN)]
    for name, y, height, color in bands:
        box(sheet, 8, y, 15.6, height, facecolor=tint(color, 0.08), edgecolor="none", zorder=0)
        label(sheet, 0.5, y, name, "left", color=color, weight="bold", linespacing=1.3)

    for number, (text, weight) in enumerate(source, start=1):
        x = 1.9 + 2 * number
        word(sheet, x, 0.65, text, BLUE)
        arrow(sheet, (x, 1), (x, encoder_y - RADIUS), BLUE)
        node(sheet, x, encoder_y, f"$h_{number}$", BLUE)
        if number < len(source):  # the encoder reads the source in both directions
            left, right = x + RADIUS, x + 2 - RADIUS
            arrow(sheet, (left, encoder_y + 0.15), (right, encoder_y + 0.15), BLUE)
            arrow(sheet, (right, encoder_y - 0.15), (left, encoder_y - 0.15), BLUE)
        # Every state goes to the context by its weight; the arrows arrive side by side on its rim.
        color, width = tint(VERMILLION, 0.4 + 0.6 * weight), 1.2 + 12 * weight
        sheet.plot([x, x], [encoder_y + RADIUS, weight_y], color=color, linewidth=width, zorder=1)
        angle = radians(270 + 28 * (number - 3))
        rim = (now_x + RADIUS * cos(angle), context_y + RADIUS * sin(angle))
        arrow(sheet, (x, weight_y + 0.5), rim, color, width)
        box(sheet, x, weight_y, 1.3, 1.1, facecolor="white", edgecolor=color, linewidth=2, zorder=2)
        label(sheet, x, weight_y + 0.23, rf"$\alpha_{{t,{number}}}$", fontsize=23)
        label(sheet, x, weight_y - 0.27, f"{weight:.2f}")

    node(sheet, now_x, context_y, "$c_t$", VERMILLION)
    sheet.text(now_x + 0.9, context_y + 0.25, "context", color=VERMILLION, weight="bold")
    sheet.text(now_x + 2.7, context_y + 0.25, r"$c_t = \sum_i\, \alpha_{t,i}\, h_i$", fontsize=23)

    # The decoder writes one word at each step; what comes after step t is paler.
    label(sheet, 0.5, decoder_y, "step $t = 1$", "left")
    arrow(sheet, (now_x, context_y + RADIUS), (now_x, decoder_y - RADIUS), VERMILLION, 4)
    for x, state, text in target:
        color = GREEN if x <= now_x else tint(GREEN, 0.55)
        node(sheet, x, decoder_y, f"${state}$", color)
        if text:
            arrow(sheet, (x, decoder_y + RADIUS), (x, 8.9), color)
            word(sheet, x, 9.25, text, color)
        color = GREEN if x < now_x else tint(GREEN, 0.55)
        arrow(sheet, (x + RADIUS, decoder_y), (min(x + 3 - RADIUS, 15.1), decoder_y), color)
    label(sheet, 15.4, decoder_y, "…", fontsize=22)

    # The query is the state before.
    look = {"arrowstyle": "-|>", "mutation_scale": 18, "linestyle": "--", "linewidth": 2, "color": GREEN}
    look |= {"connectionstyle": "arc3,rad=0.2", "shrinkA": 0, "shrinkB": 0}
    sheet.add_patch(FancyArrowPatch((4.43, 7.42), (2.75, 4.42), **look))
    label(sheet, 2.6, 6.2, "query", "right", color=GREEN, weight="bold")
    return figure


def alignment_matrices() -> Figure:
    """Alignment matrices after figure 3 of Bahdanau et al. (2015), by the translator of lesson 1, trained here."""
    lesson = run_cells("1-attention", *TRANSLATOR_CELLS)
    model = lesson["Translator"](attention=lesson["AdditiveAttention"](64))
    lesson["fit"](model, 600)

    figure = Figure(figsize=(16, 13.6))
    for axes, length in zip(figure.subplots(2, 2).flat, (8, 9, 11, 12), strict=True):
        english, latin, positions = lesson["sentence"](length, length)
        written, weights = lesson["alignment"](model, [(english, latin, positions)])
        words = [list(lesson["latin_ids"])[i] for i in written[0, : len(latin)]]
        axes.imshow(weights[0, : len(words)], cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(english)), english, rotation=45, ha="left", rotation_mode="anchor")
        axes.set_yticks(range(len(words)), words)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_color(tint(GREY, 0.5))
    figure.tight_layout(h_pad=2, w_pad=2)
    return figure
