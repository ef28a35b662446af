"""A picture of attention weights to click on: pick a layer and a head, point at a word, see what it attends to.

    from course.heads import show_heads
    show_heads(weights, tokens)

It is plain HTML, SVG and script, with nothing loaded from anywhere. Where scripts do not run (a notebook that is not
trusted yet, GitHub) the same head is there as a PNG picture.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML

from course.language import WORDS, here
from course.plots import FONTS, readable

ROW, LEFT, RIGHT, WIDTH = 28, 230, 530, 760  # pixels: height of a word, where the lines begin and end, the picture
BLUE = "#0072B2"
SCRIPT = (files("course") / "heads.js").read_text(encoding="utf-8").rstrip()  # a function of the box and the data


def show_heads(
    attentions: torch.Tensor | Sequence[torch.Tensor],
    tokens: Sequence[str],
    queries: Sequence[str] | None = None,
    layer: int = 1,
    head: int = 1,
) -> HTML:
    """Attention weights as lines from the words that look to the words they look at, as wide as the weight.

    Args:
        attentions: weights `(layers, heads, queries, keys)`, each row with the sum 1; or what a model of transformers
            gives with `output_attentions=True`: for each layer `(1, heads, queries, keys)`.
        tokens: the words that are looked at, one for each key.
        queries: the words that look; by default the same ones (self-attention).
        layer, head: what is shown first, counted from 1.

    Raises:
        ValueError: shapes and words do not fit each other, the weights are no attention weights, or there is no such
            layer or head.
    """
    queries = list(tokens) if queries is None else list(queries)
    tokens = list(tokens)
    weights = _checked(attentions, queries, tokens)
    layers, heads = weights.shape[:2]
    if not (1 <= layer <= layers and 1 <= head <= heads):
        raise ValueError(f"there is no head {layer}.{head}: layers count from 1 to {layers}, heads from 1 to {heads}")
    data = {
        "queries": queries,
        "keys": tokens,
        "layer": layer,
        "head": head,
        "drawing": [ROW, RIGHT - LEFT, BLUE],
        "words": WORDS[here()]["heads"],
        "weights": (weights * 1000).round().int().tolist(),  # in thousandths
    }
    # no "<" inside of the script: a token such as </script> would end it
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    picture = base64.b64encode(_picture(weights[layer - 1, head - 1], queries, tokens)).decode()
    label = escape(_described(weights[layer - 1, head - 1], queries, tokens, layer, head))
    return HTML(
        # the other two classes keep MathJax from reading a token such as $x$ as a formula
        f'<div class="show-heads mathjax_ignore tex2jax_ignore" style="max-width:{WIDTH}px">\n'
        f'<img alt="{label}" style="max-width:100%" src="data:image/png;base64,{picture}">\n'
        f"<script>({SCRIPT})(document.currentScript.parentElement, {text});</script>\n</div>"
    )


def _checked(attentions, queries: list[str], tokens: list[str]) -> torch.Tensor:
    """The weights as one tensor (layers, heads, queries, keys) on the CPU."""
    if not isinstance(attentions, torch.Tensor):
        if not attentions or attentions[0] is None:
            raise ValueError('no attention weights: load the model with attn_implementation="eager"')
        if any(layer.shape[0] != 1 for layer in attentions):
            raise ValueError(
                f"expected one text, (1, heads, queries, keys) for each layer, got {tuple(attentions[0].shape)}"
            )
        attentions = torch.cat(list(attentions))
    rounding = 1e-3 if attentions.dtype == torch.float32 else 1e-2
    weights = attentions.detach().float().cpu()
    if weights.dim() != 4 or weights.shape[2:] != (len(queries), len(tokens)):
        raise ValueError(
            f"expected weights (layers, heads, {len(queries)}, {len(tokens)}) for {len(queries)} words that look and "
            f"{len(tokens)} that are looked at, got {tuple(weights.shape)}"
        )
    if not torch.allclose(weights.sum(dim=-1), torch.ones(weights.shape[:3]), atol=rounding) or (weights < 0).any():
        raise ValueError(
            "these are no attention weights: each row must be 0 or more and sum to 1 (softmax? model.eval()?)"
        )
    return weights


def _described(weights: torch.Tensor, queries: list[str], tokens: list[str], layer: int, head: int) -> str:
    """The alternative text of the picture: for each word that looks, the one that it looks at most."""
    words = WORDS[here()]["heads"]
    best = zip(queries, *(found.tolist() for found in weights.max(dim=1)), strict=True)
    seen = [words["looks"].format(query=query, key=tokens[j], weight=f"{weight:.2f}") for query, weight, j in best]
    return f"{words['name'].format(layer=layer, head=head)}. {'; '.join(seen)}."


def _picture(weights: torch.Tensor, queries: list[str], tokens: list[str]) -> bytes:
    """The same drawing as a PNG file, for places where the script does not run."""
    height = ROW * max(len(queries), len(tokens)) + 10
    with plt.rc_context({"font.family": FONTS, "text.usetex": False, "text.parse_math": False, "font.size": 12}):
        figure = plt.figure(figsize=(WIDTH / 100, height / 100), dpi=100)
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, WIDTH), ylim=(height, 0))
        ax.axis("off")
        for (i, j), weight in np.ndenumerate(weights.numpy()):
            if weight >= 0.01:  # less cannot be seen
                ax.plot([LEFT, RIGHT], [_y(i), _y(j)], color=BLUE, alpha=min(weight, 1), linewidth=1 + 4 * weight)
        for x, side, words in ((LEFT - 8, "right", queries), (RIGHT + 8, "left", tokens)):
            for i, word in enumerate(words):
                ax.text(x, _y(i), readable(word), ha=side, va="center")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
        plt.close(figure)
    return buffer.getvalue()


def _y(i: int) -> float:
    return ROW * (i + 0.5) + 5
