"""Pictures of the transformer."""

from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.patches import Circle
from tqdm import tqdm

from sheet import BLUE, GREEN, GREY, RADIUS, arrow, canvas, label, node, tint, word

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


def animation() -> Iterator[Figure]:
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


def still() -> Figure:
    """The animation in one picture, for print: layer 1 complete, one word of layer 2 gathering."""
    return gathering(2, [FOCUS], 1, "Every word gathers from all words, in every layer")
