"""What the pictures are drawn with: a sheet, boxes, words, nodes, arrows, in the colours of the course."""

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.typing import ColorType

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
