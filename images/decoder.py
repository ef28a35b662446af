"""Pictures of lesson 4: cross-attention, and the key-value cache."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from sheet import BLUE, GREEN, GREY, RADIUS, VERMILLION, arrow, box, canvas, label, node, tint, word


def vector(sheet: Axes, x: float, y: float, symbol: str, color: ColorType, filled: float = 0.15) -> None:
    """A query, a key or a value: a small box with its symbol."""
    box(sheet, x, y, 0.8, 0.7, facecolor=tint(color, filled), edgecolor=color, linewidth=2, zorder=3)
    label(sheet, x, y, symbol, fontsize=19, zorder=4)


def band(sheet: Axes, name: str, y: float, height: float, color: ColorType) -> None:
    """A part of the model: a pale stripe with its name on the left."""
    box(sheet, 8, y, 15.6, height, facecolor=tint(color, 0.08), edgecolor="none", zorder=0)
    label(sheet, 0.5, y, name, "left", color=color, weight="bold", linespacing=1.3)


def cross_attention() -> Figure:
    """A decoder that has read "<start> lupus" asks the encoder's words (Vaswani et al., 2017); weights made up."""
    english = [("the", 0.03), ("big", 0.84), ("wolf", 0.08), ("sees", 0.02), ("the", 0.01), ("girl", 0.02)]
    now, result_y, decoder_y = 8.0, 6.55, 8.25
    figure, sheet = canvas(10.5)
    band(sheet, "encoder", 1.9, 3.4, BLUE)
    band(sheet, "cross-\nattention", 5.45, 3.3, VERMILLION)
    band(sheet, "decoder", 8.85, 3.1, GREEN)
    box(sheet, 9.0, 1.75, 12.6, 0.8, facecolor=tint(BLUE, 0.15), edgecolor=BLUE, linewidth=2)
    label(sheet, 9.0, 1.75, "every word looks at all words, left and right")
    for number, (text, weight) in enumerate(english, start=1):
        x, color = 2.0 + 2 * number, tint(VERMILLION, 0.35 + 0.65 * weight)
        word(sheet, x, 0.65, text, BLUE)
        arrow(sheet, (x, 1.0), (x, 1.35), BLUE)
        arrow(sheet, (x, 2.15), (x, 2.6), BLUE)
        vector(sheet, x - 0.43, 3.0, f"$k_{number}$", BLUE)
        vector(sheet, x + 0.43, 3.0, f"$v_{number}$", BLUE, 0.3)
        sheet.plot([x, x], [3.35, 4.4], color=color, linewidth=1.2 + 12 * weight, zorder=1)
        box(sheet, x, 4.55, 1.3, 0.7, facecolor="white", edgecolor=color, linewidth=2, zorder=2)
        label(sheet, x, 4.55, f"{weight:.2f}", zorder=3)
        sheet.plot([x, now], [4.9, result_y - 0.4], color=color, linewidth=1.2 + 12 * weight, zorder=1)
    node(sheet, now, result_y, "$c_2$", VERMILLION)
    label(sheet, now + 0.9, result_y, r"$c_2 = \sum_i\, \alpha_{2,i}\, v_i$", "left", fontsize=21)
    vector(sheet, 3.0, result_y, "$q_2$", GREEN)
    look = {"color": tint(GREEN, 0.8), "linewidth": 2, "linestyle": "--"}
    sheet.plot([now - 0.55, 3.4], [decoder_y - 0.25, result_y + 0.1], **look)
    arrow(sheet, (3.0, result_y - 0.35), (3.6, 4.95), GREEN)
    label(sheet, 3.6, result_y - 0.62, "compared\nwith each key", "left", color=GREEN, fontsize=16)
    states = [(4.0, "s_1", "<start>", "lupus"), (now, "s_2", "lupus", "magnus"), (12.0, "s_3", "magnus", "…")]
    for x, symbol, read, written in states:
        color = GREEN if x <= now else tint(GREEN, 0.45)
        node(sheet, x, decoder_y, f"${symbol}$", color)
        label(sheet, x + 0.68, decoder_y + 0.35, f"has read “{read}”", "left", color=color, fontsize=16)
        arrow(sheet, (x, decoder_y + RADIUS), (x, 9.5), color)
        word(sheet, x, 9.85, written, color)
        if x < 12:
            later = GREEN if x < now else tint(GREEN, 0.45)
            arrow(sheet, (x + RADIUS, decoder_y), (x + 4 - RADIUS, decoder_y), later)
    arrow(sheet, (now, result_y + RADIUS), (now, decoder_y - RADIUS), VERMILLION, 4)
    return figure


def cache() -> Figure:
    """Two steps of writing with a key-value cache: what is computed anew, and what was kept."""
    text = ["the", "big", "wolf", "sees", "the", "girl"]
    figure, sheet = canvas(10.5)
    for step, (last, y, follows) in enumerate([(4, 7.0, "girl"), (5, 2.75, "today")], start=1):
        band(sheet, f"step {step}", y + 0.15, 3.9, (GREY, BLUE)[step - 1])
        query_y, key_y, value_y = y + 1.35, y, y - 0.8
        for i in range(last + 1):
            x, new = 2.9 + 1.9 * i, i == last
            color = VERMILLION if new else BLUE
            sheet.plot([2.9 + 1.9 * last, x], [query_y - 0.35, key_y + 0.35], color=tint(VERMILLION, 0.55), zorder=1)
            vector(sheet, x, key_y, f"$k_{i + 1}$", color)
            vector(sheet, x, value_y, f"$v_{i + 1}$", color, 0.3)
            label(sheet, x, y - 1.45, text[i], color=color if new else GREY, weight="bold" if new else "normal")
        vector(sheet, 2.9 + 1.9 * last, query_y, f"$q_{last + 1}$", VERMILLION)
        arrow(sheet, (2.9 + 1.9 * last + 0.5, query_y), (13.45, query_y), VERMILLION)
        word(sheet, 14.4, query_y, follows, VERMILLION)
        label(sheet, 14.4, query_y - 0.65, "next word", color=VERMILLION, fontsize=16)
        label(sheet, 2.4, query_y + 0.05, "the new word asks every key", "left", color=VERMILLION, fontsize=16)
    label(sheet, 2.4, 9.75, "kept in the cache", "left", color=BLUE, weight="bold")
    label(sheet, 7.4, 9.75, "computed in this step", "left", color=VERMILLION, weight="bold")
    label(sheet, 8.0, 0.35, "Old queries are not kept: their words have looked already.", color=GREY)
    return figure
