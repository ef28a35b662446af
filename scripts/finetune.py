"""Fine-tune a BERT on AG News: on one processor, one GPU or many machines. The launcher alone decides.

python scripts/finetune.py                                           one CPU, or one GPU
torchrun --nproc-per-node=4 scripts/finetune.py                      four GPUs of one machine
torchrun --nnodes=2 --nproc-per-node=4 --rdzv-backend=c10d --rdzv-endpoint=HOST:29500 scripts/finetune.py
                                                                     the same on each of two machines

Stopped at any time, even by SIGKILL, the same command goes on from the last checkpoint and ends with the same model.
The work is that of lesson 3, done by Trainer of transformers: batches of texts of similar length, AdamW, warm-up and
linear decay (Devlin et al., 2019, appendix A.2); many processes by DistributedDataParallel of torch.
"""

import argparse
import atexit
import contextlib
import hashlib
import io
import json
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import filelock
import numpy as np
import torch
import transformers
from sklearn.metrics import accuracy_score, f1_score
from tqdm import tqdm

import torchnlp
from checkpoints import delete_other_checkpoints, last_checkpoint, other_settings
from course.files import PARTIAL, atomic_write

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
FIRST = int(os.environ.get("RANK", 0)) == 0  # of all processes; the one that speaks
PROCESSES = int(os.environ.get("WORLD_SIZE", 1))


def refuse(message: str) -> None:
    """End all processes with one message: the first process speaks, another one only if the first has not."""
    if not FIRST:
        time.sleep(5)  # by then torchrun has ended this process, if the first one refused too
    sys.exit(f"finetune.py: {message}")


def end_with_launcher() -> None:
    """End this process when torchrun is gone: killed by SIGKILL it leaves its processes behind, still writing."""
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        os._exit(1)

    if "TORCHELASTIC_RUN_ID" in os.environ:
        threading.Thread(target=watch, daemon=True).start()


# --- options, all checked before any weights are read ----------------------------------------------------------------


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = refuse
    parser.add_argument(
        "--model", default=str(ROOT / "bert"), help="a folder, or a name such as bert-base-uncased (default bert/)"
    )
    parser.add_argument(
        "--data", metavar="FOLDER", help="with train.csv and test.csv, or 'sample'; by default as in load_dataset"
    )
    parser.add_argument("--rows", type=int, metavar="N", help="learn from N training rows, drawn at random (all)")
    parser.add_argument("--epochs", type=float, default=2, help="passes over the rows (2)")
    parser.add_argument("--batch", type=int, default=16, help="texts per step, of all processes together (16)")
    parser.add_argument("--rate", type=float, help="highest learning rate (3e-4; 2e-5 if no layer is frozen)")
    parser.add_argument("--freeze", type=int, default=4, metavar="N", help="embeddings and N lower layers; 0: none (4)")
    parser.add_argument("--longest", type=int, default=96, help="word pieces that are read of a text (96)")
    parser.add_argument(
        "--precision", choices=["auto", "fp32", "bf16"], default="auto", help="auto: bf16 where the device has it"
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--save-every", type=int, default=100, metavar="STEPS", help="report and save (100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build" / "finetuned", help="an own folder (build/finetuned)"
    )
    parser.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="go on with a run that was stopped"
    )
    options = parser.parse_args()
    if options.rate is None:
        options.rate = 3e-4 if options.freeze else 2e-5
    for name in ("rows", "epochs", "batch", "rate", "save_every"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            refuse(f"--{name.replace('_', '-')} must be above 0, not {value}")
    if not 0 <= options.seed < 2**32:
        refuse(f"--seed is a number from 0 to {2**32 - 1}, not {options.seed}")
    if torchnlp.device.type == "cuda" and int(os.environ.get("LOCAL_RANK", 0)) >= torch.cuda.device_count():
        refuse(f"more processes than GPUs: this machine has {torch.cuda.device_count()}")
    if options.batch % PROCESSES:
        refuse(f"--batch counts the texts of all processes: {options.batch} cannot be shared evenly by {PROCESSES}")
    if options.precision == "auto":
        options.precision = "bf16" if has_bf16() else "fp32"
    elif options.precision == "bf16" and torchnlp.device.type == "cuda" and not torch.cuda.is_bf16_supported():
        refuse("--precision bf16: this GPU does not have it; leave the option out")
    check_model(options)
    check_output(options.output)
    return options


def has_bf16() -> bool:
    """Whether the device multiplies bfloat16 matrices itself, and faster."""
    if torchnlp.device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


def check_model(options: argparse.Namespace) -> None:
    """Refuse a model that is not there or does not fit the options; reads its configuration, not its weights."""
    folder = Path(options.model)
    if folder.is_dir() and not weights_in(folder):
        command = "; run: python bert/prepare.py" if folder.resolve() == ROOT / "bert" else ""
        refuse(f"--model {folder.name}: there is no {WEIGHTS[0]} in that folder{command}")
    try:
        config = transformers.AutoConfig.from_pretrained(options.model)
        tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
        with torch.device("meta"):  # shapes only
            model = transformers.AutoModelForSequenceClassification.from_config(config)
        room = min(config.max_position_embeddings, tokenizer.model_max_length)
        count = config.num_hidden_layers
    except (OSError, ValueError, AttributeError) as error:
        refuse(f"--model {folder.name}: no BERT-like model that can be read there: {str(error).splitlines()[0]}")
    pieces = len(tokenizer)
    if not len(tokenizer.all_special_ids) < pieces <= config.vocab_size:
        refuse(f"--model {folder.name}: its tokenizer has {pieces:,} pieces, the model {config.vocab_size:,}")
    if not 3 <= options.longest <= room:
        refuse(f"--longest is a number from 3 to {room} for this model, not {options.longest}")
    if not 0 <= options.freeze <= count:
        refuse(f"--freeze is a number from 0 to {count}, the layers of this model, not {options.freeze}")
    if options.freeze and (layers_of(model) is None or not hasattr(model.base_model, "embeddings")):
        refuse(f"--freeze: the layers of a {config.model_type} are not known here; use --freeze 0")


def weights_in(folder: Path) -> Path | None:
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def check_output(output: Path) -> None:
    """Refuse a folder that holds something else: it would be written over."""
    if output.exists() and not output.is_dir():
        refuse(f"--output {output.name} is a file; name a folder")
    others = [file for file in output.glob("*") if not file.name.startswith(PARTIAL)]
    if others and not is_ours(output / "settings.json"):
        refuse(f"--output {output.name} is not empty and not from an earlier run; name a new folder")


def is_ours(note: Path) -> bool:
    try:
        return "rows_sha256" in json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def layers_of(model: torch.nn.Module) -> torch.nn.ModuleList | None:
    """The layers of a BERT-like model, the lowest first, wherever it keeps them."""
    count = model.config.num_hidden_layers
    lists = (part for part in model.base_model.modules() if isinstance(part, torch.nn.ModuleList))
    return next((part for part in lists if len(part) == count), None)


# --- data -----------------------------------------------------------------------------------------------------------


def load_rows(options: argparse.Namespace) -> tuple[list[torchnlp.Row], list[torchnlp.Row], list[str]]:
    try:
        train, test, classes, _ = torchnlp.load_dataset(root=options.data)
    except (OSError, ValueError) as error:
        refuse(str(error).replace("root names", "--data names", 1))
    if options.rows and options.rows > len(train):
        refuse(f"--rows {options.rows:,}: there are only {len(train):,} training rows")
    train = draw(train, options.rows or len(train), options.seed)
    if len(train) * options.epochs < options.batch:
        refuse(f"{len(train):,} rows x {options.epochs:g} epochs are less than one batch of {options.batch}")
    return train, test, classes


def draw(rows: list[torchnlp.Row], count: int, seed: int) -> list[torchnlp.Row]:
    """So many rows at random, the same ones for the same seed."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return [rows[i] for i in order[:count]]


def tokenize(rows: list[torchnlp.Row], tokenizer, longest: int) -> list[dict]:
    """Rows as word pieces, cut to the `longest`; labels 0 to 3. Padding comes later, batch by batch."""
    examples = []
    for start in tqdm(range(0, len(rows), 1000), desc="word pieces", unit="k", disable=not FIRST):
        part = rows[start : start + 1000]
        pieces = tokenizer([text for _, text in part], truncation=True, max_length=longest).input_ids
        examples += [{"input_ids": ids, "labels": label - 1} for ids, (label, _) in zip(pieces, part, strict=True)]
    return examples


def training_order(lengths: list[int], epochs: float, batch: int, seed: int) -> list[int]:
    """Row numbers for the whole training, each run of `batch` of similar length; a last part of a batch is left out.

    As in lesson 3, 50 batches at a time are sorted, and then shuffled (group_by_length of Trainer leaves them sorted).
    It is all fixed beforehand, so that a run that was stopped reads on where it was.
    """
    random = torch.Generator().manual_seed(seed)
    passes = [torch.randperm(len(lengths), generator=random) for _ in range(math.ceil(epochs))]
    order = torch.cat(passes)[: int(epochs * len(lengths)) // batch * batch]
    batches = []
    for pool in order.split(50 * batch):
        similar = pool[torch.tensor(lengths)[pool].argsort(stable=True)].split(batch)
        batches += [similar[i] for i in torch.randperm(len(similar), generator=random)]
    return torch.cat(batches).tolist()


# --- training -------------------------------------------------------------------------------------------------------


def load_model(options: argparse.Namespace, classes: list[str]) -> torch.nn.Module:
    try:
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            options.model,
            num_labels=len(classes),
            id2label=dict(enumerate(classes)),
            label2id={name: label for label, name in enumerate(classes)},
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # a head for other labels is replaced by a new one
        )
    except (OSError, ValueError) as error:
        refuse(f"--model {Path(options.model).name}: {str(error).splitlines()[0]}")
    if options.freeze:
        model.base_model.embeddings.requires_grad_(False)
        layers_of(model)[: options.freeze].requires_grad_(False)
    return model


def arguments(options: argparse.Namespace) -> transformers.TrainingArguments:
    args = transformers.TrainingArguments(
        output_dir=str(options.output / "checkpoints"),
        num_train_epochs=1,  # the order of the rows holds all passes
        train_sampling_strategy="sequential",
        per_device_train_batch_size=options.batch // PROCESSES,
        per_device_eval_batch_size=32,
        learning_rate=options.rate,
        warmup_steps=0.1,  # of all steps
        lr_scheduler_type="linear",
        weight_decay=0.01,
        bf16=options.precision == "bf16",
        torch_compile=options.compile,
        use_cpu=torchnlp.device.type == "cpu",
        ddp_find_unused_parameters=False,
        average_tokens_across_devices=False,  # or the reported loss is multiplied by the number of processes
        logging_nan_inf_filter=False,
        logging_steps=options.save_every,  # else a loss after a restart would be the mean of fewer steps
        save_steps=options.save_every,
        save_total_limit=2,
        seed=options.seed,
        report_to="none",
    )
    if args.n_gpu > 1:  # several GPUs and no torchrun: DataParallel would be slower than one of them
        args._n_gpu = 1
        print(f"using one of {torch.cuda.device_count()} GPUs; torchrun --nproc-per-node=N uses N of them")
    return args


def compute_metrics(prediction: transformers.EvalPrediction) -> dict[str, float]:
    called = prediction.predictions.argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(prediction.label_ids, called)),
        "macro_f1": float(f1_score(prediction.label_ids, called, average="macro")),
    }


def train(options: argparse.Namespace) -> None:
    transformers.set_seed(options.seed)
    args = arguments(options)
    quiet = contextlib.nullcontext() if FIRST else contextlib.redirect_stdout(io.StringIO())
    with args.main_process_first(), quiet:  # the first one downloads, the others find it there
        rows, test_rows, classes = load_rows(options)
    start_or_go_on(options, noted(options, rows, test_rows))

    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    test = tokenize(test_rows, tokenizer, options.longest)
    model = load_model(options, classes)
    start = time.perf_counter()
    examples = tokenize(rows, tokenizer, options.longest)
    lengths = [len(example["input_ids"]) for example in examples]
    order = training_order(lengths, options.epochs, options.batch, options.seed)
    args.logging_steps = min(options.save_every, len(order) // options.batch)
    trainer = transformers.Trainer(
        model=model,
        args=args,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
        train_dataset=[examples[i] for i in order],
        eval_dataset=sorted(test, key=lambda example: len(example["input_ids"])),
        compute_metrics=compute_metrics,
    )
    checkpoints = options.output / "checkpoints"
    last = last_checkpoint(checkpoints, PROCESSES)
    done = int(last.name.split("-")[1]) if last else 0
    if FIRST and last:
        print(f"going on from step {done}")
    trainer.train(resume_from_checkpoint=last and str(last))
    seconds = time.perf_counter() - start
    scores = trainer.evaluate()
    if FIRST:
        steps = trainer.state.global_step
        figures = report(options, scores, len(test), trainer.state.log_history) | {
            "rows": len(rows),
            "steps": steps,
            "went_on_from_step": done,
            "seconds": round(seconds, 2),  # since then
            "rows_per_second": round((steps - done) * options.batch / seconds, 2),
        }
        write(trainer.accelerator.unwrap_model(trainer.model), tokenizer, figures, options.output)
        shutil.rmtree(checkpoints)


def noted(options: argparse.Namespace, rows: list[torchnlp.Row], test_rows: list[torchnlp.Row]) -> dict:
    """All that decides what comes out: the options, the model, the rows, the processes."""
    left_out = ("output", "resume", "data")
    settings = {name: value for name, value in vars(options).items() if name not in left_out}
    if file := weights_in(Path(options.model)):
        settings["model"] = file.resolve().parent.name  # not a path of this machine
        with file.open("rb") as opened:
            settings["model_sha256"] = hashlib.file_digest(opened, "sha256").hexdigest()
    for name, some in {"rows_sha256": rows, "test_rows_sha256": test_rows}.items():
        settings[name] = hashlib.sha256("\n".join(f"{label} {text}" for label, text in some).encode()).hexdigest()
    return settings | {"processes": PROCESSES, "device": torchnlp.device.type}


def start_or_go_on(options: argparse.Namespace, settings: dict) -> None:
    """Make sure that the run in the output folder, if there is one, is this one and not finished; begin or go on."""
    note, checkpoints = options.output / "settings.json", options.output / "checkpoints"
    if FIRST:
        try:
            hold(options.output)
            if not options.resume:
                delete_run(options.output)
            begun = note.is_file()
            if begun:
                refuse_another(options.output, settings)
            options.output.mkdir(parents=True, exist_ok=True)
            delete_partial(options.output)
            if not begun:
                with atomic_write(options.output) as folder:
                    (folder / "settings.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
            checkpoints.mkdir(exist_ok=True)
            delete_other_checkpoints(last_checkpoint(checkpoints, PROCESSES), checkpoints)
        except OSError as error:
            refuse(f"--output {options.output.name} cannot be written: {error.strerror}")
    if PROCESSES > 1:
        torch.distributed.barrier()
        if not note.is_file():
            refuse("--output must be a folder that all machines see")
        if other_settings(settings, note):
            refuse("this machine has other rows, another model or another device than the first one")


def refuse_another(output: Path, settings: dict) -> None:
    """Refuse to go on with a run that had other settings, or that is finished."""
    other = other_settings(settings, output / "settings.json")
    if any(name.endswith("rows_sha256") for name in other):
        refuse(
            f"the run in {output.name}/ had other rows (other --rows or --data, TORCHNLP_DATA, or the offline sample). "
            "Give it the same, name another --output, or delete it by --no-resume."
        )
    if other:
        refuse(
            f"the run in {output.name}/ had other settings: {other}. Repeat them to go on with it, "
            "name another --output, or delete it by --no-resume."
        )
    if (output / "metrics.json").is_file():
        shutil.rmtree(output / "checkpoints", ignore_errors=True)
        figures = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
        refuse(
            f"this run is finished, its accuracy is {figures['accuracy']:.4f}: see {output.name}/metrics.json. "
            "--no-resume deletes it and trains again."
        )


def hold(output: Path) -> None:
    """Hold the output folder as long as this process lives; refuse if another run does."""
    name = hashlib.sha256(str(output.resolve()).encode()).hexdigest()[:16]
    lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"finetune-{name}.lock", is_singleton=True)
    try:
        lock.acquire(timeout=10)
    except filelock.Timeout:
        refuse(f"another run is writing to {output.name}/; wait for it, or end it")
    atexit.register(lock.release)


def delete_partial(output: Path) -> None:
    for folder in output.glob(f"{PARTIAL}*"):
        shutil.rmtree(folder)


def delete_run(output: Path) -> None:
    """Delete an earlier run, so that what is left of it at any time is still known as one."""
    (output / "metrics.json").unlink(missing_ok=True)
    delete_partial(output)
    if (output / "checkpoints").is_dir():
        (output / "checkpoints").rename(output / f"{PARTIAL}old")  # at once: no half checkpoint to go on from
    for file in sorted(output.glob("*"), key=lambda file: file.name == "settings.json"):
        shutil.rmtree(file) if file.is_dir() else file.unlink()


def report(options: argparse.Namespace, scores: dict, count: int, history: list[dict]) -> dict:
    """The figures of a run, for metrics.json; shares from 0 to 1, the loss as a mean per text."""
    accuracy = scores["eval_accuracy"]
    margin = 1.96 * np.sqrt(accuracy * (1 - accuracy) / count)
    return {
        "accuracy": accuracy,
        "interval": [round(accuracy - margin, 4), round(accuracy + margin, 4)],
        "macro_f1": scores["eval_macro_f1"],
        "test_loss": scores["eval_loss"],
        "test_rows": count,
        "training_loss": [[entry["step"], float(entry["loss"])] for entry in history if "loss" in entry],
        "precision": options.precision,
        "processes": PROCESSES,
        "device": torch.cuda.get_device_name() if torchnlp.device.type == "cuda" else "cpu",
    }


def write(model: torch.nn.Module, tokenizer, figures: dict, output: Path) -> None:
    with atomic_write(output) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    with atomic_write(output) as folder:  # last: it says that the rest is there
        (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    low, high = figures["interval"]
    print(f"Final accuracy: {figures['accuracy']:.4f} (95% interval {low:.4f} to {high:.4f})")
    print(f"{figures['seconds']:.0f} s, {figures['rows_per_second']:.1f} rows per second; written to {output.name}/")


def main() -> None:
    end_with_launcher()
    transformers.logging.set_verbosity_error()
    if not FIRST:
        transformers.logging.disable_progress_bar()
    train(parse_options())
    if PROCESSES > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
