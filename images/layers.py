"""The animation of a transformer's layers, and its still."""

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from tqdm import tqdm

from sheet import BLUE, GREEN, GREY, RADIUS, VERMILLION, arrow, box, canvas, label, node, tint, word

WORDS = ["the", "wolf", "sees", "the", "girl"]
WEIGHTS = [  # made up, like those of any drawing: one row per word that gathers, for each of two layers
    [[.30, .45, .10, .05, .10], [.35, .30, .20, .05, .10], [.05, .40, .15, .05, .35], [.05, .05, .10, .30, .50],
     [.05, .10, .25, .35, .25]],
    [[.15, .40, .25, .05, .15], [.10, .25, .40, .05, .20], [.05, .35, .20, .05, .35], [.05, .15, .20, .20, .40],
     [.05, .20, .40, .10, .25]],
]  # fmt: skip
FOCUS = 2  # the word that goes first
EVERYONE = list(range(5))
XS, LEVELS, COLORS = [3.6 + 2.6 * i for i in EVERYONE], [2.0, 5.0, 8.0], [GREY, BLUE, GREEN]
THREE = ((-0.5, "q", GREEN, 1), (0, "k", BLUE, 1), (0.5, "v", VERMILLION, 2))  # and the stage that uses them
PROJECT, COMPARE, GATHER, ADD, DONE = range(5)  # what happens in a layer, one after the other


def layers(layer: int, targets: list[int], stage: int, progress: float, caption: str) -> Figure:
    """Two layers: in `layer` (0: none yet) the `targets` are at this `stage`, `progress` from 0 to 1 done."""
    figure, sheet = canvas(10)
    label(sheet, 8, 9.5, caption, weight="bold")
    for x, text in zip(XS, WORDS, strict=True):
        word(sheet, x, 0.55, text, GREY)
        arrow(sheet, (x, 0.9), (x, LEVELS[0] - RADIUS), GREY)
    for level, name in enumerate(["words and\npositions", "layer 1", "layer 2"]):
        label(sheet, 0.3, LEVELS[level], name, "left", color=GREY, weight="bold", linespacing=1.3)
        for i, x in enumerate(XS):
            active = level == layer and i in targets
            reached = level < layer or level == 0 or (active and stage == DONE)
            does = {COMPARE: "q", GATHER: "Σ", ADD: "FF"}.get(stage, "") if active else ""
            symbol = does if level else f"+ $p_{i}$"
            color = COLORS[level] if reached or active else tint(COLORS[level], 0.4)
            node(sheet, x, LEVELS[level], symbol, color, 0.35 if reached else 0, size=18)
            if 0 < level < layer or (level and active):
                lines(sheet, level, i, stage if level == layer else DONE, progress)
    for level in range(1, layer + 1):
        offers(sheet, level, targets, stage if level == layer else DONE)
    return figure


def offers(sheet: Axes, layer: int, targets: list[int], stage: int) -> None:
    """The query, key and value of each word below the layer."""
    y = LEVELS[layer - 1] + 0.95
    for i, x in enumerate(XS):
        for shift, letter, color, use in THREE:
            strong = stage == PROJECT or (stage == use and (letter != "q" or i in targets))
            color = color if strong else tint(color, 0.35)
            box(sheet, x + shift, y, 0.44, 0.44, facecolor=tint(color, 0.15), edgecolor=color, linewidth=2, zorder=5)
            label(sheet, x + shift, y, letter, fontsize=13, color=color, zorder=6)


def lines(sheet: Axes, level: int, i: int, stage: int, progress: float) -> None:
    """What one word of a layer has to do with the words below: it asks each, gathers by weight, adds and thinks."""
    x, y, y0 = XS[i], LEVELS[level], LEVELS[level - 1]
    if stage == PROJECT:
        return
    for x0, weight in zip(XS, WEIGHTS[level - 1][i], strict=True):
        if stage == COMPARE:  # the same for all, then as wide as the weight
            width = 1.5 + progress * (14 * weight - 0.5)
            sheet.plot([x0, x], [y0 + 1.15, y], color=BLUE, linestyle="--", linewidth=width, alpha=0.6, zorder=1)
            continue
        faint = 0.12 if stage == DONE else 0.25 + 0.75 * weight
        sheet.plot([x0 + 0.5, x], [y0 + 1.15, y], color=tint(VERMILLION, faint), linewidth=1 + 14 * weight, zorder=1)
        if stage == GATHER and progress < 1:
            dot = (x0 + 0.5 + progress * (x - x0 - 0.5), y0 + 1.15 + progress * (y - y0 - 1.15))
            sheet.add_patch(Circle(dot, 0.1 + 0.25 * weight, facecolor=VERMILLION, edgecolor="white", zorder=2))
    if stage == ADD:  # the residual: the vector below is added
        sheet.plot([x - 0.85, x - 0.85], [y0, y], color=GREY, linewidth=4, alpha=progress, zorder=1)
        arrow(sheet, (x - 0.9, y), (x - RADIUS, y), tint(GREY, progress), 4)


def animation() -> Iterator[Figure]:
    """Every position asks all positions and gathers, layer by layer (Vaswani et al., 2017); a figure per frame."""
    one, all_words = f"“{WORDS[FOCUS]}”", "Layer 2, all words at the same time:"
    scenes = [  # layer, who, stage, frames, caption
        (0, EVERYONE, DONE, 14, "A vector for each word, plus a vector for its position"),
        (1, EVERYONE, PROJECT, 16, "Layer 1: each word makes a query, a key and a value"),
        (1, [FOCUS], COMPARE, 16, f"Layer 1: the query of {one} is compared with all keys: the weights"),
        (1, [FOCUS], GATHER, 14, f"Layer 1: {one} gathers all values, by weight"),
        (1, [FOCUS], ADD, 14, f"Layer 1: {one} adds its own vector (residual); feed-forward"),
        (1, EVERYONE, COMPARE, 8, "Layer 1: all words do so at the same time"),
        (1, EVERYONE, GATHER, 12, "Layer 1: all words do so at the same time"),
        (1, EVERYONE, ADD, 8, "Layer 1: all words do so at the same time"),
        (2, EVERYONE, PROJECT, 8, f"{all_words} query, key, value"),
        (2, EVERYONE, COMPARE, 8, f"{all_words} compare"),
        (2, EVERYONE, GATHER, 12, f"{all_words} gather"),
        (2, EVERYONE, ADD, 8, f"{all_words} add, feed-forward"),
        (2, EVERYONE, DONE, 28, "No word waits for another"),  # a pause before it begins again
    ]
    frames = [(*scene[:3], n / scene[3], scene[4]) for scene in scenes for n in range(1, scene[3] + 1)]
    for frame in tqdm(frames, desc="animation", unit="frame"):
        figure = layers(*frame)
        figure.set_dpi(65)  # the file stays small
        yield figure


def still() -> Figure:
    """The animation in one picture, for print: layer 1 complete, one word of layer 2 gathering."""
    return layers(2, [FOCUS], GATHER, 1, "Every word asks all words and gathers by weight, in every layer")
