"""The page in which the models of the lessons run: translator, transformer and writer, with no network and no Python.

python scripts/play.py train    train them with the lessons' own cells, two minutes; writes play/models.safetensors
python scripts/play.py build    write the page: build/play.html, and one in each language, build/en/play.html ...

What the page has to know of the lessons (grammar, vocabularies, sizes, accuracies) train writes to play/lessons.json.
"""

import argparse
import base64
import json
import re
import sys
from pathlib import Path
from statistics import mean

import torch
from jinja2 import Environment, FileSystemLoader
from safetensors.torch import save_file

from course.files import atomic_write
from course.language import LANGUAGES, SOURCE, WORDS
from course.notebooks import ROOT, run_cells

PLAY = ROOT / "play"
MODELS, FACTS, CARD = PLAY / "models.safetensors", PLAY / "lessons.json", PLAY / "README.md"
BUILD = ROOT / "build"
LOOK = Path(__file__).resolve().parent / "templates" / "course"
SCRIPTS = ["models.js", "grammar.js", "draw.js", "page.js", "translator.js", "writer.js", "transformer.js", "lookup.js"]
VIEWS = ["translator", "writer", "transformer", "lookup"]  # a template of controls each, and a script that draws

# Cells of lesson 1, in its order, with all that draw random numbers: what comes out are the lesson's own models.
TRANSLATOR = [
    "imports", "seed", "lookup", "nouns", "other-words", "noun-phrase", "clause", "sentence", "examples",
    "data", "test-data", "vocabularies", "to-tensors", "encoder", "decoder", "translator", "fit",
]  # fmt: skip
FIT_TRANSLATORS = [
    "fit-plain",
    "bahdanau-attention",
    "mask-check",
    "mask-after",
    "mask-nowhere",
    "fit-attention",
    "word-accuracy",
]
# Cells of lesson 4.
WRITER = ["imports", "seed", "borrow-1", "borrow-2", "to-ids", "shift", "causal-mask", "pre-norm-block", "gpt"]
FIT_WRITER = ["causal-proof", "next-word-loss", "fit", "fit-writer"]
TRANSFORMER = ["cross-attention", "decoder-block", "transformer"]
JUDGE = ["kinds", "recognizer", "write", "draw", "to-words", "judge"]
ONLY_TRANSFORMER = {'("GRU with attention", gru, 5e-3), ': ""}  # the page has lesson 1's instead

GRAMMAR = ["NOUNS", "ADJECTIVES", "ENDINGS", "TRANSITIVE", "INTRANSITIVE", "ADVERBS", "CONJUNCTIONS"]
LENGTHS, EACH = range(3, 31), 6  # sentences to choose from: their lengths, and how many of each


def train() -> None:
    """Train the models as the lessons do, measure them as they will be stored, and write weights and card."""
    first = run_cells("1-attention", *TRANSLATOR, *FIT_TRANSLATORS)
    fourth = run_cells("4-decoder", *WRITER, *FIT_WRITER, *JUDGE)
    fourth = run_cells("4-decoder", *TRANSFORMER, "fit-translators", changes=ONLY_TRANSFORMER, **fourth)
    models = {name: (first | fourth)[name].eval() for name in ("plain", "attentive", "transformer", "writer")}
    tensors = {}
    for name, model in models.items():
        for key, parameter in model.named_parameters():
            parameter.data = parameter.data.half().float()
            tensors[f"{name}.{key}"] = parameter.data.half().contiguous()
    measured = measure(models, first, fourth)
    facts = facts_of(first, fourth, models["writer"]) | {"measured": measured}
    block = "\n".join(described(measured))
    card = re.sub(r"(?<=-->\n).*(?=\n<!-- end)", block, CARD.read_text("utf-8"), flags=re.DOTALL)
    with atomic_write(PLAY) as folder:
        save_file(tensors, folder / MODELS.name)
        lines = [f"{json.dumps(name)}: {json.dumps(fact, ensure_ascii=False)}" for name, fact in facts.items()]
        (folder / FACTS.name).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        (folder / CARD.name).write_text(card, encoding="utf-8")
    print(block, f"{MODELS.relative_to(ROOT)}: {MODELS.stat().st_size:,} bytes", sep="\n")


def measure(models: dict, first: dict, fourth: dict) -> dict:
    """Accuracy by length of the translators, share of right sentences of the writer, as the lessons measure them."""
    accuracy = {}
    for name in ("plain", "attentive", "transformer"):
        curve = first["word_accuracy"](models[name], first["test_pairs"] + first["longer_pairs"])
        accuracy[name] = {length: round(share, 3) for length, share in curve.items()}
    torch.manual_seed(0)
    start = torch.full((2000, 1), fourth["START"])
    right, new = fourth["judge"](fourth["to_words"](fourth["write"](models["writer"], start, fourth["draw"])))
    return {"accuracy": accuracy, "right": round(right, 3), "new": round(float(new), 3)}


def described(measured: dict) -> list[str]:
    """What was measured, as the lines of a table."""
    lines = ["| model | Latin words right, 17 to 20 words | 21 to 30 words |", "|---|---:|---:|"]
    for name, curve in measured["accuracy"].items():
        shares = [mean([curve[n] for n in curve if low <= n <= high]) for low, high in ((17, 20), (21, 30))]
        lines.append(f"| `{name}` | {shares[0]:.3f} | {shares[1]:.3f} |")
    share = f"{measured['right']:.1%} of 2,000 sentences right at temperature 1, {measured['new']:.0%} of these new"
    return [*lines, "", f"`writer`: {share}."]


def facts_of(first: dict, fourth: dict, writer: torch.nn.Module) -> dict:
    """What the page has to know of the lessons, beside the weights."""
    some = {n: first["unseen"](n, n, EACH) + [first["sentence"](n, n) for _ in range(EACH)] for n in LENGTHS}
    return {name: first[name] for name in GRAMMAR} | {
        "KINDS": fourth["KINDS"],
        "SENTENCE": fourth["SENTENCE"].pattern,
        "english_ids": list(first["english_ids"]),
        "latin_ids": list(first["latin_ids"]),
        "num_layers": len(writer.blocks),
        "num_heads": writer.blocks[0].attention.num_heads,
        "hidden_size": writer.words.embedding_dim,
        "window": writer.positions.num_embeddings,
        "learned": len(first["train_pairs"]),
        "tested": len(first["test_pairs"] + first["longer_pairs"]),
        "lookup": {name: first[name].tolist() for name in ("query", "keys", "values")},
        "sentences": {n: [" ".join(english) for english, _, _ in pairs[:EACH]] for n, pairs in some.items()},
    }


def build(target: Path = BUILD) -> None:
    """Write the page in each language, and in the source language at the top."""
    templates = Environment(loader=FileSystemLoader([PLAY, LOOK]), autoescape=True, trim_blocks=True)
    facts = json.loads(FACTS.read_text(encoding="utf-8"))
    templates.filters["fill"] = lambda text: text.format(**facts)
    given = {
        "facts": facts,
        "views": VIEWS,
        "names": {language: WORDS[language]["language"]["name"] for language in LANGUAGES},
        "source": SOURCE,
        "scripts": [(PLAY / name).read_text(encoding="utf-8") for name in SCRIPTS],
        "models": base64.b64encode(MODELS.read_bytes()).decode(),
    }
    for language, folder in [(SOURCE, target), *((language, target / language) for language in LANGUAGES)]:
        texts = WORDS[language]["play"] | {"start_page": WORDS[language]["pages"]["start_page"]}
        here = "" if folder == target else "../"
        html = templates.get_template("page.html.j2").render(given, language=language, words=texts, here=here)
        with atomic_write(folder) as written:
            (written / "play.html").write_text(html, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["train", "build"])
    if parser.parse_args().command == "train":
        train()
    else:
        build()
        print("pages to play with: build/play.html, and in each language")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"scripts/play.py: {error}")
