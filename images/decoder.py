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
    query_x, sum_x, middle = 5.6, 10.4, 6.3
    figure, sheet = canvas(12.2)
    band(sheet, "encoder", 1.9, 3.4, BLUE)
    band(sheet, "cross-\nattention", 5.45, 3.3, VERMILLION)
    box(sheet, 9.0, 1.75, 12.6, 0.8, facecolor=tint(BLUE, 0.15), edgecolor=BLUE, linewidth=2)
    label(sheet, 9.0, 1.75, "every word looks at all words, left and right")
    for number, (text, weight) in enumerate(english, start=1):
        x, color = 2.0 + 2 * number, tint(VERMILLION, 0.35 + 0.65 * weight)
        word(sheet, x, 0.65, text, BLUE)
        arrow(sheet, (x, 1.0), (x, 1.35), BLUE)
        arrow(sheet, (x, 2.15), (x, 2.6), BLUE)
        vector(sheet, x - 0.43, 3.0, f"$k_{number}$", BLUE)
        vector(sheet, x + 0.43, 3.0, f"$v_{number}$", BLUE, 0.3)
        look = {"color": color, "linewidth": 1.2 + 12 * weight, "zorder": 1}
        sheet.plot([x + 0.43, x + 0.43], [3.35, 4.4], **look)
        sheet.plot([x + 0.43, sum_x], [4.9, middle], **look)
        sheet.plot([x - 0.43, x - 0.43, query_x], [3.35, 4.9, middle], color=tint(GREEN, 0.8), linewidth=2, zorder=2)
        box(sheet, x, 4.55, 1.3, 0.7, facecolor="white", edgecolor=color, linewidth=2, zorder=3)
        label(sheet, x, 4.55, f"{weight:.2f}", zorder=4)
    node(sheet, sum_x, middle, "$c_2$", VERMILLION)
    label(sheet, sum_x + 0.9, middle, r"$c_2 = \sum_i\, \alpha_{2,i}\, v_i$", "left", fontsize=21)
    vector(sheet, query_x, middle, "$q_2$", GREEN, 0.3)
    label(sheet, query_x - 0.6, middle + 0.1, "compared\nwith each key", "right", color=GREEN, fontsize=16)
    decoder_states(sheet, (query_x + 0.2, middle + 0.38), (sum_x - 0.3, middle + 0.55))
    return figure


def decoder_states(sheet: Axes, query: tuple[float, float], context: tuple[float, float]) -> None:
    """Three places of the decoder: what each reads, sees and writes. The second one sends its query, gets its sum."""
    read_y, state_y, written_y = 7.95, 9.85, 11.55
    band(sheet, "decoder", 9.7, 4.75, GREEN)
    told = "causal\nself-attention:\neach sees itself\nand what stands\nleft of it"
    label(sheet, 0.5, 8.25, told, "left", color=GREEN, fontsize=15)
    states = [(4.0, "s_1", "<start>", "lupus"), (8.0, "s_2", "lupus", "magnus"), (12.0, "s_3", "magnus", "…")]
    for x, symbol, read, written in states:
        color = GREEN if x <= 8 else tint(GREEN, 0.45)
        for seen in range(4, int(x) + 1, 4):
            sheet.plot([seen, x], [read_y + 0.35, state_y], color=color, linewidth=2, zorder=1 - x / 100)
        word(sheet, x, read_y, read, color)
        node(sheet, x, state_y, f"${symbol}$", color)
        arrow(sheet, (x, state_y + RADIUS), (x, written_y - 0.35), color)
        word(sheet, x, written_y, written, color)
    asks = {"color": tint(GREEN, 0.8), "linewidth": 2.5, "linestyle": "--", "zorder": 2}
    sheet.plot([7.6, query[0]], [state_y - 0.45, query[1]], **asks)
    arrow(sheet, context, (8.42, state_y - 0.47), VERMILLION, 4)


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
