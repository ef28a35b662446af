"""The plots of the lessons: what they draw, what they say of it, and what they leave alone."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from course import alt, plots


@pytest.fixture
def shown(monkeypatch):
    """The pictures that a helper showed, each with its figure."""
    pictures, figures = [], []

    class Figure(plots.Figure):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            figures.append(self)

    def display(picture):
        picture.axes = figures[-1].axes
        pictures.append(picture)

    monkeypatch.setattr(plots, "Figure", Figure)
    monkeypatch.setattr(plots, "display", display)
    return pictures


@pytest.fixture
def korean(monkeypatch):
    monkeypatch.setattr(alt, "here", lambda: "ko")


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_a_plot_is_a_png_with_its_alternative_text_in_the_metadata(shown):
    plots.plot_bars({"a": 2, "b": 1}, "n", "title")
    _, metadata = shown[0]._repr_mimebundle_()
    assert imread(io.BytesIO(shown[0].data)).shape[1] > 600
    assert (
        metadata["image/png"]["alt"]
        == shown[0].alt
        == "Bar chart: title. n: a 2, b 1. Largest: a, 1 above b, the next."
    )


def test_plot_lines_labels_legend_bands_and_references(shown):
    series = {"a": ([1, 2], [3, 4], 0.5), "b": ([1, 2], [4, 3], [3, 2], [6, 4])}
    plots.plot_lines(series, "x", "y", "title", reference={"chance": 1}, at={"end": 2}, xscale="log", ylim=(0, 7))
    (ax,) = shown[0].axes
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(), ax.get_xscale()) == ("x", "y", "title", "log")
    assert labels(ax.get_legend().get_texts()) == ["a", "b", "chance: 1", "end: 2"]
    lows, highs = zip(
        *((band.get_datalim(ax.transData).y0, band.get_datalim(ax.transData).y1) for band in ax.collections),
        strict=True,
    )
    assert (lows, highs) == ((2.5, 2), (4.5, 6))


def test_ticks_of_a_log_axis_are_the_values_as_far_as_they_have_room(shown):
    few, many = [2e-5, 1e-3, 3000], range(64, 4097, 64)
    for x in (few, many):
        plots.plot_lines({"a": (x, x)}, "x", "y", "title", xscale="log", yscale="log")
    assert labels(shown[0].axes[0].get_xticklabels()) == ["2e-05", "0.001", "3,000"]
    ticks = shown[1].axes[0].get_xticks()
    assert len(ticks) < 10 and ticks[-1] == 4096 and set(ticks) <= set(many)
    assert not any("$" in text for picture in shown for text in labels(picture.axes[0].get_yticklabels()))


def test_plot_panels_gives_each_quantity_its_axis(shown):
    panels = {"loss": {"train": ([1, 2], [3, 1])}, "accuracy": {"train": ([1, 2], [0.2, 0.4])}}
    plots.plot_panels(panels, "step", "Fine-tuning", at={"half": 1.5})
    assert [ax.get_ylabel() for ax in shown[0].axes] == ["loss", "accuracy"]
    assert [ax.get_legend() is not None for ax in shown[0].axes] == [False, True]  # the lines have the same names
    assert all(list(ax.lines[1].get_xdata()) == [1.5, 1.5] for ax in shown[0].axes) and "half, 1.5" in shown[0].alt
    assert "Up: loss. train: from 3 to 1." in shown[0].alt and "Up: accuracy. train: from 0.2 to 0.4." in shown[0].alt


def test_plot_bars_writes_values_whiskers_and_references(shown):
    spread = {"a": 0.05, "b": (0.1, 0.4)}
    plots.plot_bars({"a": 0.5, "b": 0.3}, "n", "title", "{:.2f}", spread, {"chance": 0.25}, xlim=(0, 1))
    (ax,) = shown[0].axes
    assert {"0.50", "0.30"} <= set(labels(ax.texts)) and ax.get_xlim() == (0, 1)
    (whiskers,) = ax.containers[0].lines[2]
    assert np.allclose([part[:, 0] for part in whiskers.get_segments()], [(0.45, 0.55), (0.1, 0.4)])
    assert "a 0.50 ± 0.05, b 0.30 (0.10 … 0.40)" in shown[0].alt and "chance, 0.25" in shown[0].alt


def test_plot_heatmap_puts_rows_and_columns_in_place_and_can_be_read(shown):
    plots.plot_heatmap([[0.0, 1.0, 0.5]], ["r"], ["a", "b", "c"], "title", fmt="{:.1f}")
    (ax,) = shown[0].axes  # the values are there: no colour bar
    assert labels(ax.get_xticklabels()) == ["a", "b", "c"] and labels(ax.texts) == ["0.0", "1.0", "0.5"]
    assert [text.get_color() for text in ax.texts] == ["black", "white", "black"]
    assert shown[0].alt.endswith("Row by row: r: a 0, b 1, c 0.5.")


@pytest.mark.parametrize(("count", "turn"), [(3, 0), (12, 45)])
def test_names_of_columns_are_straight_where_there_is_room(shown, count, turn):
    plots.plot_heatmap([[0.5] * count], ["r"], ["feed-forward"] * count, "title", fmt="{:.1f}")
    assert {label.get_rotation() for label in shown[0].axes[0].get_xticklabels()} == {turn}


@pytest.mark.parametrize(
    ("matrix", "options", "colours", "ends"),
    [
        ([[0.0, 0.4]], {}, "Blues", (0, 1)),  # weights
        ([[0.0, 3.0]], {}, "Blues", (0, 3)),
        ([[-0.1, 0.4]], {}, "RdBu", (-1, 1)),
        ([[0.1, 0.4]], {"signed": True}, "RdBu", (-1, 1)),
        ([[-0.1, 0.4]], {"signed": False}, "Blues", (-0.1, 1)),
        ([[0.7, 0.8]], {"limits": (0.6, 0.9)}, "Blues", (0.6, 0.9)),
    ],
)
def test_colours_are_diverging_only_where_there_is_a_sign(shown, matrix, options, colours, ends):
    plots.plot_heatmap(matrix, ["r"], ["a", "b"], "title", **options)
    plots.plot_matrices({"m": matrix}, **options)
    for table, bar in (picture.axes for picture in shown):
        (image,) = table.images
        assert (image.get_cmap().name, *image.get_clim()) == (colours, *ends)
        assert bar.get_ylim() == ends


def test_plot_matrices_draws_each_with_its_title_on_one_scale(shown):
    matrices = {"a": [[0.0, 0.5]], "b": [[-1.0, 1.0]], "c": [[0.1, 0.2]]}
    plots.plot_matrices(matrices, columns=2, labels=["r"], xlabels=["x", "y"])
    drawn = [ax for ax in shown[0].axes if ax.images]
    assert [ax.get_title() for ax in drawn] == ["a", "b", "c"]
    assert {ax.images[0].get_clim() for ax in drawn} == {(-1, 1)}
    assert drawn[1].images[0].get_array().tolist() == [[-1.0, 1.0]]
    assert labels(drawn[0].get_xticklabels()) == ["x", "y"] and labels(drawn[0].get_yticklabels()) == ["r"]
    assert not shown[0].axes[3].axison  # nothing in the fourth place


def test_a_grid_of_matrices_names_its_rows_and_columns(shown):
    matrices = {f"{layer}.{head}": np.eye(2) for layer in (1, 2) for head in (1, 2, 3)}
    plots.plot_matrices(matrices, 3, grid_rows=["layer 1", "layer 2"], grid_columns=["head 1", "head 2", "head 3"])
    drawn = [ax for ax in shown[0].axes if ax.images]
    assert [ax.get_title() for ax in drawn] == ["head 1", "head 2", "head 3", "", "", ""]
    assert [ax.get_ylabel() for ax in drawn] == ["layer 1", "", "", "layer 2", "", ""]


def test_plot_points_puts_each_group_in_place(shown):
    plots.plot_points({"season": [[0, 0], [0, 2]], "coil": [[5, 5]]}, "first", "second", "title")
    assert [line.get_xydata().tolist() for line in shown[0].axes[0].lines] == [[[0, 0], [0, 2]], [[5, 5]]]
    assert "season: 2 points around (0, 1), on average 1 away from there." in shown[0].alt


def test_dollars_are_no_formula_and_hangul_is_no_empty_box(shown, recwarn):
    plots.plot_bars({"from $30 to $25": 1, "주가가 올랐다": 2}, "n", "from $x^2$ to $y$")
    (ax,) = shown[0].axes
    assert ax.get_title() == "from $x^2$ to $y$" and not ax.title.get_parse_math()
    names = labels(ax.get_yticklabels())
    assert names[0] == "from $30 to $25"
    assert names[1] == ("주가가 올랐다" if len(plots.FONTS) > 1 else "??? ???")
    assert not [warning for warning in recwarn if "lyph" in str(warning.message)]


def test_without_a_font_a_question_mark_stands_for_a_sign(monkeypatch):
    monkeypatch.setattr(plots, "_glyphs", lambda: frozenset(map(ord, "abc")))
    assert plots.readable("ab 가c") == "ab ?c"


def test_plots_leave_the_settings_of_the_reader_alone(shown):
    before = dict(matplotlib.rcParams)
    plots.plot_bars({"a": 1}, "n", "title")
    assert dict(matplotlib.rcParams) == before


def test_alt_of_lines_says_who_leads_by_how_much_and_where_that_changes():
    x = [1, 2, 4, 8]
    told = alt.lines({"a": (x, [0, 1, 5, 9]), "b": (x, [0, 2, 3, 4])}, "words", "ms", "Faster?", {"chance": 0.5})
    assert told == (
        "Line plot: Faster? Across: words, from 1 to 8. Up: ms. a: from 0 to 9. b: from 0 to 4. "
        "At the right end a lies above b by 5. Between 2 and 4 the upper line changes, from b to a. "
        "Line for comparison: chance, 0.5."
    )
    hill = alt.lines({"a": (x, [0, 9, 1, 2], [1, 3, 1, 1])}, "x", "y", "title", {})
    assert "a: from 0 to 2, highest 9 at 2, ± at most 3." in hill and "lowest" not in hill
    three = alt.lines({"a": (x, [0, 0, 0, 2]), "b": (x, [9, 9, 9, 9]), "c": (x, [5, 5, 5, 5])}, "x", "y", "title", {})
    assert "At the right end, from top to bottom: b 9, c 5, a 2." in three


def test_alt_of_tables_names_the_largest_of_each_row_and_what_lies_around_the_diagonal():
    names = ["the", "wolf", "sees", "the", "girl", "."]
    told = alt.heatmap(np.eye(6)[::-1], names, names, "title", xlabel="read", ylabel="")
    assert "Rows: 6. Columns: 6 (read). The largest value of each row: the → . 1, wolf → girl 1, sees → the 1" in told
    past = {"one left": np.eye(3, k=-1), "past": np.tril(np.ones((3, 3))) / 4}
    told = alt.matrices(past, 0, 1, xlabel="", ylabel="")
    assert "one left: mean on the diagonal 0, one place left of it 1, one place right of it 0; nothing right" in told
    assert "highest in one left (0.667), lowest in past (0.25)" in told


def test_alt_speaks_the_language_of_the_lesson(korean):
    told = alt.bars({"a": 2.0, "b": 1.5}, "accuracy", "Title", "{:.1f}", {}, {})
    assert told == "막대그래프: Title. accuracy: a 2.0, b 1.5. 가장 큰 값: a. 그다음은 b, 차이 0.5."
