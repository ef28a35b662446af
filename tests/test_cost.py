"""course/cost.py: counted operations beside those that torch counts, forecasts in proportion."""

import json

import pytest
import torch
import transformers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course import cost, finetuning
from course.notebooks import ROOT

SHAPE = {"hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 96, "num_hidden_layers": 5}


@pytest.mark.parametrize("pieces", [4, 50])
@pytest.mark.parametrize("frozen", [0, 3, 5])
def test_operations_of_a_forward_pass_are_those_that_torch_counts(pieces, frozen):
    config = transformers.BertConfig(**SHAPE, attn_implementation="eager")
    model = transformers.BertForSequenceClassification(config).eval()
    finetuning.last_layer_at_cls(model)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.bert.encoder(torch.randn(1, pieces, 24))
    lower = cost.training_operations(config, pieces, 5)  # all frozen: forward only
    assert lower == counter.get_total_flops()
    upper = cost.training_operations(config, pieces, frozen) - lower  # two times the forward pass of what learns
    whole, last = cost.layer_operations(24, 96, pieces), cost.layer_operations(24, 96, pieces, queries=1)
    assert upper == 2 * (max(0, 4 - frozen) * whole + (last if frozen < 5 else 0))


def test_what_is_kept_is_computed_once():
    config = transformers.BertConfig(**SHAPE)
    once, twice = (cost.training_operations(config, 30, 4, passes) for passes in (1, 2))
    assert twice == 2 * once
    kept = cost.training_operations(config, 30, 4, passes=2, keeps=True)
    assert twice - kept == 4 * cost.layer_operations(24, 96, 30)


def test_forecasts_grow_with_operations_after_a_start_that_any_run_takes():
    runs = {"rows 1000": (3, 1e12, 1000), "rows 4000": (9, 4e12, 4000), "rows 16000": (30, 16e12, 16_000)}
    runs |= {"base": (21, 5e12, 1000)}
    names = ("seconds", "operations", "train_rows")
    found = cost.forecasts({name: dict(zip(names, run, strict=True)) for name, run in runs.items()})
    assert (found["start"], found["rate"]) == (1, 0.5e12)
    assert found["checks"] == {"rows 1000": 3, "rows 4000": 9, "rows 16000": 33, "base": 11}
    ours, base = found["official"].values()
    assert ours["here"] == 241 and base["here"] == 2401
    assert ours["gpu"] == pytest.approx(120e12 / (989e12 * 0.3))
    assert ours["gpu"] / ours["gpus"] == pytest.approx(8 * cost.SCALING)


def test_disturbed_runs_and_one_run_twice_are_extrapolated_in_proportion():
    assert cost.start_and_rate((4.0, 2.0), (4.0, 2.0)) == (0, 2)
    assert cost.start_and_rate((1.0, 5.0), (4.0, 4.0)) == (0, 1)
    assert cost.start_and_rate((1.0, 0.1), (4.0, 4.0)) == (0, 1)  # the start is not below 0


def test_a_forecast_for_16000_rows_from_1000_and_4000_was_right_within_15_percent():
    runs = json.loads((ROOT / "scripts" / "benchmark.json").read_text())["cost"]
    forecast = cost.forecasts(runs)["checks"]["rows 16000"]
    assert forecast == pytest.approx(runs["rows 16000"]["seconds"], rel=0.15)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "0.012 s"), (9.4, "9.4 s"), (42.3, "42 s"), (150, "2.5 min"), (1300, "22 min"), (9000, "2.5 h")],
)
def test_durations_are_said_in_a_unit_that_fits(seconds, text):
    assert cost.duration(seconds) == text
