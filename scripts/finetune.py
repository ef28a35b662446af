"""Fine-tune a BERT on AG News with Trainer of transformers: lesson 3 on one CPU, one GPU or many machines.

python scripts/finetune.py                             one CPU or one GPU
torchrun --nproc-per-node=4 scripts/finetune.py        four GPUs
The same command resumes a run that was stopped, even by SIGKILL, and ends with the same model. With --dry-run it
only says what the run would cost.
"""

import argparse
import contextlib
import copy
import hashlib
import io
import math
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.hf_argparser import HfArg

import torchnlp
from checkpoints import check, check_space, delete_other_checkpoints, last_checkpoint, other_settings, start_run
from course import cost, finetuning
from course.files import atomic_write, sha256, write_json
from course.finetuning import has_bf16, layers_of

BERT = Path(__file__).resolve().parent.parent / "bert"
KEEP_AT_MOST = 4e9  # bytes
rank = int(os.environ.get("RANK", 0))  # torchrun sets both
is_main_process = rank == 0
world_size = int(os.environ.get("WORLD_SIZE", 1))
on_gpu = torchnlp.device.type == "cuda"


@dataclass
class ModelArguments:
    model_name_or_path: str | None = HfArg(default=None, help="a folder or bert-base-uncased, instead of bert/")
    data: str | None = HfArg(default=None, help="a folder with train.csv and test.csv, or 'sample'")
    max_train_rows: int | None = HfArg(default=None, help="train on so many rows, sampled at random")
    max_length: int = HfArg(default=96, help="read so many word pieces of each text")
    freeze_layers: int | None = HfArg(
        default=None, help="do not train embeddings and so many lower layers, by default two thirds; 0 trains all"
    )
    overwrite_output_dir: bool = HfArg(default=False, help="delete the run in the output folder and start again")
    dry_run: bool = HfArg(default=False, help="train on a few rows, forecast seconds and memory of the run, and end")


def parse_arguments() -> tuple[ModelArguments, transformers.TrainingArguments]:
    parser = transformers.HfArgumentParser([ModelArguments, transformers.TrainingArguments], exit_on_error=False)
    parser.description = "Fine-tune a BERT on AG News. All options of transformers.TrainingArguments are accepted."
    parser.set_defaults(output_dir="build/finetuned", num_train_epochs=2, per_device_train_batch_size=16, seed=0)
    parser.set_defaults(learning_rate=None, warmup_steps=0.1, weight_decay=0.01, bf16=has_bf16(), torch_compile=False)
    parser.set_defaults(save_steps=100, logging_steps=100)
    shown = {*ModelArguments.__dataclass_fields__, *parser._defaults, "help"}
    for action in parser._actions:
        action.option_strings = [option for option in action.option_strings if "_" not in option]
        action.help = action.help if action.dest in shown else argparse.SUPPRESS
    parser.set_defaults(use_cpu=not on_gpu, per_device_eval_batch_size=32, save_total_limit=2, report_to="none")
    parser.set_defaults(train_sampling_strategy="sequential", ddp_find_unused_parameters=False)
    parser.set_defaults(average_tokens_across_devices=False)  # or the loss is multiplied by the number of processes
    arguments, unknown = parser.parse_known_args()
    check(not unknown, f"unknown options: {' '.join(unknown)}")
    values = vars(arguments)
    values["model_name_or_path"] = values["model_name_or_path"] or str(BERT)
    for name in ("max_train_rows", "num_train_epochs", "per_device_train_batch_size", "learning_rate", "save_steps"):
        value = values[name]
        check(value is None or 0 < value < math.inf, f"--{name.replace('_', '-')} must be above 0, not {value}")
    enough = not on_gpu or int(os.environ.get("LOCAL_RANK", 0)) < torch.cuda.device_count()
    check(enough, f"there are more processes than GPUs ({torch.cuda.device_count()})")
    check(not (on_gpu and values["bf16"]) or has_bf16(), "--bf16 true: this GPU cannot multiply bfloat16")
    return parser.parse_dict(values)


def keeps_hidden(model, options: ModelArguments, args: transformers.TrainingArguments, count: int) -> bool:
    """Whether the frozen layers are computed once, before the first step, and kept: if `count` rows fit into memory."""
    size = count * options.max_length * model.config.hidden_size * (2 if args.bf16 else 4)
    return options.freeze_layers > 0 and size <= KEEP_AT_MOST


def train(
    model, tokenizer, rows: list, keeps: bool, options: ModelArguments, args: transformers.TrainingArguments, last=None
) -> tuple[transformers.Trainer, dict[str, float]]:
    """Train in batches of similar length, from the checkpoint `last` if there is one; Trainer, and what it took."""
    start = time.perf_counter()
    examples = finetuning.tokenize(rows, tokenizer, options.max_length, quiet=not is_main_process)
    lengths, frozen = [len(example["input_ids"]) for example in examples], options.freeze_layers
    size, passes = args.per_device_train_batch_size, args.num_train_epochs
    batch_size = size * args.gradient_accumulation_steps * world_size
    order = finetuning.similar_order(lengths, passes, batch_size, args.seed)
    args = copy.copy(args)
    args.num_train_epochs = 1  # the order has all of them
    args.logging_steps = min(args.logging_steps, len(order) // batch_size)
    if keeps:
        own = {row for place, row in enumerate(order) if place // size % world_size == rank}  # of this process
        own = [examples[row] for row in sorted(own)]
        finetuning.add_hidden(own, model.to(args.device), frozen, half=args.bf16)
    pad = transformers.DataCollatorWithPadding(tokenizer)
    trainer = transformers.Trainer(
        model, args, lambda batch: (finetuning.pad_hidden if "hidden" in batch[0] else pad)(batch),
        [examples[row] for row in order], compute_metrics=finetuning.compute_metrics,
    )  # fmt: skip
    with finetuning.only_layers(model, slice(frozen if keeps else 0, None)):
        trainer.train(resume_from_checkpoint=last and str(last))
    seconds = time.perf_counter() - start
    operations = sum(cost.training_operations(model.config, pieces, frozen, passes, keeps) for pieces in lengths)
    return trainer, {"seconds": seconds, "operations": operations}


def forecast(model, tokenizer, rows: list, options: ModelArguments, args: transformers.TrainingArguments) -> None:
    """Train on a few of the rows, as the run would, and print what all of them will take, here and elsewhere."""
    keeps = keeps_hidden(model, options, args, len(rows))
    batch_size = args.per_device_train_batch_size * args.gradient_accumulation_steps
    few, many = rows[: 8 * batch_size], rows[: 40 * batch_size]
    args.save_strategy, args.disable_tqdm = "no", True
    with tempfile.TemporaryDirectory() as args.output_dir, contextlib.redirect_stdout(io.StringIO()):
        took = [
            train(model, tokenizer, part, keeps, options, args)[1] for part in (few, few, many)
        ]  # the first is slower
    start, rate = cost.start_and_rate(*((run["operations"], run["seconds"]) for run in took[1:]))
    operations = took[2]["operations"] / len(many) * len(rows)
    seconds = start + operations / rate
    kept = len(rows) * options.max_length * model.config.hidden_size * (2 if args.bf16 else 4) * keeps
    precision, gigabytes = "bf16" if args.bf16 else "fp32", (cost.peak_memory() + kept) / 1e9
    print(f"forecast for {len(rows):,} rows, passes: {args.num_train_epochs:g}, {precision}:")
    print(f"{cost.duration(seconds)} of training on this machine, about {gigabytes:.1f} GB of memory at the peak")
    print(f"{operations / 1e12:,.1f} x 10^12 operations, {rate / 1e9:,.0f} x 10^9 of them in a second")
    gpus = " and ".join(f"{cost.duration(cost.gpu_seconds(operations, count))} on {count}" for count in (1, 8))
    print(f"{gpus} {cost.GPU} at {cost.GPU_EFFICIENCY:.0%} of the peak (an assumption, not a measurement)")


def main() -> None:
    if "TORCHELASTIC_RUN_ID" in os.environ:  # end with torchrun, even if it is killed (on Linux)
        torch.multiprocessing._prctl_pr_set_pdeathsig(signal.SIGKILL)
    transformers.logging.set_verbosity_error()
    if not is_main_process:
        transformers.logging.disable_progress_bar()
        sys.stdout = open(os.devnull, "w")
    try:
        options, args = parse_arguments()
        transformers.set_seed(args.seed)

        # model without its weights, tokenizer
        name, weights = options.model_name_or_path, Path(options.model_name_or_path) / "model.safetensors"
        found = weights.is_file() or not weights.parent.is_dir()
        check(found, f"{weights.parent.name}/ has no model.safetensors; for bert/ run: python bert/prepare.py")
        config, tokenizer = AutoConfig.from_pretrained(name), AutoTokenizer.from_pretrained(name)
        with torch.device("meta"):  # shapes only
            layers = layers_of(AutoModelForSequenceClassification.from_config(config))
        own = len(tokenizer.all_special_ids) < len(tokenizer) <= config.vocab_size
        check(own, f"the tokenizer has {len(tokenizer):,} word pieces, the model {config.vocab_size:,}")
        limit = min(config.max_position_embeddings, tokenizer.model_max_length)
        check(3 <= options.max_length <= limit, f"--max-length must be from 3 to {limit}, not {options.max_length}")
        if options.freeze_layers is None:
            options.freeze_layers = 2 * len(layers) // 3
        if args.learning_rate is None:  # smaller for a wider model, and if all layers learn
            args.learning_rate = 3e-4 * 384 / config.hidden_size if options.freeze_layers else 2e-5
        frozen, count = options.freeze_layers, len(layers)
        check(0 <= frozen <= count, f"--freeze-layers must be from 0 to {count} for this model, not {frozen}")

        # rows
        with args.main_process_first():  # it downloads, the others find the files
            rows, test_rows, classes, _ = torchnlp.load_dataset(root=options.data)
        count = options.max_train_rows or len(rows)
        check(count <= len(rows), f"--max-train-rows {count:,}: there are only {len(rows):,} training rows")
        rows = random.Random(args.seed).sample(rows, count)
        batch_size = args.per_device_train_batch_size * args.gradient_accumulation_steps * world_size
        check(count * args.num_train_epochs >= batch_size, f"{count} rows are less than one batch of {batch_size}")
        check(world_size == 1 or not options.dry_run, "--dry-run forecasts for one process: leave out torchrun")

        # a new run, or one to resume
        output, file = Path(args.output_dir), Path(args.output_dir) / "finetune.json"
        settings = vars(options) | args.to_dict() | {"world_size": world_size, "device": torchnlp.device.type}
        settings |= {"output_dir": "", "overwrite_output_dir": False, "dry_run": False, "data": ""}  # these may change
        settings["rows"] = hashlib.sha256(repr([rows, test_rows]).encode()).hexdigest()
        settings["model_name_or_path"] = sha256(weights) if weights.is_file() else name
        if is_main_process and not options.dry_run:
            start_run(file, settings, options.overwrite_output_dir)
            delete_other_checkpoints(last_checkpoint(output, world_size), output)
        if world_size > 1:
            torch.distributed.barrier()
            same = file.is_file() and not other_settings(settings, file)
            check(same, "all machines need the same --output-dir, rows, model and device")
    except (OSError, ValueError, AttributeError, argparse.ArgumentError) as error:
        time.sleep(0 if is_main_process else 5)  # the main process speaks first, and torchrun ends the others
        sys.exit(f"finetune.py: {str(error).splitlines()[0].replace('root names', '--data names')}")

    # model
    config.id2label, config.label2id = dict(enumerate(classes)), {c: i for i, c in enumerate(classes)}
    model = AutoModelForSequenceClassification.from_pretrained(
        name, config=config, use_safetensors=True, ignore_mismatched_sizes=True
    )
    finetuning.freeze_lower(model, frozen)
    finetuning.last_layer_at_cls(model)
    args.remove_unused_columns = False
    args._n_gpu = min(args.n_gpu, 1)  # several GPUs without torchrun: DataParallel would be slower than one
    if options.dry_run:
        return forecast(model, tokenizer, rows, options, args)

    # training
    try:
        check_space(output, model, args.save_total_limit if args.save_strategy != "no" else 0)
    except ValueError as error:
        sys.exit(f"finetune.py: {error}")
    test_set = finetuning.tokenize(test_rows, tokenizer, options.max_length, quiet=not is_main_process)
    test_set.sort(key=lambda example: len(example["input_ids"]))
    last = last_checkpoint(output, world_size)
    done = transformers.TrainerState.load_from_json(last / "trainer_state.json").global_step if last else 0
    print(
        f"resuming from step {done}" if last else f"training {int(count * args.num_train_epochs) // batch_size} steps"
    )
    keeps = keeps_hidden(model, options, args, count)
    trainer, took = train(model, tokenizer, rows, keeps, options, args, last)

    # evaluation
    metrics = {name.removeprefix("eval_"): score for name, score in trainer.evaluate(test_set).items()}
    accuracy, steps = metrics["accuracy"], trainer.state.global_step
    margin = 1.96 * math.sqrt(accuracy * (1 - accuracy) / len(test_set))  # half of the 95 % interval
    metrics |= {"interval": [accuracy - margin, accuracy + margin], "train_rows": count, "test_rows": len(test_set)}
    metrics |= {"steps": steps, "resumed_from_step": done, "world_size": world_size} | took
    metrics |= {"rows_per_second": (steps - done) * batch_size / took["seconds"], "bf16": args.bf16}
    metrics["gigabytes"] = cost.peak_memory() / 1e9
    metrics["training_loss"] = [[log["step"], log["loss"]] for log in trainer.state.log_history if "loss" in log]

    # results
    if is_main_process:
        with atomic_write(output) as folder:
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            write_json(file, settings | {"files": [path.name for path in folder.iterdir()]})
        write_json(output / "metrics.json", metrics)  # last: it says that the run is finished
        delete_other_checkpoints(None, output)
        print(f"Final accuracy: {accuracy:.4f}, 95% interval {accuracy - margin:.4f} to {accuracy + margin:.4f}")
        print(f"{took['seconds']:.0f} s, {metrics['rows_per_second']:.1f} rows per second; written to {output.name}/")
    if world_size > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
