"""Is the size of the vector the bottleneck? Measured for lesson 1, which shows the figures from bottleneck.json.

python scripts/bottleneck.py            ten minutes on one core; what the file has already is not measured again

Trains the translator of lesson 1, by the lesson's own cells, with one vector and with attention: first with hidden
states of several sizes, then with one vector and more iterations, each with several seeds.
"""

import json
import random
import sys

import torch

from course.files import write_json
from course.notebooks import ROOT, run_cells

FIGURES = ROOT / "scripts" / "bottleneck.json"
SEEDS = range(3)
CASES = [  # (model, hidden size, iterations)
    *(("one vector", size, 500) for size in (32, 64, 128, 256)),
    *(("with attention", size, 500) for size in (32, 64, 128)),
    ("one vector", 64, 1000),
]
LESSON = ("with attention", 64)  # the one whose weights section 5 looks at
GRAMMAR_CELLS = ("imports", "nouns", "other-words", "noun-phrase", "clause", "sentence", "data", "test-data")
MODEL_CELLS = ("vocabularies", "to-tensors", "encoder", "decoder", "translator", "bahdanau-attention", "fit")
MEASURE_CELLS = ("word-accuracy", "mean-accuracy", "alignment", "aligned-share")


def measure(seed: int, model: str, size: int, iterations: int) -> dict[str, float]:
    """Of unseen sentences, as in the lesson.

    Returns:
        "accuracy": share of the Latin words that are right, in sentences of 17 to 20 English words.
        "looks", of the lesson's translator: of the words written right, the share that looks most at the true word.
    """
    random.seed(seed)
    torch.manual_seed(seed)
    lesson = run_cells("1-attention", *GRAMMAR_CELLS, *MODEL_CELLS, *MEASURE_CELLS)
    translator = lesson["Translator"](size, lesson["AdditiveAttention"](size) if model == "with attention" else None)
    lesson["fit"](translator, iterations)
    figures = {"accuracy": lesson["mean_accuracy"](lesson["word_accuracy"](translator, lesson["test_pairs"]), 17, 20)}
    if (model, size) == LESSON:
        figures["looks"] = lesson["aligned_share"](translator)
    return {name: round(float(figure), 4) for name, figure in figures.items()}


def main() -> None:
    runs = json.loads(FIGURES.read_text()) if FIGURES.is_file() else []
    for seed in SEEDS:
        for model, size, iterations in CASES:
            run = {"model": model, "size": size, "iterations": iterations, "seed": seed}
            if not any(run.items() <= done.items() for done in runs):
                print(run)
                runs.append(run | measure(seed, model, size, iterations))
                write_json(FIGURES, runs)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"scripts/bottleneck.py: {error}; the runs that were finished are kept")
