"""Four ways to fine-tune BERT on the same rows, which benchmark.py compares.

python scripts/trainings.py NAME [fp32|bf16 [compiled]]    train once, print the figures as JSON in the last line

Each function returns the seconds of training, tokenizing included, and the accuracy on the test rows, from 0 to 1.
"""

import contextlib
import io
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
from course.notebooks import ROOT, run_cells

ENCODER = str(ROOT / "bert")
BATCH_SIZE = 8  # of the original loop and of lesson 3


def original_loop(rows: list, test: list) -> tuple[float, float]:
    """The loop that this course started from: no mask, any lengths in a batch, everything learns, graphs pile up."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    model = transformers.BertForSequenceClassification.from_pretrained(ENCODER, num_labels=4).to(torchnlp.device)

    def pad(batch):
        pieces = [torch.tensor(tokenizer.encode(text)) for _, text in batch]
        labels = torch.tensor([label - 1 for label, _ in batch])
        ids = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)
        return labels.to(torchnlp.device), ids.to(torchnlp.device)

    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH_SIZE, collate_fn=pad, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-5)
    model.train()
    total_loss = total_correct = 0
    start = time.perf_counter()
    for step, (labels, ids) in enumerate(loader, start=1):
        loss, logits = model(ids, labels=labels)[:2]
        correct = (logits.argmax(dim=1) == labels).float().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss  # with its graph
        total_correct += correct
        if step % 50 == 0:
            print(total_loss.item() / 50, total_correct.item() / 50)
            total_loss = total_correct = 0
    seconds = time.perf_counter() - start

    model.eval()
    with torch.inference_mode():
        loader = torch.utils.data.DataLoader(test, batch_size=BATCH_SIZE, collate_fn=pad)
        hits = sum((model(ids).logits.argmax(dim=1) == labels).sum().item() for labels, ids in loader)
    return seconds, hits / len(test)


def plain_trainer(rows: list, test: list) -> tuple[float, float]:
    """Trainer of transformers with its defaults, one pass."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    tokenize = partial(finetune.tokenize, tokenizer=tokenizer, max_length=tokenizer.model_max_length)
    cpu = torchnlp.device.type == "cpu"
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        trainer = transformers.Trainer(
            model=transformers.BertForSequenceClassification.from_pretrained(ENCODER, num_labels=4),
            args=transformers.TrainingArguments(
                folder, num_train_epochs=1, use_cpu=cpu, save_strategy="no", report_to="none"
            ),
            processing_class=tokenizer,
            train_dataset=tokenize(rows),
            compute_metrics=finetune.compute_metrics,
        )
        trainer.train()
        seconds = time.perf_counter() - start
        return seconds, trainer.evaluate(tokenize(test))["eval_accuracy"]


def lesson_loop(rows: list, test: list, precision: str = "", compiled: str = "") -> tuple[float, float]:
    """The cells of lesson 3 as they stand, or in another precision ("fp32", "bf16"), or compiled."""
    run = partial(run_cells, "3-bert")
    plt.switch_backend("agg")  # plots are drawn, no window opens
    names = {"rows": rows, "test": test, "classes": torchnlp.CLASSES, "bert_model": ENCODER, "MAX_SEQ_LEN": 96}
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    ids = ("imports", "seed", "special", "pad-bert", "similar-batches", "load-model", "parameters", "freeze")
    names = run(*ids, tokenizer=tokenizer, **names)
    start = time.perf_counter()
    names["lengths"] = [len(ids) for ids in tokenizer([text for _, text in rows]).input_ids]
    iterations = {"iterations = 500": f"iterations = {len(rows) // BATCH_SIZE}"}
    names = run("batches", "loader", "schedules", "settings", changes=iterations, **names)
    if compiled:
        names["model"] = torch.compile(names["model"])
    enabled = {'enabled=device.type == "cuda"': f"enabled={precision == 'bf16'}"}
    names = run("train", changes=enabled if precision else None, **names)
    seconds = time.perf_counter() - start
    return seconds, float(run("predict", "accuracy", **names)["accuracy"])


def finetune_script(rows: list, test: list, precision: str = "", compiled: str = "") -> tuple[float, float]:
    """Trainer with the settings of lesson 3: finetune.py, which reads the same rows from TORCHNLP_DATA."""
    bf16 = precision == "bf16" if precision else torchnlp.device.type == "cuda"  # by default as the lesson
    with tempfile.TemporaryDirectory() as output:
        sys.argv = ["finetune.py", *finetune_options(output, BATCH_SIZE, bf16)]
        sys.argv += ["--torch-compile", "true"] if compiled else []
        finetune.main()
        metrics = json.loads((Path(output) / "metrics.json").read_text())
    return metrics["seconds"], metrics["accuracy"]


def finetune_options(output: str, batch_size: int, bf16: bool) -> list[str]:
    """Options of finetune.py for one epoch without checkpoints; `batch_size` is that of each process."""
    options = ["--output-dir", output, "--num-train-epochs", "1", "--save-strategy", "no"]
    return [*options, "--per-device-train-batch-size", str(batch_size), "--bf16", str(bf16).lower()]


TRAININGS = {function.__name__: function for function in (original_loop, plain_trainer, lesson_loop, finetune_script)}
GPU_VARIANTS = [
    f"{name} {precision}{compiled}"
    for name in ("lesson_loop", "finetune_script")
    for precision in ("fp32", "bf16")
    for compiled in ("", " compiled")
]


def peak_memory() -> int:
    """Bytes at the peak: of the GPU where there is one, else of this process."""
    if torchnlp.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, where ru_maxrss also knows the peak of the process that started this one
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text()).group(1)) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes


def main() -> None:
    name, *variant = sys.argv[1:] or [""]
    if name not in TRAININGS:
        sys.exit(f"trainings.py: expected one of {', '.join(TRAININGS)}, not {name!r}")
    transformers.logging.set_verbosity_error()
    with contextlib.redirect_stdout(io.StringIO()):
        rows, test, _, _ = torchnlp.load_dataset()
        torch.manual_seed(0)
        seconds, accuracy = TRAININGS[name](rows, test, *variant)
    figures = {"seconds": seconds, "rows_per_second": len(rows) / seconds, "accuracy": accuracy}
    print(json.dumps(figures | {"gigabytes": peak_memory() / 1e9}))


if __name__ == "__main__":
    main()
