"""Draw the pictures of the course.

python images/draw.py               all pictures, written beside this file
python images/draw.py NAME          only the ones that are named
"""

import argparse
from itertools import pairwise
from math import cos, radians, sin
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import transformers
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.typing import ColorType
from tqdm import tqdm

from bert.masked_lm import load_masked_lm
from course.notebooks import ROOT, run_cells

TRANSLATOR_CELLS = [  # of lesson 1: all that its translator needs
    "imports", "seed", "nouns", "other-words", "noun-phrase", "clause", "sentence", "data", "vocabularies",
    "to-tensors", "encoder", "decoder", "translator", "fit", "bahdanau-attention", "alignment",
]  # fmt: skip
Point = tuple[float, float]

# --- shared style ---------------------------------------------------------------------------------------------------

BLUE, VERMILLION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # Okabe and Ito, and a grey
DARK = "#222222"
UNIT = 0.8  # of the drawings, in inches
RADIUS = 0.6  # of a node, in units

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 18,
    "mathtext.fontset": "dejavuserif",
    "text.color": DARK,
    "figure.facecolor": "white",
    "figure.dpi": 125,
    "savefig.dpi": "figure",
}


def tint(color: ColorType, strength: float) -> tuple[float, ...]:
    """Mix a colour with white: 0 is white, 1 is the colour itself."""
    return tuple(1 - strength * (1 - part) for part in to_rgb(color))


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Make an empty drawing sheet, measured in units, with (0, 0) at the bottom left."""
    figure = plt.figure(figsize=(width * UNIT, height * UNIT))
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    sheet.axis("off")
    return figure, sheet


def box(sheet: Axes, x: float, y: float, width: float, height: float, **style) -> None:
    """Draw a rounded box centred on (x, y)."""
    corner = (x - width / 2, y - height / 2)
    sheet.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.15", **style))


def word(sheet: Axes, x: float, y: float, text: str, color: ColorType) -> None:
    """Draw a word in a white box."""
    box(sheet, x, y, 1.7, 0.7, facecolor="white", edgecolor=color, linewidth=1.5)
    sheet.text(x, y - 0.02, text, ha="center", va="center_baseline")


def node(sheet: Axes, x: float, y: float, symbol: str, color: ColorType) -> None:
    """Draw a circle with a symbol in it."""
    sheet.add_patch(Circle((x, y), RADIUS, facecolor=tint(color, 0.25), edgecolor=color, linewidth=2.5, zorder=3))
    sheet.text(x, y, symbol, ha="center", va="center", fontsize=23, zorder=4)


def arrow(sheet: Axes, start: Point, end: Point, color: ColorType, width: float = 2) -> None:
    """Draw a straight arrow, `width` points thick; its head grows with it."""
    shape = f"simple,tail_width={width},head_width={8 + 1.6 * width},head_length={9 + width}"
    look = {"arrowstyle": shape, "mutation_scale": 1, "facecolor": color, "edgecolor": "none"}
    sheet.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **look))


# --- pictures -------------------------------------------------------------------------------------------------------


def encoder_decoder_attention() -> Figure:
    """A recurrent encoder and decoder with attention (Bahdanau et al., 2015), at the output step t = 1."""
    source = ["the", "big", "wolf", "sees", "the", "girl"]
    weights = [0.02, 0.06, 0.84, 0.05, 0.01, 0.02]
    source_x = [3.9, 5.9, 7.9, 9.9, 11.9, 13.9]
    target = ["", "lupus", "magnus", "puellam"]
    target_x = [4.9, 7.9, 10.9, 13.9]
    states = ["s_{t-1}", "s_t", "s_{t+1}", "s_{t+2}"]
    word_y, encoder_y, weight_y, context_y, decoder_y, target_y = 0.65, 2.05, 3.85, 5.95, 7.8, 9.25
    now_x = 7.9  # the decoder state of step t, and the context below it

    figure, sheet = canvas(16, 10)

    for name, y, height, color in [
        ("encoder", 1.45, 2.6, BLUE),
        ("attention\nweights", weight_y, 1.4, VERMILLION),
        ("decoder", 8.45, 2.7, GREEN),
    ]:
        box(sheet, 8, y, 15.6, height, facecolor=tint(color, 0.08), edgecolor="none", zorder=0)
        sheet.text(0.5, y, name, color=color, weight="bold", va="center", linespacing=1.3)

    # The encoder reads the source in both directions.
    for number, (x, text) in enumerate(zip(source_x, source, strict=True), start=1):
        word(sheet, x, word_y, text, BLUE)
        arrow(sheet, (x, word_y + 0.35), (x, encoder_y - RADIUS), BLUE)
        node(sheet, x, encoder_y, f"$h_{number}$", BLUE)
    for left, right in pairwise(source_x):
        arrow(sheet, (left + RADIUS, encoder_y + 0.15), (right - RADIUS, encoder_y + 0.15), BLUE)
        arrow(sheet, (right - RADIUS, encoder_y - 0.15), (left + RADIUS, encoder_y - 0.15), BLUE)

    # Every state goes to the context by its weight.
    for number, (x, weight) in enumerate(zip(source_x, weights, strict=True), start=1):
        color, width = tint(VERMILLION, 0.4 + 0.6 * weight), 1.2 + 12 * weight
        sheet.plot([x, x], [encoder_y + RADIUS, weight_y], color=color, linewidth=width, zorder=1)
        angle = radians(270 + 28 * (number - 3))  # the arrows arrive side by side on the rim of the context
        end = (now_x + RADIUS * cos(angle), context_y + RADIUS * sin(angle))
        arrow(sheet, (x, weight_y + 0.5), end, color, width)
        box(sheet, x, weight_y, 1.3, 1.1, facecolor="white", edgecolor=color, linewidth=2, zorder=2)
        sheet.text(x, weight_y + 0.23, rf"$\alpha_{{t,{number}}}$", ha="center", va="center", fontsize=23)
        sheet.text(x, weight_y - 0.27, f"{weight:.2f}", ha="center", va="center")

    node(sheet, now_x, context_y, "$c_t$", VERMILLION)
    sheet.text(now_x + 0.9, context_y + 0.25, "context", color=VERMILLION, weight="bold")
    sheet.text(now_x + 2.7, context_y + 0.25, r"$c_t = \sum_i\, \alpha_{t,i}\, h_i$", fontsize=23)

    # The decoder writes one word at each step.
    sheet.text(0.5, 7.8, "step $t = 1$", va="center")
    arrow(sheet, (now_x, context_y + RADIUS), (now_x, decoder_y - RADIUS), VERMILLION, 4)
    for x, state, text in zip(target_x, states, target, strict=True):
        color = GREEN if x <= now_x else tint(GREEN, 0.55)  # what comes after step t is paler
        node(sheet, x, decoder_y, f"${state}$", color)
        if text:
            arrow(sheet, (x, decoder_y + RADIUS), (x, target_y - 0.35), color)
            word(sheet, x, target_y, text, color)
    for x in target_x:
        color = GREEN if x < now_x else tint(GREEN, 0.55)
        arrow(sheet, (x + RADIUS, decoder_y), (min(x + 3 - RADIUS, 15.1), decoder_y), color)
    sheet.text(15.4, decoder_y, "…", ha="center", va="center", fontsize=22)

    # The query is the state before.
    look = {"arrowstyle": "-|>", "mutation_scale": 18, "linestyle": "--", "linewidth": 2, "color": GREEN}
    look |= {"connectionstyle": "arc3,rad=0.2", "shrinkA": 0, "shrinkB": 0}
    sheet.add_patch(FancyArrowPatch((4.43, 7.42), (2.75, 4.42), **look))
    sheet.text(2.6, 6.2, "query", ha="right", va="center", color=GREEN, weight="bold")
    return figure


def alignment_matrices() -> Figure:
    """Alignment matrices after figure 3 of Bahdanau et al. (2015), by the translator of lesson 1, trained here."""
    lesson = run_cells("1-attention", *TRANSLATOR_CELLS)
    model = lesson["Translator"](attention=lesson["AdditiveAttention"](64))
    lesson["fit"](model, 600)

    figure, grid = plt.subplots(2, 2, figsize=(16, 13.6))
    for axes, length in zip(grid.flat, (8, 9, 11, 12), strict=True):
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
GATHER_COLORS = [BLUE, GREEN]  # of the layers
FRAMES_A_SECOND = 8
FOCUS = 2  # the word that goes first


def gathering(sheet: Axes, layer: int, targets: list[int], progress: float, caption: str) -> None:
    """Two layers of self-attention: in `layer` (0: none yet) the `targets` gather, `progress` from 0 to 1 done."""
    xs, ys = [3.5 + 2.6 * i for i in range(5)], [2.3, 4.7, 7.1]
    for y, name in zip(ys, ["words and\npositions", "layer 1", "layer 2"], strict=True):
        sheet.text(0.4, y, name, color=GREY, weight="bold", va="center", linespacing=1.3)
    sheet.text(8, 8.5, caption, ha="center", va="center", weight="bold")
    for x, text in zip(xs, GATHER_WORDS, strict=True):
        word(sheet, x, 0.75, text, GREY)
        arrow(sheet, (x, 1.1), (x, ys[0] - RADIUS), GREY)
    for level in range(1, layer + 1):
        color = GATHER_COLORS[level - 1]
        for target in targets if level == layer else range(5):
            for source, weight in enumerate(GATHER_WEIGHTS[level - 1][target]):
                (x0, y0), (x1, y1) = (xs[source], ys[level - 1]), (xs[target], ys[level])
                line = tint(color, 0.2 + weight if level == layer else 0.12)
                sheet.plot([x0, x1], [y0, y1], color=line, linewidth=1 + 14 * weight, zorder=1)
                if level == layer and 0 < progress < 1:
                    dot = (x0 + progress * (x1 - x0), y0 + progress * (y1 - y0))
                    sheet.add_patch(Circle(dot, 0.1 + 0.25 * weight, facecolor=color, edgecolor="white", zorder=2))
    for level, y in enumerate(ys):
        color = [GREY, *GATHER_COLORS][level]
        for number, x in enumerate(xs):
            reached = level < layer or level == 0 or (level == layer and number in targets and progress == 1)
            strength = 0.35 if reached else 0
            look = {"facecolor": tint(color, strength), "edgecolor": tint(color, 1 if reached else 0.4)}
            sheet.add_patch(Circle((x, y), RADIUS, linewidth=2.5, zorder=3, **look))
            if level == 0:
                sheet.text(x, y, f"+ $p_{number}$", ha="center", va="center", zorder=4)


def gathering_steps() -> list[tuple[int, list[int], float, str]]:
    """The frames of the animation, as arguments of `gathering`."""
    everyone = list(range(len(GATHER_WORDS)))
    steps = [(0, everyone, 1.0, "A vector for each word, plus a vector for its position")] * 16
    for layer in (1, 2):
        one = f"Layer {layer}: “{GATHER_WORDS[FOCUS]}” gathers from every word, by weight"
        for targets, caption in [([FOCUS], one), (everyone, f"Layer {layer}: all words gather at the same time")]:
            steps += [(layer, targets, (frame + 1) / 10, caption) for frame in range(9)]
            steps += [(layer, targets, 1.0, caption)] * 10
    return steps + [(2, everyone, 1.0, "No word waits for another")] * 16


def transformer_animation() -> FuncAnimation:
    """Every position gathers from all positions at once, layer by layer (Vaswani et al., 2017)."""
    figure, sheet = canvas(16, 9)
    figure.set_dpi(75)  # the file stays below 1 MB

    def draw_frame(step: tuple[int, list[int], float, str]) -> None:
        sheet.clear()
        sheet.set(xlim=(0, 16), ylim=(0, 9))
        sheet.axis("off")
        gathering(sheet, *step)

    return FuncAnimation(figure, draw_frame, frames=gathering_steps())


def transformer_still() -> Figure:
    """The animation in one picture, for print: layer 1 complete, one word of layer 2 gathering."""
    figure, sheet = canvas(16, 9)
    gathering(sheet, 2, [FOCUS], 1.0, "Every word gathers from all words, in every layer")
    return figure


def masked_words() -> Figure:
    """Masked-word prediction (Devlin et al., 2019): what the model reads, what it must guess; guesses of bert/mlm."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ROOT / "bert")
    model = load_masked_lm(ROOT / "bert").double()
    batch = tokenizer("she won the gold [MASK] today", return_tensors="pt")
    read = tokenizer.convert_ids_to_tokens(batch.input_ids[0])
    with torch.inference_mode():
        best = model(**batch).logits[0, read.index("[MASK]")].softmax(dim=0).topk(4)
    guesses = dict(zip(tokenizer.convert_ids_to_tokens(best.indices), best.values.tolist(), strict=True))
    longest = max(guesses.values())
    hidden, xs = read.index("[MASK]"), [1.6 + 1.85 * i for i in range(8)]

    figure, sheet = canvas(16, 10)
    for x, text in zip(xs, read, strict=True):
        color = VERMILLION if text == "[MASK]" else BLUE
        word(sheet, x, 0.8, text, color)
        arrow(sheet, (x, 1.15), (x, 2.2), color)
        arrow(sheet, (x, 4.0), (x, 4.75), color if text == "[MASK]" else tint(color, 0.35))
        strength = 1 if text == "[MASK]" else 0.35
        look = {"facecolor": tint(color, 0.3 * strength), "edgecolor": tint(color, strength)}
        box(sheet, x, 5.1, 1.2, 0.6, linewidth=2, **look)
    box(sheet, 8.1, 3.1, 14.6, 1.8, facecolor=tint(BLUE, 0.12), edgecolor=BLUE, linewidth=2)
    inside = "encoder: every word looks at all words, left and right"
    sheet.text(8.1, 3.1, inside, ha="center", va="center", weight="bold")
    sheet.text(1.0, 5.75, "no loss at the other places", color=GREY, va="bottom")
    arrow(sheet, (xs[hidden], 5.45), (xs[hidden], 6.3), VERMILLION, 4)
    box(sheet, 11.3, 7.85, 7.2, 3.0, facecolor=tint(VERMILLION, 0.08), edgecolor=VERMILLION, linewidth=2)
    for number, (text, share) in enumerate(guesses.items()):
        y = 8.9 - 0.7 * number
        sheet.text(9.9, y, text, ha="right", va="center")
        color = VERMILLION if number == 0 else tint(VERMILLION, 0.5)
        sheet.barh(y, 3.6 * share / longest, left=10.1, height=0.45, color=color)
        sheet.text(10.25 + 3.6 * share / longest, y, f"{share:.2f}", va="center")
    sheet.text(7.3, 8.5, "a probability for each\nword of the vocabulary", ha="right", va="center", linespacing=1.4)
    look = {"color": VERMILLION, "weight": "bold", "linespacing": 1.4}
    sheet.text(7.3, 7.1, "loss: how improbable\nwas the true word?", ha="right", va="center", **look)
    sheet.set(xlim=(0, 16), ylim=(0, 10))
    return figure


PICTURES = {
    "encoder-decoder-attention.png": encoder_decoder_attention,
    "bahdanau-fig3.png": alignment_matrices,
    "transformer-animated-explanation.gif": transformer_animation,
    "transformer-animated-explanation.png": transformer_still,
    "jalammarBERT-language-modeling-masked-lm.png": masked_words,
}


def draw(name: str, folder: Path) -> None:
    """Draw the picture of this name and write it into `folder`: the same bytes on every run."""
    with plt.style.context(STYLE, after_reset=True):
        picture = PICTURES[name]()
        if isinstance(picture, FuncAnimation):
            with tqdm(desc=name, unit="frame") as bar:
                writer = PillowWriter(fps=FRAMES_A_SECOND)
                picture.save(folder / name, writer=writer, progress_callback=lambda *_: bar.update())
        else:
            picture.savefig(folder / name, metadata={"Software": None})  # not the version of matplotlib
        plt.close("all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    names = parser.parse_args().names or list(PICTURES)
    unknown = [name for name in names if name not in PICTURES]
    if unknown:
        parser.error(f"there is no picture {', '.join(unknown)}; expected one of {', '.join(PICTURES)}")
    plt.switch_backend("Agg")
    torch.set_num_threads(2)  # the order of sums, and with it the trained translator, depends on their number
    transformers.logging.set_verbosity_error()
    for name in names:
        draw(name, Path(__file__).resolve().parent)
        print(name)


if __name__ == "__main__":
    main()
