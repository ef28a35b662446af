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
CELLS = (
    "imports", "imports-course", "sinusoidal-positions", "split-heads", "self-attention", "block", "load-news",
    "both-ways", "classifier", "no-residual", "take-away", "curve", "accuracy", "recurrent", "topics-train",
    "topics-models",
)  # fmt: skip
DEEP = 8  # blocks, beside the four of the lesson
DEEP_PARTS = ("complete", "no residual", "no layer norm")


def norm_first(block: type) -> type:
    """The lesson's block with each norm in front of its part (Xiong et al., 2020), as in exercise 2.2."""

    class NormFirst(block):
        def forward(self, x, mask=None):  # (batch, tokens, hidden)
            x = x + self.dropout(self.attention(self.norm1(x), mask))
            return x + self.dropout(self.feed_forward(self.norm2(x)))

    return NormFirst


def measure(seed: int, points: int = 16, epochs: int = 4) -> dict:
    """What is measured with one seed: rows drawn anew, every model with fresh weights.

    Returns:
        {"seed", "parts": {part: figures}, "deep": the same with 8 blocks, "topics": {model: accuracy}}; figures are the
        training loss of every 10 batches and the accuracy on held-out texts.
    """
    random.seed(seed)
    torch.manual_seed(seed)
    lesson = run_cells(LESSON, *CELLS)

    def figures(net) -> dict:
        loss = [round(value, 4) for value in lesson["training_curve"](net, points)]
        return {"loss": loss, "accuracy": round(lesson["accuracy"](net, lesson["held_out"], lesson["both_ways"]), 4)}

    parts = {part: figures(lesson["model_with"](part)) for part in lesson["PARTS"]}
    deep = {part: figures(lesson["model_with"](part, DEEP)) for part in DEEP_PARTS}
    net = lesson["Classifier"](2, DEEP, block=norm_first(lesson["Block"])).to(lesson["device"])
    deep["complete, norm first"] = figures(net)
    topics = {}
    for name, (net, rate) in lesson["topic_models"]().items():
        lesson["train_topics"](net.to(lesson["device"]), rate, epochs)
        topics[name] = round(lesson["accuracy"](net, lesson["test"], lesson["batches"]), 4)
    return {"seed": seed, "parts": parts, "deep": deep, "topics": topics}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--output", type=Path, default=ROOT / "scripts" / "ablation.json")
    options = parser.parse_args(arguments)
    runs = []
    for seed in options.seeds:
        runs.append(measure(seed))
        write_json(options.output, {"runs": runs})
        print(f"seed {seed}: {len(runs)} of {len(options.seeds)}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"scripts/ablation.py: {error}; the seeds that were finished are kept")
