"""Teach the encoder in bert/ to guess masked words again, on two cores or a GPU.

python scripts/train_mlm.py                train, write bert/mlm/; if it was stopped, resume from the last checkpoint
python scripts/train_mlm.py --evaluate     measure bert/mlm/ on held-out news, beside two baselines

The texts are the training rows of AG News at hand (TORCHNLP_DATA, see README) and the full BBC stories of the offline
sample, without those that are its test rows. Low-rank adapters (Hu et al., 2021, LoRA) change the encoder; the head
that guesses is that of BERT (Devlin et al., 2019), its decoder tied to the word embeddings.
"""

import argparse
import json
import shutil
import sys
import warnings
from functools import partial
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

import torchnlp
from bert.masked_lm import ADAPTER
from checkpoints import delete_other_checkpoints, last_checkpoint, other_settings
from course.files import atomic_write, sha256
from masked_words import (
    ENCODER,
    IGNORED,
    evaluate,
    load_texts,
    masked_batches,
    masked_logits,
    measure,
    split_into_chunks,
)


class MaskedTrainer(transformers.Trainer):
    """Trainer that computes logits at the masked places only, measures on fixed batches, and logs what it finds."""

    def compute_loss(self, model, inputs, **_):
        with self.accelerator.autocast():
            logits = masked_logits(self.model, inputs)
        return torch.nn.functional.cross_entropy(logits, inputs["labels"][inputs["labels"] != IGNORED])

    def evaluate(self, eval_dataset=None, **_):
        self.model.eval()
        figures = measure(partial(masked_logits, self.model), self.eval_dataset)
        self.log({f"held_out_{name}": figure for name, figure in figures.items()})
        self.model.train()
        return figures


def adapted_model(adapter: dict[str, torch.Tensor] | None, rank: int) -> peft.PeftModel:
    """The encoder with low-rank adapters, new ones or those given, on every matrix of its layers.

    The head's own layer and all biases learn too. Given adapters of a higher rank are cut to `rank`.
    """
    if adapter:
        adapter = cut_to_rank(adapter, rank)
        rank = next(len(tensor) for name, tensor in adapter.items() if "lora_A" in name)  # it may have been lower
    matrices = r".*encoder.*\.(query|key|value|dense)"
    config = peft.LoraConfig(
        r=rank, lora_alpha=rank, target_modules=matrices, modules_to_save=["transform"], bias="all"
    )
    model = peft.get_peft_model(transformers.BertForMaskedLM.from_pretrained(ENCODER), config)
    if adapter:
        peft.set_peft_model_state_dict(model, adapter)
    return model


def cut_to_rank(adapter: dict[str, torch.Tensor], rank: int) -> dict[str, torch.Tensor]:
    """The same adapter with its `rank` largest singular values; one of that rank or less stays as it is."""
    cut = {name: tensor.float() for name, tensor in adapter.items()}
    for name, a in adapter.items():
        if "lora_A" in name and len(a) > rank:  # a (rank, in), b (out, rank); the layer adds b @ a
            other = name.replace("lora_A", "lora_B")
            u, s, v = torch.linalg.svd(cut[other] @ cut[name], full_matrices=False)
            root = s[:rank].sqrt()
            cut[name], cut[other] = root[:, None] * v[:rank], u[:, :rank] * root
    return cut


def train(options: argparse.Namespace) -> None:
    checkpoints = options.output_dir / "checkpoints"
    save_settings(options, checkpoints)
    transformers.set_seed(options.seed)
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    train_texts, test_texts = load_texts(options.max_texts)
    chunks = split_into_chunks(train_texts, tokenizer)
    held_out = split_into_chunks(test_texts[:500], tokenizer)  # enough for the curve
    print(f"{len(chunks):,} chunks of {sum(map(len, chunks)):,} word pieces to learn from, {len(held_out):,} held out")

    adapter = load_file(options.output_dir / ADAPTER) if options.continue_training else None
    model = adapted_model(adapter, options.lora_rank)
    learning, everything = model.get_nb_trainable_parameters()
    print(f"{learning / 1e6:.1f} of {everything / 1e6:.1f} million parameters learn")
    trainer = MaskedTrainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(checkpoints),
            num_train_epochs=options.num_train_epochs,
            per_device_train_batch_size=options.per_device_train_batch_size,
            learning_rate=options.learning_rate,
            warmup_steps=0.02,  # of all steps
            adam_beta2=0.98,
            weight_decay=0.01,
            bf16=options.bf16,
            use_cpu=torchnlp.device.type == "cpu",
            train_sampling_strategy="group_by_length",
            logging_steps=options.eval_steps,
            eval_strategy="steps",
            eval_steps=options.eval_steps,
            save_steps=options.eval_steps,
            save_total_limit=1,
            label_names=["labels"],
            seed=options.seed,
            report_to="none",
        ),
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=options.mask_probability),
        train_dataset=[{"input_ids": chunk} for chunk in chunks],
        eval_dataset=masked_batches(held_out, tokenizer, replaced=0.8),  # 80/10/10, as in training
    )
    last = last_checkpoint(checkpoints)
    delete_other_checkpoints(last, checkpoints)
    if last:  # the order of the interrupted pass and its masks are drawn anew: other digits, same recipe
        print(f"resuming from {last.name}")
    trainer.train(resume_from_checkpoint=last and str(last))
    save(model, trainer.state.log_history, options)
    shutil.rmtree(checkpoints)


def save_settings(options: argparse.Namespace, checkpoints: Path) -> None:
    """Save the options beside the checkpoints; exit if a run with others was stopped there."""
    settings = {name: value for name, value in vars(options).items() if name not in ("output_dir", "evaluate")}
    if other := other_settings(settings, checkpoints / "options.json"):
        sys.exit(
            f"train_mlm.py: the run that was stopped had other options: {other}. Repeat those to resume it, or delete "
            f"the folder checkpoints/ in {options.output_dir.name}/ to start over."
        )
    with atomic_write(checkpoints) as folder:
        (folder / "options.json").write_text(json.dumps(settings))


def save(model: peft.PeftModel, log: list[dict], options: argparse.Namespace) -> None:
    """Write adapters, head and learning curve into the output folder, each file whole or not at all."""
    output = options.output_dir
    history = json.loads((output / "history.json").read_text()) if options.continue_training else []
    half = {name: tensor.half().contiguous() for name, tensor in peft.get_peft_model_state_dict(model).items()}
    config = model.peft_config["default"]
    config.base_model_name_or_path = ""  # not a path of this machine
    with atomic_write(output) as folder:
        save_file(half, folder / ADAPTER, metadata={"encoder_sha256": sha256(ENCODER / "model.safetensors")})
        config.save_pretrained(folder)
        (folder / "history.json").write_text(json.dumps(history + learning_curve(log, history), indent=1) + "\n")
    print(f"{output.name}/ is written: {(output / ADAPTER).stat().st_size / 1e6:.1f} MB")


def learning_curve(log: list[dict], history: list[dict]) -> list[dict]:
    """Trainer's log with one entry for each step that was measured; steps are counted on from the end of `history`."""
    before = history[-1]["step"] if history else 0
    names = {"loss": "training_loss", "held_out_loss": "loss", "held_out_first": "first", "held_out_five": "five"}
    points: dict[int, dict] = {}
    for entry in log:  # the last step is measured twice
        figures = {ours: round(float(entry[name]), 4) for name, ours in names.items() if name in entry}
        points.setdefault(entry["step"], {"step": before + entry["step"]}).update(figures)
    return [point for point in points.values() if "first" in point]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--evaluate", action="store_true", help="measure what is in bert/mlm/ instead of training")
    task.add_argument("--output-dir", type=Path, default=ENCODER / "mlm", help="a folder (default bert/mlm)")
    add = parser.add_argument
    add("--num-train-epochs", type=float, default=4, help="passes over the texts (default 4)")
    add("--learning-rate", type=float, default=2e-3, help="the highest one (default 2e-3)")
    add("--lora-rank", type=int, default=64, help="rank of the adapters (default 64)")
    add("--mask-probability", type=float, default=0.3, help="share of pieces masked in training (default 0.3)")
    add("--per-device-train-batch-size", type=int, default=24, help="chunks in a batch (default 24)")
    add("--continue-training", action="store_true", help="start from what is in --output-dir, cut to --lora-rank")
    add("--bf16", action="store_true", help="for a GPU, or a CPU with AVX-512 BF16")
    add("--eval-steps", type=int, default=100, help="measure and save every so many steps (default 100)")
    add("--max-texts", type=int, help="read only so many texts, and so many held-out ones, to try it out")
    add("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in ("num_train_epochs", "learning_rate", "lora_rank", "per_device_train_batch_size", "eval_steps"):
        if not getattr(options, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0, not {getattr(options, name)}")
    if not 0 < options.mask_probability < 1:
        parser.error(f"--mask-probability must be above 0 and below 1, not {options.mask_probability}")
    if options.max_texts is not None and options.max_texts < 1:
        parser.error(f"--max-texts must be 1 or more, not {options.max_texts}")
    if options.continue_training and not (options.output_dir / ADAPTER).is_file():
        parser.error(f"--continue-training needs a finished training, but {options.output_dir.name}/ has no {ADAPTER}")
    if not (ENCODER / "model.safetensors").is_file():
        parser.error("the encoder is not in place; run: python bert/prepare.py")
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning)  # peft's use of transformers; nothing of ours
    if options.evaluate:
        evaluate(options.max_texts)
    else:
        train(options)


if __name__ == "__main__":
    main()
