"""Four ways to fine-tune BERT on the same rows, which benchmark.py compares.

python scripts/trainings.py NAME [fp32|bf16 [compiled]]    train once, print the figures as JSON in the last line

Each function returns the seconds of training, tokenizing included, and the accuracy on the test rows, from 0 to 1.
"""

import json
import re
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
from course import finetuning
from course.notebooks import ROOT, run_cells

ENCODER = str(ROOT / "bert")
BATCH_SIZE = 8  # of the original loop and of lesson 3
ONE_EPOCH = ["--num-train-epochs=1", "--save-strategy=no"]  # of finetune.py, without checkpoints


def original_loop(rows: list, test: list) -> tuple[float, float]:
    """The loop that this course started from: no mask, any lengths in a batch, everything learns, graphs pile up."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    model = transformers.BertForSequenceClassification.from_pretrained(ENCODER, num_labels=4).to(torchnlp.device)

    def pad(batch):
        pieces = [torch.tensor(tokenizer.encode(text)) for _, text in batch]
        labels = torch.tensor([label - 1 for label, _ in batch], device=torchnlp.device)
        return labels, torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True).to(torchnlp.device)

    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH_SIZE, collate_fn=pad, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-5)
    model.train()
    start = time.perf_counter()
    for step, (labels, ids) in enumerate(loader):
        if step % 50 == 0:  # here it printed their means
            total_loss = total_correct = 0
        loss, logits = model(ids, labels=labels)[:2]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss  # with its graph
        total_correct += (logits.argmax(dim=1) == labels).float().mean()
    seconds = time.perf_counter() - start
    model.eval()
    with torch.inference_mode():
        loader = torch.utils.data.DataLoader(test, batch_size=BATCH_SIZE, collate_fn=pad)
        hits = sum((model(ids).logits.argmax(dim=1) == labels).sum().item() for labels, ids in loader)
    return seconds, hits / len(test)


def plain_trainer(rows: list, test: list) -> tuple[float, float]:
    """Trainer of transformers with its defaults, one pass."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    tokenize = partial(finetuning.tokenize, tokenizer=tokenizer, max_length=tokenizer.model_max_length)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        trainer = transformers.Trainer(
            transformers.BertForSequenceClassification.from_pretrained(ENCODER, num_labels=4),
            transformers.TrainingArguments(folder, num_train_epochs=1, save_strategy="no", use_cpu=not finetune.on_gpu),
            processing_class=tokenizer,
            train_dataset=tokenize(rows),
            compute_metrics=finetuning.compute_metrics,
        )
        trainer.train()
        seconds = time.perf_counter() - start
        return seconds, trainer.evaluate(tokenize(test))["eval_accuracy"]


def lesson_loop(rows: list, test: list, precision: str = "", compiled: str = "") -> tuple[float, float]:
    """The cells of lesson 3 as they stand, or in another precision ("fp32", "bf16"), or compiled."""
    plt.switch_backend("agg")  # plots are drawn, no window opens
    run = partial(run_cells, "3-bert")
    names = {"rows": rows, "test": test, "classes": torchnlp.CLASSES, "bert_model": ENCODER, "MAX_SEQ_LEN": 96}
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    names = run("imports", "course-imports", "seed", tokenizer=tokenizer, **names)
    if precision:
        names["has_bf16"] = lambda: precision == "bf16"
    names = run("precision", "special", "pad-bert", "similar-batches", "load-model", "parameters", **names)
    names = run("freeze", "train-mode", "freeze-choice", "last-layer", "two-parts", "lower-part", **names)
    start = time.perf_counter()
    names["lengths"] = [len(ids) for ids in tokenizer([text for _, text in rows]).input_ids]
    iterations = {"iterations = 500": f"iterations = {len(rows) // BATCH_SIZE}"}
    names = run("batches", "loader", "schedules", "settings", "optimizer", changes=iterations, **names)
    if compiled:
        names |= {part: torch.compile(names[part]) for part in ("below", "above")}
    names = run("train", **names)
    seconds = time.perf_counter() - start
    return seconds, float(run("predict", "accuracy", **names)["accuracy"])


def finetune_script(rows: list, test: list, precision: str = "", compiled: str = "") -> tuple[float, float]:
    """Trainer with the settings of lesson 3: finetune.py, which reads the same rows from TORCHNLP_DATA."""
    bf16 = precision == "bf16" if precision else finetune.on_gpu  # by default as the lesson
    with tempfile.TemporaryDirectory() as output:
        sys.argv = ["finetune.py", *ONE_EPOCH, "--output-dir", output, f"--per-device-train-batch-size={BATCH_SIZE}"]
        sys.argv += [f"--bf16={bf16}", f"--torch-compile={bool(compiled)}"]
        finetune.main()
        metrics = json.loads((Path(output) / "metrics.json").read_text())
    return metrics["seconds"], metrics["accuracy"]


TRAININGS = {function.__name__: function for function in (original_loop, plain_trainer, lesson_loop, finetune_script)}
VARIANTS = ("fp32", "fp32 compiled", "bf16", "bf16 compiled")
GPU_VARIANTS = [f"{name} {variant}" for name in ("lesson_loop", "finetune_script") for variant in VARIANTS]


def peak_memory() -> int:
    """Bytes at the peak: of the GPU where there is one, else of this process."""
    if finetune.on_gpu:
        return torch.cuda.max_memory_allocated()
    if sys.platform == "linux":  # where ru_maxrss also knows the peak of the process that started this one
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes


def main() -> None:
    name, *variant = sys.argv[1:] or [""]
    if name not in TRAININGS:
        sys.exit(f"trainings.py: expected one of {', '.join(TRAININGS)}, not {name!r}")
    transformers.logging.set_verbosity_error()
    rows, test, _, _ = torchnlp.load_dataset()
    torch.manual_seed(0)
    seconds, accuracy = TRAININGS[name](rows, test, *variant)
    figures = {"seconds": seconds, "rows_per_second": len(rows) / seconds, "accuracy": accuracy}
    print(json.dumps(figures | {"gigabytes": peak_memory() / 1e9}))


if __name__ == "__main__":
    main()
