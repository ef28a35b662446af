"""The plots of the lessons: what they draw, and what they leave alone."""

import matplotlib.pyplot as plt
import pytest

from course import plots


@pytest.fixture
def shown(monkeypatch):
    """The figures that a helper showed."""
    plt.switch_backend("agg")
    figures = []
    monkeypatch.setattr(plt, "show", lambda: figures.append(plt.gcf()))
    yield figures
    plt.close("all")


def test_plot_lines_labels_and_legend(shown):
    plots.plot_lines({"a": ([1, 2], [3, 4]), "b": ([1, 2], [4, 3])}, "x", "y", "title", xscale="log")
    (ax,) = shown[0].axes
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(), ax.get_xscale()) == ("x", "y", "title", "log")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_plot_bars_writes_the_values(shown):
    plots.plot_bars({"a": 1234, "b": 5}, "n", "title")
    assert {"1,234", "5"} <= {text.get_text() for text in shown[0].axes[0].texts}


def test_plot_heatmap_puts_rows_and_columns_in_place(shown):
    plots.plot_heatmap([[0.0, 1.0, 0.5]], ["r"], ["a", "b", "c"], "title", fmt="{:.1f}")
    (ax,) = shown[0].axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in ax.texts] == ["0.0", "1.0", "0.5"]


def test_plot_matrices_draws_each_with_its_title_on_one_scale(shown):
    plots.plot_matrices({"a": [[0.0, 0.5]], "b": [[-1.0, 1.0]], "c": [[0.1, 0.2]]}, columns=2, labels=["x", "y"])
    drawn = [ax for ax in shown[0].axes if ax.images]
    assert [ax.get_title() for ax in drawn] == ["a", "b", "c"]
    assert {ax.images[0].get_clim() for ax in drawn} == {(-1, 1)}
    assert drawn[1].images[0].get_array().tolist() == [[-1.0, 1.0]]
    assert [tick.get_text() for tick in drawn[0].get_xticklabels()] == ["x", "y"]
    assert not shown[0].axes[3].axison  # nothing in the fourth place


def test_plots_leave_the_settings_of_the_reader_alone(shown):
    before = plt.rcParams.copy()
    plots.plot_bars({"a": 1}, "n", "title")
    assert plt.rcParams == before
