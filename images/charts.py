"""The picture of the README: what fine-tuning costs, as measured and as forecast from one of the runs."""

import json

from matplotlib.figure import Figure

from course import cost
from course.notebooks import ROOT
from sheet import BLUE, VERMILLION


def cost_of_training() -> Figure:
    """Seconds against the number of rows and against their length, from scripts/benchmark.json."""
    runs = json.loads((ROOT / "scripts" / "benchmark.json").read_text(encoding="utf-8"))["cost"]
    forecast = cost.forecasts(runs)["checks"]
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    titles = {"rows": "training rows, 96 pieces at most", "length": "word pieces in each of 1,000 rows"}
    for axes, (kind, xlabel) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        names = [name for name in runs if name.split()[0] == kind]
        x = [int(name.split()[1]) for name in names]
        axes.plot(x, [forecast[name] for name in names], "--", color=VERMILLION, label="forecast")
        axes.plot(x, [runs[name]["seconds"] for name in names], "o", color=BLUE, markersize=9, label="measured")
        axes.set(xscale="log", yscale="log")
        axes.set_xlabel(xlabel, fontsize=16)
        axes.set_ylabel("seconds", fontsize=16)
        low, high = axes.get_ylim()
        y = [value for value in (2, 5, 10, 20, 50, 100, 200) if low < value < high]
        for axis, ticks in ((axes.xaxis, x), (axes.yaxis, y)):
            axis.set_ticks(ticks, [f"{value:,}" for value in ticks])
            axis.set_ticks([], minor=True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=14)
        axes.tick_params(labelsize=14)
    return figure
