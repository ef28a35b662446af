"""Draw the pictures of the course.

python images/draw.py               all pictures, written beside this file
python images/draw.py NAME          only the ones that are named
"""

import argparse
from collections.abc import Iterator
from math import cos, radians, sin
from pathlib import Path

import numpy as np
import torch
import transformers
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.typing import ColorType
from PIL import Image
from tqdm import tqdm

from bert.masked_lm import load_masked_lm
from course.notebooks import ROOT, run_cells

TRANSLATOR_CELLS = [  # of lesson 1: all that its translator needs
    "imports", "seed", "nouns", "other-words", "noun-phrase", "clause", "sentence", "data", "vocabularies",
    "to-tensors", "encoder", "decoder", "translator", "fit", "bahdanau-attention", "alignment",
]  # fmt: skip
Point = tuple[float, float]

BLUE, VERMILLION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # Okabe and Ito, and a grey
RADIUS = 0.6  # of a node, in units
STYLE = {"font.size": 18, "mathtext.fontset": "dejavuserif", "text.color": "#222222", "figure.dpi": 125}


def tint(color: ColorType, strength: float) -> tuple[float, ...]:
    """Mix a colour with white: 0 is white, 1 is the colour itself."""
    return tuple(1 - strength * (1 - part) for part in to_rgb(color))


def canvas(height: float) -> tuple[Figure, Axes]:
    """An empty drawing sheet, 16 units of 0.8 inches wide, with (0, 0) at the bottom left."""
    figure = Figure(figsize=(12.8, 0.8 * height))
    sheet = figure.add_axes((0, 0, 1, 1), xlim=(0, 16), ylim=(0, height), aspect="equal")
    sheet.axis("off")
    return figure, sheet


def box(sheet: Axes, x: float, y: float, width: float, height: float, **look) -> None:
    """Draw a rounded box centred on (x, y)."""
    corner = (x - width / 2, y - height / 2)
    sheet.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.15", **look))


def label(sheet: Axes, x: float, y: float, text: str, ha: str = "center", **look) -> None:
    """Write text beside or around (x, y)."""
    sheet.text(x, y, text, ha=ha, va="center", **look)


def word(sheet: Axes, x: float, y: float, text: str, color: ColorType) -> None:
    """Draw a word in a white box."""
    box(sheet, x, y, 1.7, 0.7, facecolor="white", edgecolor=color, linewidth=1.5)
    sheet.text(x, y - 0.02, text, ha="center", va="center_baseline")


def node(sheet: Axes, x: float, y: float, symbol: str, color: ColorType, filled: float = 0.25, size: int = 23) -> None:
    """Draw a circle with a symbol in it, `size` points high; `filled`: how strong the colour is inside."""
    sheet.add_patch(Circle((x, y), RADIUS, facecolor=tint(color, filled), edgecolor=color, linewidth=2.5, zorder=3))
    label(sheet, x, y, symbol, fontsize=size, zorder=4)


def arrow(sheet: Axes, start: Point, end: Point, color: ColorType, width: float = 2) -> None:
    """Draw a straight arrow, `width` points thick; its head grows with it."""
    shape = f"simple,tail_width={width},head_width={8 + 1.6 * width},head_length={9 + width}"
    look = {"arrowstyle": shape, "mutation_scale": 1, "facecolor": color, "edgecolor": "none"}
    sheet.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **look))


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


GATHER_WORDS = ["the", "wolf", "sees", "the", "girl"]
GATHER_WEIGHTS = [  # made up, like those of any drawing: one row per word that gathers, for each of two layers
    [[.30, .45, .10, .05, .10], [.35, .30, .20, .05, .10], [.05, .40, .15, .05, .35], [.05, .05, .10, .30, .50],
     [.05, .10, .25, .35, .25]],
    [[.15, .40, .25, .05, .15], [.10, .25, .40, .05, .20], [.05, .35, .20, .05, .35], [.05, .15, .20, .20, .40],
     [.05, .20, .40, .10, .25]],
]  # fmt: skip
FOCUS = 2  # the word that goes first
EVERYONE = list(range(5))


def gathering(layer: int, targets: list[int], progress: float, caption: str) -> Figure:
    """Two layers of self-attention: in `layer` (0: none yet) the `targets` gather, `progress` from 0 to 1 done."""
    figure, sheet = canvas(9)
    xs, ys, colors = [3.5 + 2.6 * i for i in EVERYONE], [2.3, 4.7, 7.1], [GREY, BLUE, GREEN]
    label(sheet, 8, 8.5, caption, weight="bold")
    for x, text in zip(xs, GATHER_WORDS, strict=True):
        word(sheet, x, 0.75, text, GREY)
        arrow(sheet, (x, 1.1), (x, ys[0] - RADIUS), GREY)
    for level, name in enumerate(["words and\npositions", "layer 1", "layer 2"]):
        y, color = ys[level], colors[level]
        label(sheet, 0.4, y, name, "left", color=GREY, weight="bold", linespacing=1.3)
        for i, x in enumerate(xs):
            reached = level < layer or level == 0 or (level == layer and i in targets and progress == 1)
            symbol = "" if level else f"+ $p_{i}$"
            node(sheet, x, y, symbol, color if reached else tint(color, 0.4), 0.35 if reached else 0, size=18)
            if not 0 < level <= layer or (level == layer and i not in targets):
                continue
            for x0, weight in zip(xs, GATHER_WEIGHTS[level - 1][i], strict=True):
                y0 = ys[level - 1]
                line = tint(color, 0.2 + weight if level == layer else 0.12)
                sheet.plot([x0, x], [y0, y], color=line, linewidth=1 + 14 * weight, zorder=1)
                if level == layer and progress < 1:
                    dot = (x0 + progress * (x - x0), y0 + progress * (y - y0))
                    sheet.add_patch(Circle(dot, 0.1 + 0.25 * weight, facecolor=color, edgecolor="white", zorder=2))
    return figure


def transformer_animation() -> Iterator[Figure]:
    """Every position gathers from all positions at once, layer by layer (Vaswani et al., 2017); a figure per frame."""
    steps = [(0, EVERYONE, 1, "A vector for each word, plus a vector for its position")] * 16
    for layer in (1, 2):
        one = f"Layer {layer}: “{GATHER_WORDS[FOCUS]}” gathers from every word, by weight"
        for targets, caption in [([FOCUS], one), (EVERYONE, f"Layer {layer}: all words gather at the same time")]:
            steps += [(layer, targets, min(frame / 10, 1), caption) for frame in range(1, 20)]
    steps += [(2, EVERYONE, 1, "No word waits for another")] * 16
    for step in tqdm(steps, desc="animation", unit="frame"):
        figure = gathering(*step)
        figure.set_dpi(75)  # the file stays below 1 MB
        yield figure


def transformer_still() -> Figure:
    """The animation in one picture, for print: layer 1 complete, one word of layer 2 gathering."""
    return gathering(2, [FOCUS], 1, "Every word gathers from all words, in every layer")


def masked_words() -> Figure:
    """Masked-word prediction (Devlin et al., 2019): what the model reads, what it must guess; guesses of bert/mlm."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ROOT / "bert")
    model = load_masked_lm(ROOT / "bert").double()
    sentence = "she won the gold [MASK] today"
    guesses = transformers.pipeline("fill-mask", model, tokenizer=tokenizer, device="cpu", top_k=4)(sentence)
    figure, sheet = canvas(10)
    for number, text in enumerate(["[CLS]", *sentence.split(), "[SEP]"]):
        x = 1.6 + 1.85 * number
        color, strength = (VERMILLION, 1) if text == "[MASK]" else (BLUE, 0.35)
        pale = tint(color, strength)
        word(sheet, x, 0.8, text, color)
        arrow(sheet, (x, 1.15), (x, 2.2), color)
        arrow(sheet, (x, 4.0), (x, 4.75), pale)
        box(sheet, x, 5.1, 1.2, 0.6, linewidth=2, facecolor=tint(color, 0.3 * strength), edgecolor=pale)
        if text == "[MASK]":
            arrow(sheet, (x, 5.45), (x, 6.3), VERMILLION, 4)
    box(sheet, 8.1, 3.1, 14.6, 1.8, facecolor=tint(BLUE, 0.12), edgecolor=BLUE, linewidth=2)
    label(sheet, 8.1, 3.1, "encoder: every word looks at all words, left and right", weight="bold")
    sheet.text(1.0, 5.75, "no loss at the other places", color=GREY, va="bottom")
    box(sheet, 11.3, 7.85, 7.2, 3.0, facecolor=tint(VERMILLION, 0.08), edgecolor=VERMILLION, linewidth=2)
    for number, guess in enumerate(guesses):
        y, width = 8.9 - 0.7 * number, 3.6 * guess["score"] / guesses[0]["score"]
        label(sheet, 9.9, y, guess["token_str"], "right")
        sheet.barh(y, width, left=10.1, height=0.45, color=tint(VERMILLION, 0.5 if number else 1))
        label(sheet, 10.25 + width, y, f"{guess['score']:.2f}", "left")
    label(sheet, 7.3, 8.5, "a probability for each\nword of the vocabulary", "right", linespacing=1.4)
    look = {"color": VERMILLION, "weight": "bold", "linespacing": 1.4}
    label(sheet, 7.3, 7.1, "loss: how improbable\nwas the true word?", "right", **look)
    sheet.set(xlim=(0, 16), ylim=(0, 10))  # barh moved them
    return figure


PICTURES = {
    "encoder-decoder-attention.png": encoder_decoder_attention,
    "bahdanau-fig3.png": alignment_matrices,
    "transformer-animated-explanation.gif": transformer_animation,
    "transformer-animated-explanation.png": transformer_still,
    "jalammarBERT-language-modeling-masked-lm.png": masked_words,
}


def pixels(figure: Figure) -> Image.Image:
    agg = FigureCanvasAgg(figure)
    agg.draw()
    return Image.fromarray(np.asarray(agg.buffer_rgba())).convert("RGB")


def draw(name: str, folder: Path) -> None:
    """Draw the picture of this name and write it into `folder`: the same bytes on every run."""
    with style.context(STYLE, after_reset=True):
        picture = PICTURES[name]()
        if isinstance(picture, Figure):
            picture.savefig(folder / name, metadata={"Software": None})  # not the version of matplotlib
        else:
            first, *others = map(pixels, picture)
            first.save(folder / name, save_all=True, append_images=others, duration=125, loop=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    names = parser.parse_args().names or PICTURES
    if unknown := set(names) - set(PICTURES):
        parser.error(f"there is no picture {', '.join(unknown)}; expected one of {', '.join(PICTURES)}")
    torch.set_num_threads(2)  # the order of sums, and with it the trained translator, depends on their number
    transformers.logging.set_verbosity_error()
    for name in names:
        draw(name, Path(__file__).resolve().parent)
        print(name)


if __name__ == "__main__":
    main()
