"""Ways to fine-tune BERT on the same rows, which benchmark.py compares.

python scripts/trainings.py NAME [--seed 0]    train once, print the figures as JSON in the last line

Each function returns the seconds of training, tokenizing included, and the accuracy on the test rows, from 0 to 1.
"""

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import transformers

import finetune
import torchnlp
from course import cost, finetuning
from course.notebooks import ROOT, run_cells

ENCODER = str(ROOT / "bert")
BATCH_SIZE = 8  # of the original loop
EVALUATION_BATCH = 32
FREEZE, LEARNING_RATE, MAX_LENGTH, LARGER_BATCH = 4, 3e-4, 96, 16  # of lesson 3
ONE_EPOCH = ["--num-train-epochs=1", "--save-strategy=no"]  # of finetune.py, without checkpoints
CHANGES = ("mask", "similar_length", "freezing", "evaluation_mode", "bf16", "last_layer_at_cls")
CHANGES += ("kept_in_bf16", "batch_of_16")


def by_length(rows: list) -> list:
    """The rows, the shortest text first: batches of them have hardly any padding."""
    return sorted(rows, key=lambda row: len(row[1]))


def evaluation_precision() -> torch.autocast:
    """bf16 where the device multiplies it natively, for every contestant: how it is evaluated is not compared."""
    return torch.autocast(torchnlp.device.type, torch.bfloat16, enabled=finetuning.has_bf16())


def original_loop(rows: list, test: list, *changes: str) -> tuple[float, float]:
    """The loop that this course started from: no mask, any lengths in a batch, everything learns, graphs pile up.

    `changes` are those of CHANGES that are made to it. The batches of similar length hold 96 pieces of a text at most.
    """
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    model = transformers.BertForSequenceClassification.from_pretrained(ENCODER, num_labels=4).to(torchnlp.device)
    cut = {"truncation": True, "max_length": MAX_LENGTH} if "similar_length" in changes else {}
    has_bf16 = "bf16" in changes and finetuning.has_bf16()
    half = partial(torch.autocast, torchnlp.device.type, torch.bfloat16, enabled=has_bf16)
    size = LARGER_BATCH if "batch_of_16" in changes else BATCH_SIZE

    def pad(batch):
        pieces = [torch.tensor(tokenizer.encode(text, **cut)) for _, text in batch]
        labels = torch.tensor([label - 1 for label, _ in batch], device=torchnlp.device)
        ids = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True).to(torchnlp.device)
        return labels, ids, (ids != tokenizer.pad_token_id).long() if "mask" in changes else None

    start = time.perf_counter()
    how = {"batch_size": size, "shuffle": True}
    if "similar_length" in changes:
        lengths = [len(ids) for ids in tokenizer([text for _, text in rows], **cut).input_ids]
        order = finetuning.similar_order(lengths, 1, size, seed=torch.initial_seed())
        how = {"batch_sampler": torch.tensor(order).view(-1, size).tolist()}
    if "freezing" in changes:
        finetuning.freeze_lower(model, FREEZE, dropout="evaluation_mode" not in changes)
    if "last_layer_at_cls" in changes:
        finetuning.last_layer_at_cls(model)
    if "kept_in_bf16" in changes and has_bf16:
        model.bert.embeddings.bfloat16()
        model.bert.encoder.layer[:FREEZE].bfloat16()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE if "freezing" in changes else 2e-5)
    model.train()
    for step, (labels, ids, mask) in enumerate(torch.utils.data.DataLoader(rows, collate_fn=pad, **how)):
        if step % 50 == 0:  # here it printed their means
            total_loss = total_correct = 0
        with half():
            loss, logits = model(ids, attention_mask=mask, labels=labels)[:2]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss  # with its graph
        total_correct += (logits.argmax(dim=1) == labels).float().mean()
    seconds = time.perf_counter() - start
    model.eval()
    if "mask" in changes:  # without it the padding, and so the order, may change an answer
        size, test = EVALUATION_BATCH, by_length(test)
    with torch.inference_mode(), evaluation_precision():
        loader = torch.utils.data.DataLoader(test, batch_size=size, collate_fn=pad)
        hits = sum((model(ids, mask).logits.argmax(dim=1) == labels).sum().item() for labels, ids, mask in loader)
    return seconds, hits / len(test)


def plain_trainer(rows: list, test: list) -> tuple[float, float]:
    """Trainer of transformers with its defaults, one pass."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    tokenize = partial(finetuning.tokenize, tokenizer=tokenizer, max_length=tokenizer.model_max_length)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        trainer = transformers.Trainer(
            transformers.BertForSequenceClassification.from_pretrained(ENCODER, num_labels=4),
            transformers.TrainingArguments(
                folder, num_train_epochs=1, save_strategy="no", use_cpu=not finetune.on_gpu, seed=torch.initial_seed()
            ),
            processing_class=tokenizer,
            train_dataset=tokenize(rows),
            compute_metrics=finetuning.compute_metrics,
        )
        trainer.train()
        seconds = time.perf_counter() - start
        trainer.args.per_device_eval_batch_size = EVALUATION_BATCH
        with evaluation_precision():
            return seconds, trainer.evaluate(tokenize(by_length(test)))["eval_accuracy"]


def lesson_loop(rows: list, test: list, precision: str = "", compiled: bool = False) -> tuple[float, float]:
    """The cells of lesson 3 as they stand, or in another precision ("fp32", "bf16"), or compiled."""
    plt.switch_backend("agg")  # plots are drawn, no window opens
    run, seed = partial(run_cells, "3-bert"), torch.initial_seed()
    names = {"rows": rows, "test": test, "classes": torchnlp.CLASSES, "bert_model": ENCODER, "MAX_SEQ_LEN": MAX_LENGTH}
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    names = run("imports", "course-imports", "seed", tokenizer=tokenizer, **names)
    torch.manual_seed(seed)
    if precision:
        names["has_bf16"] = lambda: precision == "bf16"
    names = run("precision", "embed", "special", "pad-bert", "similar-batches", "load-model", "parameters", **names)
    names = run("freeze", "train-mode", "freeze-choice", "last-layer", "two-parts", "lower-part", **names)
    start = time.perf_counter()
    names["lengths"] = [len(ids) for ids in tokenizer([text for _, text in rows]).input_ids]
    iterations = {"iterations = 250": f"iterations = {len(rows) // LARGER_BATCH}"}
    names = run("batches", "loader", "schedules", "settings", "optimizer", changes=iterations, **names)
    if compiled:
        names |= {part: torch.compile(names[part]) for part in ("below", "above")}
    names = run("train", **names)
    seconds = time.perf_counter() - start
    return seconds, float(run("predict", "accuracy", **names)["accuracy"])


def finetune_script(rows: list, test: list, compiled: bool = False) -> tuple[float, float]:
    """finetune.py with the batches of lesson 3, one pass; it reads the same rows from TORCHNLP_DATA."""
    with tempfile.TemporaryDirectory() as output:
        sys.argv = ["finetune.py", *ONE_EPOCH, "--output-dir", output, f"--per-device-train-batch-size={LARGER_BATCH}"]
        sys.argv += [f"--torch-compile={compiled}", f"--seed={torch.initial_seed()}"]
        finetune.main()
        metrics = json.loads((Path(output) / "metrics.json").read_text())
    return metrics["seconds"], metrics["accuracy"]


def ablation_step(rows: list, test: list, last: str) -> tuple[float, float]:
    """The original loop with all changes up to `last`."""
    return original_loop(rows, test, *CHANGES[: CHANGES.index(last) + 1])


TRAININGS = {"original_loop": original_loop} | {name: partial(ablation_step, last=name) for name in CHANGES}
TRAININGS |= {"lesson_loop": lesson_loop, "lesson_loop_fp32": partial(lesson_loop, precision="fp32")}
TRAININGS |= {"plain_trainer": plain_trainer, "finetune_script": finetune_script}
if finetune.on_gpu:
    TRAININGS |= {"lesson_loop_compiled": partial(lesson_loop, compiled=True)}
    TRAININGS |= {"finetune_script_compiled": partial(finetune_script, compiled=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=TRAININGS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    rows, test, _, _ = torchnlp.load_dataset()
    torch.manual_seed(options.seed)
    seconds, accuracy = TRAININGS[options.name](rows, test)
    figures = {"seconds": seconds, "rows_per_second": len(rows) / seconds, "accuracy": accuracy}
    print(json.dumps(figures | {"gigabytes": cost.peak_memory() / 1e9}))


if __name__ == "__main__":
    main()
