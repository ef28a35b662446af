"""The figures about the size of the vector that lesson 1 shows, and the script that measured them."""

import json

import bottleneck


def keys(runs):
    return [(run["model"], run["size"], run["iterations"], run["seed"]) for run in runs]


def test_the_stored_figures_are_those_of_every_case_and_seed():
    runs = json.loads(bottleneck.FIGURES.read_text())
    assert sorted(keys(runs)) == sorted((*case, seed) for seed in bottleneck.SEEDS for case in bottleneck.CASES)
    assert all(0 < run["accuracy"] <= 1 for run in runs)
    shown = [run for run in runs if run["model"] == "with attention" and run["size"] == 64]  # in section 5
    assert len(shown) == 3 and all(0 < run["looks"] <= 1 for run in shown)


def test_what_is_measured_already_is_kept_and_each_run_is_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(bottleneck, "FIGURES", tmp_path / "bottleneck.json")
    monkeypatch.setattr(bottleneck, "SEEDS", (0, 1))
    monkeypatch.setattr(bottleneck, "CASES", [("one vector", 32, 5), ("with attention", 32, 5)])
    asked = []

    def measure(seed, *case):
        asked.append((seed, *case))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return {"accuracy": 0.5}

    monkeypatch.setattr(bottleneck, "measure", measure)
    for _ in range(2):
        try:
            bottleneck.main()
        except KeyboardInterrupt:
            assert len(json.loads(bottleneck.FIGURES.read_text())) == 1
    assert len(asked) == 5 and asked[1] == asked[2]  # the one that was stopped, again; no other twice
    assert len(set(keys(json.loads(bottleneck.FIGURES.read_text())))) == 4
