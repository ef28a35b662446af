"""Measure what the course says about speed and memory; print it and write it into the README.

python scripts/benchmark.py            everything, about an hour on two cores; writes benchmark.json and both READMEs
python scripts/benchmark.py --quick    a short form of it in two minutes, printed only
python scripts/benchmark.py --only P   one part of it again: import, vocabulary, training, processes or lessons
python scripts/benchmark.py --tables   write the READMEs again from benchmark.json

Whatever is compared runs in turns (trainings in a fresh process each time), and the medians are taken.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import transformers
from torchtext.data.utils import get_tokenizer
from torchtext.vocab import Vocab
from tqdm import tqdm

import finetune
import torchnlp
from course.files import atomic_write
from course.notebooks import LESSONS, code_cells, python, read

ROOT = Path(__file__).resolve().parent.parent

FIGURES = ROOT / "scripts" / "benchmark.json"
ENCODER = str(ROOT / "bert")
BATCH = 8  # of the seed and of lesson 3


# --- four ways to fine-tune, on the same rows and weights ------------------------------------------------------------
# Each gives back seconds of training, tokenizing included, and the accuracy on the test rows, from 0 to 1.


def seed_loop(rows: list, test: list) -> tuple[float, float]:
    """The loop that this course started from: no mask, any lengths in a batch, everything learns, graphs pile up."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    model = transformers.BertForSequenceClassification.from_pretrained(ENCODER, num_labels=4).to(torchnlp.device)

    def pad(batch):
        pieces = [torch.tensor(tokenizer.encode(text)) for _, text in batch]
        labels = torch.tensor([label - 1 for label, _ in batch])
        ids = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)
        return labels.to(torchnlp.device), ids.to(torchnlp.device)

    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, collate_fn=pad, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-5)
    model.train()
    total_loss = total_right = 0
    start = time.perf_counter()
    for step, (labels, ids) in enumerate(loader, start=1):
        loss, out = model(ids, labels=labels)[:2]
        right = (out.argmax(dim=1) == labels).float().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss  # with its graph
        total_right += right
        if step % 50 == 0:
            print(total_loss.item() / 50, total_right.item() / 50)
            total_loss = total_right = 0
    seconds = time.perf_counter() - start

    model.eval()
    with torch.inference_mode():
        test_loader = torch.utils.data.DataLoader(test, batch_size=BATCH, collate_fn=pad)
        hits = sum((model(ids).logits.argmax(dim=1) == labels).sum().item() for labels, ids in test_loader)
    return seconds, hits / len(test)


def plain_trainer(rows: list, test: list) -> tuple[float, float]:
    """Trainer of transformers with its defaults, one pass."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
        start = time.perf_counter()
        longest = tokenizer.model_max_length
        examples = finetune.tokenize(rows, tokenizer, longest)
        trainer = transformers.Trainer(
            model=transformers.BertForSequenceClassification.from_pretrained(ENCODER, num_labels=4),
            args=transformers.TrainingArguments(
                folder, num_train_epochs=1, use_cpu=torchnlp.device.type == "cpu", save_strategy="no", report_to="none"
            ),
            processing_class=tokenizer,
            train_dataset=examples,
            compute_metrics=finetune.compute_metrics,
        )
        trainer.train()
        seconds = time.perf_counter() - start
        return seconds, trainer.evaluate(finetune.tokenize(test, tokenizer, longest))["eval_accuracy"]


def lesson_loop(rows: list, test: list, precision: str = "", compiled: bool = False) -> tuple[float, float]:
    """The cells of lesson 3 as they stand; `precision` and `compiled` change one line each."""
    cells = {cell.id: cell.source for cell in code_cells(read("en", "3-bert"))}
    cells["batches"] = replaced(cells["batches"], "iterations = 500", f"iterations = {len(rows) // BATCH}")
    if precision:
        cells["train"] = replaced(cells["train"], 'enabled=device.type == "cuda"', f"enabled={precision == 'bf16'}")
    if compiled:
        cells["settings"] += "\nmodel = torch.compile(model)"
    names = {"rows": rows, "test": test, "classes": torchnlp.CLASSES, "bert_model": ENCODER, "MAX_SEQ_LEN": 96}

    def run(*ids: str) -> None:
        for id in ids:
            exec(compile(python(cells[id]), f"3-bert:{id}", "exec"), names)

    plt.switch_backend("agg")  # plots are drawn, no window opens
    run("imports", "seed")
    names["tokenizer"] = transformers.BertTokenizer.from_pretrained(ENCODER)
    run("special", "pad-bert", "similar-batches", "load-model", "parameters", "freeze")
    start = time.perf_counter()
    names["lengths"] = names["np"].array([len(ids) for ids in names["tokenizer"]([t for _, t in rows]).input_ids])
    run("batches", "loader", "schedules", "settings", "train")
    seconds = time.perf_counter() - start
    run("predict", "accuracy")
    return seconds, float(names["accuracy"])


def replaced(source: str, old: str, new: str) -> str:
    assert source.count(old) == 1, f"lesson 3 no longer has {old!r}"
    return source.replace(old, new)


def same_trainer(rows: list, test: list, precision: str = "", compiled: bool = False) -> tuple[float, float]:
    """Trainer with the settings of lesson 3: finetune.py, which reads the same rows from TORCHNLP_DATA."""
    with tempfile.TemporaryDirectory() as output:
        precision = precision or ("bf16" if torchnlp.device.type == "cuda" else "fp32")  # as the lesson
        options = ["--batch", str(BATCH), "--epochs", "1", "--precision", precision, "--output", output]
        options += ["--save-every", "1000000"]  # the others save nothing
        sys.argv = ["finetune.py", *options, *(["--compile"] if compiled else [])]
        finetune.main()
        figures = json.loads((Path(output) / "metrics.json").read_text())
    return figures["seconds"], figures["accuracy"]


TRAININGS: dict[str, Callable] = {
    "seed_loop": seed_loop,
    "plain_trainer": plain_trainer,
    "lesson_loop": lesson_loop,
    "same_trainer": same_trainer,
}
ON_A_GPU = {  # what else is run where there is one: name, what runs, precision, compiled
    f"{name}_{precision}{'_compiled' if compiled else ''}": (function, precision, compiled)
    for name, function in (("loop", lesson_loop), ("trainer", same_trainer))
    for precision in ("fp32", "bf16")
    for compiled in (False, True)
}


def run_part(name: str) -> None:
    """In a process of its own: one training; prints its figures as the last line."""
    with contextlib.redirect_stdout(io.StringIO()):
        rows, test, _, _ = torchnlp.load_dataset()
        torch.manual_seed(0)
        if name in TRAININGS:
            seconds, accuracy = TRAININGS[name](rows, test)
        else:
            function, *how = ON_A_GPU[name]
            seconds, accuracy = function(rows, test, *how)
    print(json.dumps({"seconds": seconds, "rows_per_second": len(rows) / seconds, "accuracy": accuracy} | peak()))


def peak() -> dict[str, float]:
    """Peak memory of this process in GB: of the GPU where there is one, else of the process."""
    if torchnlp.device.type == "cuda":
        return {"gigabytes": torch.cuda.max_memory_allocated() / 1e9}
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, where ru_maxrss also knows the peak of the process that started this one
        return {"gigabytes": int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text()).group(1)) * 1024 / 1e9}
    import resource  # not on Windows

    return {"gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9}  # macOS: in bytes


# --- what is measured -----------------------------------------------------------------------------------------------


def in_turns(runs: int, contestants: dict[str, Callable[[], dict]], title: str) -> dict[str, dict]:
    """Run all contestants one after the other, `runs` times over; give back the medians of their figures."""
    seen: dict[str, list[dict]] = {name: [] for name in contestants}
    with tqdm(total=runs * len(contestants), desc=title, unit="run") as bar:
        for _ in range(runs):
            for name, contestant in contestants.items():
                bar.set_postfix_str(name)
                seen[name].append(contestant())
                bar.update()
    return {
        name: {figure: statistics.median(run[figure] for run in results) for figure in results[0]}
        for name, results in seen.items()
    }


def output_of(*command: object, **environment: str) -> str:
    """What a command prints, run in the root of the repository; its error ends the measurement."""
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{done.stderr[-3000:]}\nbenchmark.py: the command above failed: {' '.join(map(str, command))}")
    return done.stdout


def measure_training(runs: int, folder: Path) -> dict:
    def part(name: str) -> Callable[[], dict]:
        return lambda: json.loads(
            output_of("scripts/benchmark.py", "--part", name, TORCHNLP_DATA=str(folder)).splitlines()[-1]
        )

    names = [*TRAININGS, *(ON_A_GPU if torchnlp.device.type == "cuda" else [])]
    return in_turns(runs, {name: part(name) for name in names}, "fine-tuning")


def measure_processes(runs: int, folder: Path) -> dict:
    """finetune.py on one core, on two by threads, on two by processes."""

    def finetuned(launcher: list[str], threads: str) -> Callable[[], dict]:
        def run() -> dict:
            with tempfile.TemporaryDirectory() as output:
                options = ["--epochs", 1, "--precision", "fp32", "--output", output]
                machine = {"OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""}  # on the processor in any case
                output_of(*launcher, "scripts/finetune.py", *options, TORCHNLP_DATA=str(folder), **machine)
                figures = json.loads((Path(output) / "metrics.json").read_text())
            return {name: figures[name] for name in ("seconds", "rows_per_second", "accuracy")}

        return run

    two = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    contestants = {
        "one_process_one_thread": finetuned([], "1"),
        "one_process_two_threads": finetuned([], "2"),
        "two_processes": finetuned(two, "1"),
    }
    return in_turns(runs, contestants, "processes")


def measure_vocabulary(runs: int, rows: list, count: int) -> dict:
    """load_dataset against the way of the course's ancestor: a Counter filled text by text."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many = (rows * (count // len(rows) + 1))[:count]
        write_rows(folder, many, rows[:8])

        def ours() -> dict:
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                torchnlp.load_dataset(root=folder)
            return {"seconds": time.perf_counter() - start}

        def ancestor() -> dict:
            start = time.perf_counter()
            tokenize, counter = get_tokenizer("basic_english"), Counter()
            with open(folder / "train.csv", encoding="utf-8", newline="") as file:
                texts = [" ".join(columns[1:]) for columns in csv.reader(file)]
            for text in texts:
                counter.update(tokenize(text))
            Vocab(counter)
            return {"seconds": time.perf_counter() - start}

        return {"rows": count} | in_turns(runs, {"load_dataset": ours, "ancestor": ancestor}, "vocabulary")


def measure_import(runs: int) -> dict:
    def importing(module: str) -> Callable[[], dict]:
        code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
        return lambda: {"seconds": float(output_of("-c", code))}

    return in_turns(runs, {module: importing(module) for module in ("torchnlp", "torch")}, "import")


def measure_lessons(runs: int) -> dict:
    def lesson(name: str) -> Callable[[], dict]:
        def run() -> dict:
            start = time.perf_counter()
            output_of("scripts/execute.py", "en", name)
            return {"seconds": time.perf_counter() - start}

        return run

    return in_turns(runs, {name: lesson(name) for name in LESSONS}, "lessons")


PARTS = ("import", "vocabulary", "training", "processes", "lessons")


def measure(quick: bool, only: str | None) -> dict:
    """Measure everything, or the one part that is asked for; the other figures then stay as they were noted."""
    runs = 1 if quick else 3
    with contextlib.redirect_stdout(io.StringIO()) as said:
        train, test, _, _ = torchnlp.load_dataset()
    count, few, test_count = (160, 96, 200) if quick else (4000, 1600, len(test))
    if count > len(train):
        sys.exit(f"benchmark.py needs {count:,} training rows, there are {len(train):,}: use AG News, or --quick")
    rows, test = finetune.draw(train, count, seed=0), finetune.draw(test, test_count, seed=0)
    setting = {
        "device": torch.cuda.get_device_name() if torchnlp.device.type == "cuda" else None,
        "processor": torch.cpu.get_capabilities().get("cpu_name", "unknown"),
        "cores": os.cpu_count(),
        "data": said.getvalue().splitlines()[0].split(" (")[0],
        "runs": runs,
        "rows": count,
        "few_rows": few,
        "test_rows": test_count,
    }
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if only else setting
    if other := {name: value for name, value in setting.items() if figures.get(name) != value}:
        sys.exit(f"benchmark.py: the noted figures were measured otherwise than now ({other}); leave out --only")
    with tempfile.TemporaryDirectory() as all_of_them, tempfile.TemporaryDirectory() as some:
        write_rows(Path(all_of_them), rows, test)
        write_rows(Path(some), rows[:few], test[:200])
        measuring = {
            "import": lambda: measure_import(runs),
            "vocabulary": lambda: measure_vocabulary(runs, train, 20_000 if quick else 120_000),
            "training": lambda: measure_training(runs, Path(all_of_them)),
            "processes": lambda: measure_processes(runs, Path(some)),
            "lessons": lambda: {} if quick else measure_lessons(runs),
        }
        for part in [only] if only else PARTS:
            figures[part] = measuring[part]()
    return figures


def write_rows(folder: Path, train: list, test: list) -> None:
    for name, rows in {"train.csv": train, "test.csv": test}.items():
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


# --- tables ---------------------------------------------------------------------------------------------------------

WORDS = {
    "en": {
        "about": "Medians of {runs} runs in turns, on {machine}; {rows:,} training rows for the first table.",
        "cores": "{cores} cores of an {processor}, no GPU",
        "gpu": "{device}",
        "training": ["fine-tuning, 1 epoch", "seconds", "rows per second", "speed", "accuracy", "peak memory"],
        "seed_loop": "the loop this course started from",
        "plain_trainer": "`Trainer` with its defaults",
        "lesson_loop": "**the loop of lesson 3**",
        "same_trainer": "`Trainer` with the settings of lesson 3 (`finetune.py`)",
        "loop": "the loop of lesson 3",
        "trainer": "`finetune.py`",
        "compiled": "compiled",
        "processes": ["`finetune.py` on {few_rows:,} rows", "seconds", "speed"],
        "one_process_one_thread": "1 process, 1 thread",
        "one_process_two_threads": "1 process, 2 threads",
        "two_processes": "2 processes (`torchrun`), 1 thread each",
        "other": ["other", "seconds", "ratio"],
        "load_dataset": "`load_dataset()` on the same rows, with all its checks",
        "ancestor": "reading and counting the words of {count:,} rows in a plain loop",
        "torchnlp": "`import torchnlp`",
        "torch": "`import torch` alone",
        "lessons": ["lesson", "seconds from top to bottom"],
    },
    "ko": {
        "about": "{machine}에서 번갈아 {runs}번씩 돌린 값의 중앙값입니다. 첫째 표는 훈련 행 {rows:,}개로 쟀습니다.",
        "cores": "{processor} 코어 {cores}개(GPU 없음)",
        "gpu": "{device}",
        "training": ["미세 조정(1에포크)", "초", "초당 행 수", "속도", "정확도", "최대 메모리"],
        "seed_loop": "이 강의의 출발점이 된 훈련 루프",
        "plain_trainer": "기본 설정의 `Trainer`",
        "lesson_loop": "**3강의 훈련 루프**",
        "same_trainer": "3강과 같은 설정의 `Trainer`(`finetune.py`)",
        "loop": "3강의 훈련 루프",
        "trainer": "`finetune.py`",
        "compiled": "컴파일",
        "processes": ["`finetune.py`, 행 {few_rows:,}개", "초", "속도"],
        "one_process_one_thread": "프로세스 1개, 스레드 1개",
        "one_process_two_threads": "프로세스 1개, 스레드 2개",
        "two_processes": "프로세스 2개(`torchrun`), 스레드 1개씩",
        "other": ["그 밖에", "초", "비율"],
        "load_dataset": "`load_dataset()`, 같은 행, 모든 검사 포함",
        "ancestor": "행 {count:,}개를 단순한 루프로 읽고 세기",
        "torchnlp": "`import torchnlp`",
        "torch": "`import torch`만",
        "lessons": ["강의", "처음부터 끝까지 걸린 초"],
    },
}


def tables(figures: dict, language: str) -> str:
    """All figures as Markdown; the words are those of the language, the numbers the same."""
    words = WORDS[language]
    machine = words["gpu" if figures["device"] else "cores"].format(**figures)
    training, processes = figures["training"], figures["processes"]

    def name_of(run: str) -> str:
        if run in TRAININGS:
            return words[run]
        what, precision, *compiled = run.split("_")
        return ", ".join([words[what], precision, *(words["compiled"] for _ in compiled)])

    parts = [
        words["about"].format(machine=machine, **figures),
        table(
            words["training"],
            (
                [
                    name_of(run),
                    f"{of['seconds']:.0f}",
                    f"{of['rows_per_second']:.0f}",
                    f"{training['seed_loop']['seconds'] / of['seconds']:.1f} x",
                    f"{of['accuracy']:.3f}",
                    f"{of['gigabytes']:.1f} GB",
                ]
                for run, of in training.items()
            ),
        ),
        table(
            [title.format(**figures) for title in words["processes"]],
            (
                [
                    words[run],
                    f"{of['seconds']:.0f}",
                    f"{processes['one_process_one_thread']['seconds'] / of['seconds']:.2f} x",
                ]
                for run, of in processes.items()
            ),
        ),
    ]
    pairs = [(figures["vocabulary"], "ancestor", "load_dataset"), (figures["import"], "torch", "torchnlp")]
    parts.append(
        table(
            words["other"],
            (
                [
                    words[run].format(count=figures["vocabulary"]["rows"]),
                    f"{of[run]['seconds']:.1f}",
                    f"{of[run]['seconds'] / of[base]['seconds']:.2f}",
                ]
                for of, base, other in pairs
                for run in (base, other)
            ),
        )
    )
    if figures["lessons"]:
        rows = ([name, f"{of['seconds']:.0f}"] for name, of in figures["lessons"].items())
        parts.append(table(words["lessons"], rows))
    return "\n\n".join(parts)


def table(titles: list[str], rows) -> str:
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


MARKED = re.compile(r"(?<=<!-- make bench -->\n).*?(?=\n<!-- end of make bench -->)", re.DOTALL)


def write_readmes(figures: dict) -> None:
    for name, language in {"README.md": "en", "README.ko.md": "ko"}.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert len(MARKED.findall(text)) == 1, f"{name} has lost its markers"
        with atomic_write(ROOT) as folder:
            before, after = MARKED.split(text)
            (folder / name).write_text(before + tables(figures, language) + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quick", action="store_true", help="few rows, one run, no lessons; written nowhere")
    form.add_argument("--only", choices=PARTS, help="measure one part again")
    form.add_argument("--tables", action="store_true", help="only write the READMEs again")
    form.add_argument("--part", choices=[*TRAININGS, *ON_A_GPU], help="one training in this process, as JSON")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    if options.part:
        return run_part(options.part)
    if options.tables:
        return write_readmes(json.loads(FIGURES.read_text(encoding="utf-8")))
    figures = measure(options.quick, options.only)
    print(tables(figures, "en"))
    if not options.quick:
        with atomic_write(FIGURES.parent) as folder:
            (folder / FIGURES.name).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        write_readmes(figures)
        print("written to scripts/benchmark.json, README.md and README.ko.md")


if __name__ == "__main__":
    main()
