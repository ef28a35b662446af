"""The game of masked words: texts to play it on, what is hidden in them, how well a model or a baseline guesses."""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import torch
import transformers
from scipy.sparse import csr_array
from tqdm import tqdm

import torchnlp
from bert.masked_lm import load_masked_lm
from course.notebooks import ROOT

ENCODER = ROOT / "bert"
MAX_LENGTH = 128  # word pieces of a chunk, [CLS] and [SEP] among them
EVALUATION_SHARE = 0.15  # of the pieces are masked in the evaluation
IGNORED = -100  # label of a piece that is not to be guessed


def load_texts(max_texts: int | None = None) -> tuple[list[str], list[str]]:
    """Texts to learn from, and held-out texts; at most `max_texts` of each."""
    train_rows, test_rows, _, _ = torchnlp.load_dataset()
    return ([text for _, text in train_rows] + bbc_stories())[:max_texts], [text for _, text in test_rows][:max_texts]


def bbc_stories() -> list[str]:
    """The full stories of the offline sample, paragraphs one to a line; without repeats and the sample's test rows."""
    _, test_rows, _, _ = torchnlp.load_dataset(root="sample")
    held_out = {text for _, text in test_rows}
    stories = (story for _, story in torchnlp.offline_stories())
    return sorted({story.strip() for story in stories if torchnlp.title_and_description(story) not in held_out})


def split_into_chunks(texts: list[str], tokenizer) -> list[list[int]]:
    """Word pieces in chunks of at most MAX_LENGTH, cut between paragraphs; the end of a longer paragraph is dropped."""
    room = MAX_LENGTH - 2
    chunks = []
    for text in tqdm(texts, desc="word pieces", unit="text"):
        chunk: list[int] = []
        for paragraph in filter(str.strip, text.split("\n")):
            ids = tokenizer(paragraph, add_special_tokens=False).input_ids
            if chunk and len(chunk) + len(ids) > room:
                chunks.append(chunk)
                chunk = []
            chunk = (chunk + ids)[:room]
        if len(chunk) > 3:
            chunks.append(chunk)
    return [[tokenizer.cls_token_id, *chunk, tokenizer.sep_token_id] for chunk in chunks]


def masked_batches(chunks: list[list[int]], tokenizer, size: int = 32, replaced: float = 1.0) -> list[dict]:
    """Batches of similar length, masked in the same places each time.

    A share of `replaced` of the masked pieces becomes [MASK]; half of the others becomes a random piece, half stays.
    """
    random = (1 - replaced) / 2
    collate = transformers.DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=EVALUATION_SHARE, mask_replace_prob=replaced, random_replace_prob=random, seed=0
    )
    chunks = sorted(chunks, key=len)
    return [collate([{"input_ids": chunk} for chunk in chunks[i : i + size]]) for i in range(0, len(chunks), size)]


def masked_logits(model: torch.nn.Module, batch: dict) -> torch.Tensor:
    """Logits (masked pieces, vocabulary) of a BertForMaskedLM, at the masked places only: nothing else is read."""
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    hidden = model.bert(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    return model.cls(hidden[batch["labels"] != IGNORED]).float()


@torch.inference_mode()
def measure(logits_of: Callable[[dict], torch.Tensor], batches: Iterable[dict]) -> dict[str, float]:
    """Loss per masked piece, and the shares right at the first guess and within five, each from 0 to 1.

    Args:
        logits_of: maps a batch to logits (masked pieces, vocabulary).
    """
    loss = first = five = count = 0
    for batch in batches:
        logits = logits_of(batch)
        labels = batch["labels"][batch["labels"] != IGNORED].to(logits.device)
        loss += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        hits = logits.topk(5).indices == labels.unsqueeze(1)  # (masked pieces, 5)
        first += hits[:, 0].sum().item()
        five += hits.any(dim=1).sum().item()
        count += len(labels)
    return {"loss": loss / count, "first": first / count, "five": five / count}


class Baselines:
    """Guesses from counts alone; both methods map a batch to logits (masked pieces, vocabulary)."""

    def __init__(self, chunks: list[list[int]], size: int, never: list[int]) -> None:
        """Count pieces and pairs in chunks of ids from 0 to `size` - 1; ids in `never` are never guessed."""
        ids = np.concatenate([np.array(chunk) for chunk in chunks])
        pairs = np.concatenate([np.stack([chunk[:-1], chunk[1:]]) for chunk in map(np.array, chunks)], axis=1)
        self.counts = np.bincount(ids, minlength=size).astype("float32")
        self.after = csr_array((np.ones(pairs.shape[1], "float32"), (pairs[0], pairs[1])), shape=(size, size))
        self.before = self.after.T.tocsr()
        self.never = never

    def most_frequent(self, batch: dict) -> torch.Tensor:
        return self._logits(np.tile(self.counts, ((batch["labels"] != IGNORED).sum(), 1)))

    def neighbours(self, batch: dict) -> torch.Tensor:
        """P(piece | piece on its left) · P(piece on its right | piece), smoothed."""
        row, place = (batch["labels"] != IGNORED).nonzero(as_tuple=True)
        left, right = (batch["input_ids"][row, place + step].numpy() for step in (-1, 1))
        prior = self.counts / self.counts.sum()
        follows = self.after[left].toarray() + prior  # an unseen pair counts as much as the piece alone
        precedes = self.before[right].toarray() + prior[right][:, None]
        return self._logits(follows * precedes / (self.counts + 1))

    def _logits(self, scores: np.ndarray) -> torch.Tensor:
        scores[:, self.never] = 0
        return torch.from_numpy(scores).log()


def evaluate(max_texts: int | None = None) -> None:
    """Print how often bert/mlm and two baselines are right on the held-out texts."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ENCODER)
    train_texts, test_texts = load_texts(max_texts)
    batches = masked_batches(split_into_chunks(test_texts, tokenizer), tokenizer)
    baselines = Baselines(split_into_chunks(train_texts, tokenizer), len(tokenizer), tokenizer.all_special_ids)
    contestants = {
        "most frequent piece": baselines.most_frequent,
        "left and right neighbour": baselines.neighbours,
        "bert/mlm": partial(masked_logits, load_masked_lm(ENCODER)),
    }
    figures = {name: measure(logits_of, tqdm(batches, desc=name)) for name, logits_of in contestants.items()}
    count = sum((batch["labels"] != IGNORED).sum() for batch in batches)
    print(f"{count:,} masked pieces of {len(test_texts):,} held-out texts")
    print(f"{'':26} first guess   within five")
    for name, shares in figures.items():
        print(f"{name:26} {shares['first']:11.1%} {shares['five']:13.1%}")
