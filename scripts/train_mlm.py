"""Teach the encoder in bert/ to guess masked words, on two cores or a GPU.

python scripts/train_mlm.py                train, write bert/mlm/; the same command resumes a run that was stopped
python scripts/train_mlm.py --evaluate     measure bert/mlm/ on held-out news, beside two baselines
"""

import argparse
import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_array
from tqdm import tqdm

from bert.masked_lm import ADAPTER, load_masked_lm
from checkpoints import delete_other_checkpoints, last_checkpoint, start_run
from course.files import atomic_write, sha256, write_json
from course.notebooks import ROOT
from torchnlp import device, load_dataset, offline_stories, title_and_description

ENCODER = ROOT / "bert"
CHUNK_LENGTH = 126  # word pieces at most, with [CLS] and [SEP] 128
IGNORED = -100  # label of a piece that is not to be guessed


def load_texts(max_texts: int | None = None) -> tuple[list[str], list[str]]:
    """Texts to learn from, stories with a paragraph in each line, and held-out texts; at most `max_texts` of each."""
    train_rows, test_rows, _, _ = load_dataset()
    held_out = {text for _, text in load_dataset(root="sample")[1]}
    stories = {text.strip() for _, text in offline_stories() if title_and_description(text) not in held_out}
    train_texts = [text for _, text in train_rows] + sorted(stories)
    return train_texts[:max_texts], [text for _, text in test_rows[:max_texts]]


def split_into_chunks(texts: list[str], tokenizer) -> list[list[int]]:
    """Word pieces of texts, cut between paragraphs into chunks; the end of a longer paragraph is dropped."""
    chunks = []
    for text in tqdm(texts, desc="word pieces", unit="text"):
        chunks.append([])
        for paragraph in tokenizer(text.split("\n"), add_special_tokens=False).input_ids:
            if len(chunks[-1]) + len(paragraph) > CHUNK_LENGTH:
                chunks.append([])
            chunks[-1] = (chunks[-1] + paragraph)[:CHUNK_LENGTH]
    return [[tokenizer.cls_token_id, *chunk, tokenizer.sep_token_id] for chunk in chunks if len(chunk) > 3]


def masked_batches(chunks: list[list[int]], tokenizer, size: int = 32, replaced: float = 1.0) -> list[dict]:
    """Batches of similar length, always with the same 15 % of pieces masked; a share of `replaced` becomes [MASK]."""
    collate = transformers.DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=0.15, mask_replace_prob=replaced, random_replace_prob=(1 - replaced) / 2, seed=0
    )
    chunks = sorted(chunks, key=len)
    return [collate([{"input_ids": chunk} for chunk in chunks[i : i + size]]) for i in range(0, len(chunks), size)]


def masked_logits(model: torch.nn.Module, batch: dict) -> torch.Tensor:
    """Logits (masked pieces, vocabulary) of a BertForMaskedLM, at the masked places only: nothing else is read."""
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    hidden = model.bert(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    return model.cls(hidden[batch["labels"] != IGNORED]).float()


def baselines(chunks: list[list[int]], size: int, never: list[int]) -> dict[str, Callable[[dict], torch.Tensor]]:
    """Guesses from counts alone: functions from a batch to logits (masked pieces, size), -inf for ids in `never`."""
    firsts, seconds = np.concatenate([[chunk[:-1], chunk[1:]] for chunk in chunks], axis=1)
    after = csr_array((np.ones(len(firsts), "float32"), (firsts, seconds)), shape=(size, size))
    counts = np.bincount(np.concatenate(chunks), minlength=size).astype("float32")
    prior = counts / counts.sum()
    allowed = ~np.isin(np.arange(size), never)

    def most_frequent(batch: dict) -> torch.Tensor:
        return torch.from_numpy(counts * allowed).log().repeat((batch["labels"] != IGNORED).sum(), 1)

    def neighbours(batch: dict) -> torch.Tensor:
        """P(piece | piece on its left) · P(piece on its right | piece), smoothed."""
        row, place = (batch["labels"] != IGNORED).nonzero(as_tuple=True)
        left, right = (batch["input_ids"][row, place + step].numpy() for step in (-1, 1))
        follows = after[left].toarray() + prior  # an unseen pair counts as much as the piece alone
        precedes = after.T.tocsr()[right].toarray() + prior[right][:, None]
        return torch.from_numpy(follows * precedes / (counts + 1) * allowed).log()

    return {"most frequent piece": most_frequent, "left and right neighbour": neighbours}


@torch.inference_mode()
def measure(logits_of: Callable[[dict], torch.Tensor], batches: Iterable[dict]) -> dict[str, float]:
    """Loss per masked piece, and the shares right at the first guess and within five, each from 0 to 1."""
    scores = []
    for batch in batches:
        logits = logits_of(batch)
        labels = batch["labels"][batch["labels"] != IGNORED].to(logits.device)
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        hits = logits.topk(5).indices == labels.unsqueeze(1)  # (masked pieces, 5)
        scores.append(torch.stack([losses, hits[:, 0], hits.any(dim=1)]))
    return dict(zip(("loss", "first", "five"), torch.cat(scores, dim=1).mean(dim=1).tolist(), strict=True))


def evaluate(options: argparse.Namespace) -> None:
    """Print how often bert/mlm and two baselines are right on the held-out texts."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    train_texts, test_texts = load_texts(options.max_texts)
    batches = masked_batches(split_into_chunks(test_texts, tokenizer), tokenizer)
    contestants = baselines(split_into_chunks(train_texts, tokenizer), len(tokenizer), tokenizer.all_special_ids)
    contestants["bert/mlm"] = partial(masked_logits, load_masked_lm(ENCODER))
    count = sum((batch["labels"] != IGNORED).sum() for batch in batches)
    print(f"{count:,} masked pieces of {len(test_texts):,} held-out texts\n{'':26} first guess   within five")
    for name, logits_of in contestants.items():
        figures = measure(logits_of, tqdm(batches, desc=name, leave=False))
        print(f"{name:26} {figures['first']:11.1%} {figures['five']:13.1%}")


class MaskedTrainer(transformers.Trainer):
    """Trainer that computes logits at the masked places only, measures on fixed batches, and logs what it finds."""

    def compute_loss(self, model, inputs, **_):
        with self.accelerator.autocast():
            logits = masked_logits(self.model, inputs)
        return torch.nn.functional.cross_entropy(logits, inputs["labels"][inputs["labels"] != IGNORED])

    def evaluate(self, *_, **__):
        self.model.eval()
        figures = measure(partial(masked_logits, self.model), self.eval_dataset)
        self.log({f"held_out_{name}": figure for name, figure in figures.items()})
        return figures


def adapted_model(adapter: dict[str, torch.Tensor], rank: int) -> peft.PeftModel:
    """BERT with given adapters, or new ones of a rank, on all matrices of its layers; biases and head learn as well."""
    rank = next((len(tensor) for name, tensor in adapter.items() if "lora_A" in name), rank)
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
    settings = vars(options) | {"output_dir": "", "overwrite_output_dir": False}  # these may change
    try:
        start_run(checkpoints / "options.json", settings, options.overwrite_output_dir)
    except ValueError as error:
        sys.exit(f"train_mlm.py: {error}")
    transformers.set_seed(options.seed)
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    train_texts, test_texts = load_texts(options.max_texts)
    chunks = split_into_chunks(train_texts, tokenizer)
    held_out = split_into_chunks(test_texts[:500], tokenizer)  # enough for the curve
    print(f"{len(chunks):,} chunks of {sum(map(len, chunks)):,} word pieces to learn from, {len(held_out):,} held out")
    adapter = load_file(options.output_dir / ADAPTER) if options.continue_training else {}
    model = adapted_model(cut_to_rank(adapter, options.lora_rank), options.lora_rank)
    given = ("num_train_epochs", "per_device_train_batch_size", "learning_rate", "bf16", "seed")
    recipe = {name: getattr(options, name) for name in given} | {"use_cpu": device.type == "cpu"}
    recipe |= dict.fromkeys(("logging_steps", "eval_steps", "save_steps"), options.eval_steps)
    recipe |= {"eval_strategy": "steps", "save_total_limit": 1, "train_sampling_strategy": "group_by_length"}
    recipe |= {"warmup_steps": 0.02, "adam_beta2": 0.98, "weight_decay": 0.01}  # warm-up: a share of all steps
    trainer = MaskedTrainer(
        model,
        transformers.TrainingArguments(str(checkpoints), **recipe),
        transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=options.mask_probability),
        train_dataset=[{"input_ids": chunk} for chunk in chunks],
        eval_dataset=masked_batches(held_out, tokenizer, replaced=0.8),  # 80/10/10, as in training
    )
    last = last_checkpoint(checkpoints)
    delete_other_checkpoints(last, checkpoints)
    print(f"resuming from {last.name}" if last else "starting")  # with new masks: other digits, the same recipe
    trainer.train(resume_from_checkpoint=last and str(last))
    save(model, trainer.state.log_history, options)
    delete_other_checkpoints(None, checkpoints)  # first, so that a kill leaves no checkpoint without its options
    shutil.rmtree(checkpoints)


def save(model: peft.PeftModel, log: list[dict], options: argparse.Namespace) -> None:
    """Write adapters, head and learning curve into the output folder, each file whole or not at all."""
    output = options.output_dir
    history = json.loads((output / "history.json").read_text()) if options.continue_training else []
    before = history[-1]["step"] if history else 0
    names = {"loss": "training_loss", "held_out_loss": "loss", "held_out_first": "first", "held_out_five": "five"}
    points: dict[int, dict] = {}
    for entry in log:  # one point for each step that was measured, the last one twice
        figures = {ours: round(float(entry[name]), 4) for name, ours in names.items() if name in entry}
        points.setdefault(entry["step"], {"step": before + entry["step"]}).update(figures)
    history += [point for point in points.values() if "first" in point]
    half = {name: tensor.half().contiguous() for name, tensor in peft.get_peft_model_state_dict(model).items()}
    model.peft_config["default"].base_model_name_or_path = ""  # not a path of this machine
    with atomic_write(output) as folder:
        save_file(half, folder / ADAPTER, metadata={"encoder_sha256": sha256(ENCODER / "model.safetensors")})
        model.peft_config["default"].save_pretrained(folder)
        write_json(folder / "history.json", history)
    print(f"{output.name}/ is written: {(output / ADAPTER).stat().st_size / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--evaluate", action="store_true", help="measure what is in bert/mlm/ instead of training")
    task.add_argument("--output-dir", type=Path, default=ENCODER / "mlm", help="a folder (default bert/mlm)")
    add("--num-train-epochs", type=float, default=4, help="passes over the texts (default 4)")
    add("--learning-rate", type=float, default=2e-3, help="the highest one (default 2e-3)")
    add("--lora-rank", type=int, default=64, help="rank of the adapters (default 64)")
    add("--mask-probability", type=float, default=0.3, help="share of pieces masked in training (default 0.3)")
    add("--per-device-train-batch-size", type=int, default=24, help="chunks in a batch (default 24)")
    add("--continue-training", action="store_true", help="start from what is in --output-dir, cut to --lora-rank")
    add("--overwrite-output-dir", action="store_true", help="delete the checkpoints of a stopped run and start over")
    add("--bf16", action="store_true", help="for a GPU, or a CPU with AVX-512 BF16")
    add("--eval-steps", type=int, default=100, help="measure and save every so many steps (default 100)")
    add("--max-texts", type=int, help="read only so many texts, and so many held-out ones, to try it out")
    add("--seed", type=int, default=0)
    options = parser.parse_args()
    for name, value in vars(options).items():
        if type(value) in (int, float) and name != "seed" and not value > 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0, not {value}")
    if not options.mask_probability < 1:
        parser.error(f"--mask-probability must be below 1, not {options.mask_probability}")
    if options.continue_training and not (options.output_dir / ADAPTER).is_file():
        parser.error(f"--continue-training needs a finished training, but {options.output_dir.name}/ has no {ADAPTER}")
    if not (ENCODER / "model.safetensors").is_file():
        parser.error("the encoder is not in place; run: python bert/prepare.py")
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning)  # peft's use of transformers; nothing of ours
    evaluate(options) if options.evaluate else train(options)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"scripts/train_mlm.py: {error}; the checkpoints that were finished are kept")
