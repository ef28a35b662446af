"""Take each part of lesson 2's transformer away with several seeds, and sort topics with several models.

TORCHNLP_DATA=path/to/ag_news python scripts/ablation.py     half an hour; writes scripts/ablation.json
"""

import argparse
import random
import sys
from pathlib import Path

import torch

from course.files import write_json
from course.notebooks import ROOT, run_cells

LESSON = "2-transformers"
MODELS = ("sinusoidal-positions", "split-heads", "self-attention", "block")
TASKS = ("both-ways", "classifier", "no-residual", "take-away", "curve", "recurrent", "topics-train", "accuracy")
DEEP = 12  # blocks, beside the four of the lesson
DEEP_PARTS = ("nothing", "residual", "layer norm")  # those that are said to make deep stacks trainable


def measure(seed: int, deep: bool = True) -> dict:
    """What is measured with one seed: rows drawn anew, every model with fresh weights.

    Returns:
        {"parts": {part: figures}, "deep": the same with 12 blocks, "topics": {model: accuracy}}; figures are the
        training loss of every 10 batches and the accuracy on held-out texts.
    """
    random.seed(seed)
    torch.manual_seed(seed)
    lesson = run_cells(LESSON, "imports", "imports-course", *MODELS, "load-news", *TASKS, "topics-models")

    def train(part: str, num_layers: int) -> dict:
        net = lesson["model_without"](part, num_layers)
        loss = [round(value, 4) for value in lesson["training_curve"](net)]
        return {"loss": loss, "accuracy": lesson["accuracy"](net, lesson["held_out"], lesson["both_ways"])}

    topics = {}
    for name, (net, rate) in lesson["topic_models"]().items():
        lesson["train_topics"](net.to(lesson["device"]), rate)
        topics[name] = lesson["accuracy"](net, lesson["test"])
    return {
        "parts": {part: train(part, 4) for part in lesson["PARTS"]},
        "deep": {part: train(part, DEEP) for part in DEEP_PARTS if deep},
        "topics": topics,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--output", type=Path, default=ROOT / "scripts" / "ablation.json")
    options = parser.parse_args(arguments)
    runs = []
    for seed in options.seeds:
        runs.append({"seed": seed} | measure(seed))
        write_json(options.output, {"runs": runs})
        print(f"seed {seed}: {len(runs)} of {len(options.seeds)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
