"""The contracts of torchnlp: rows, vocabulary, batches, one epoch."""

import functools

import pytest
import torch

import torchnlp
from torchnlp import encode, load_dataset, offsetify, padify, train_epoch, train_epoch_emb

TRAIN = (
    '"1","Peace talks","Leaders meet again"\n"2","Late goal","Cup decided"\n"3","Shares rise"\n"4","New chip","A, B"\n'
)
TEST = '"4","chip talks"\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHNLP_DATA", raising=False)
    (tmp_path / "train.csv").write_text(TRAIN, encoding="utf-8")
    (tmp_path / "test.csv").write_text(TEST, encoding="utf-8")
    return tmp_path


@pytest.fixture
def vocab(folder):
    return load_dataset(root=folder)[3]


def test_rows_classes_and_vocabulary_and_what_is_printed(folder, capsys):
    train, test, classes, vocab = load_dataset(root=folder)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Data: the files in the folder that root names", "Loading dataset...", "Building vocab..."]
    assert train[0] == (1, "Peace talks Leaders meet again")
    assert train[3] == (4, "New chip A, B")
    assert test == [(4, "chip talks")]
    assert classes == ["World", "Sports", "Business", "Sci/Tech"]
    assert (vocab.stoi["<unk>"], vocab.stoi["<pad>"]) == (0, 1)
    assert vocab.itos[vocab.stoi["goal"]] == "goal"
    assert len(vocab) == len(vocab.itos) == 2 + len({w for _, text in train for w in torchnlp.tokenizer(text)})


def test_star_import_gives_the_names_that_the_lessons_of_the_series_use():
    names = {}
    exec("from torchnlp import *", names)
    wanted = "device tokenizer load_dataset encode padify offsetify train_epoch train_epoch_emb"
    assert set(wanted.split()) <= set(names)
    assert isinstance(names["device"], torch.device)


def test_min_freq_and_ngrams(folder):
    once = load_dataset(root=folder)[3]
    twice = load_dataset(min_freq=2, root=folder)[3]
    pairs = load_dataset(ngrams=2, root=folder)[3]
    assert "goal" in once.stoi and "goal" not in twice.stoi
    assert "late goal" in pairs.stoi and "late goal" not in once.stoi
    assert encode("late goal", pairs, ngrams=2) == [pairs.stoi[w] for w in ("late", "goal", "late goal")]


@pytest.mark.parametrize("wrong", [{"ngrams": 0}, {"min_freq": 0}])
def test_counts_below_one_are_refused(folder, wrong):
    with pytest.raises(ValueError, match="1 or more"):
        load_dataset(root=folder, **wrong)


def test_environment_names_the_folder_and_root_wins(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCHNLP_DATA", str(folder))
    assert len(load_dataset()[0]) == 4
    assert "TORCHNLP_DATA names" in capsys.readouterr().out
    monkeypatch.setenv("TORCHNLP_DATA", str(tmp_path / "nowhere"))
    assert len(load_dataset(root=folder)[0]) == 4


def test_a_tilde_is_the_home_folder_and_a_relative_one_counts_from_the_repository_too(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))  # on Windows
    monkeypatch.setenv("TORCHNLP_DATA", f"~/{folder.name}")
    assert len(load_dataset()[0]) == 4
    monkeypatch.setattr(torchnlp, "__file__", str(folder.parent / "torchnlp.py"))
    monkeypatch.chdir("/")
    assert len(load_dataset(root=folder.name)[0]) == 4


def test_official_rows_with_doubled_quotes_backslashes_and_line_breaks(folder):
    (folder / "test.csv").write_text('"3","say ""yes""","a\\b\nc"\n\n', encoding="utf-8")
    assert load_dataset(root=folder)[1] == [(3, 'say "yes" a\\b\nc')]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'"1","fine"\n"2"\n', "train.csv, line 2: expected a label and at least one text column, got 1"),
        (b'"1","fine"\n"5","x"\n', "train.csv, line 2: expected a label from 1 to 4, got '5'"),
        (b'"0","x"\n', "train.csv, line 1: expected a label from 1 to 4, got '0'"),
        (b'"1","two\nlines"\nsport,"x"\n', "train.csv, line 3: expected a label from 1 to 4, got 'sport'"),
        (b'"1","fine"\n"2","caf\xe9"\n', "train.csv, line 2: not valid UTF-8"),
        (b'"1","fine"\n"2","open\n', "train.csv, line 2: .*quote left open"),
        (b"", "train.csv, line 1: the file has no rows"),
        (b"\n\n", "train.csv, line 1: the file has no rows"),
        (b'"1","fine"\n"2","half a \0 text"\n', "train.csv, line 2: a byte 0"),
        ('"1","fine"\n'.encode("utf-16"), "train.csv, line 1: not valid UTF-8"),
    ],
)
def test_malformed_files_are_refused_with_file_and_line(folder, content, says):
    (folder / "train.csv").write_bytes(content)
    with pytest.raises(ValueError, match=says):
        load_dataset(root=folder)


def test_missing_folder_and_missing_file(folder, monkeypatch):
    monkeypatch.setenv("TORCHNLP_DATA", "no/such/folder")
    with pytest.raises(
        FileNotFoundError, match="TORCHNLP_DATA names the folder 'no/such/folder', which does not exist"
    ):
        load_dataset()
    (folder / "test.csv").unlink()
    with pytest.raises(FileNotFoundError, match="has no file test.csv"):
        load_dataset(root=folder)


def test_a_failed_load_keeps_the_vocabulary_of_the_last_good_one(folder, vocab):
    with pytest.raises(FileNotFoundError):
        load_dataset(root="no/such/folder")
    assert encode("goal") == [vocab.stoi["goal"]]


def test_offline_sample_is_distinct_stratified_and_always_the_same(capsys):
    train, test, _, _ = load_dataset(root="sample")
    assert "not AG News" in capsys.readouterr().out.splitlines()[0]
    assert len({text for _, text in train + test}) == len(train) + len(test) == 1740  # nothing leaks into the test rows
    for label in (1, 2, 3, 4):
        share = [label for label, _ in test].count(label) / [label for label, _ in train + test].count(label)
        assert share == pytest.approx(0.2, abs=0.005)
    again = load_dataset(root="sample")
    assert (train, test) == again[:2]


def test_encode_unknown_words_and_empty_texts(vocab):
    assert encode("goal xylophone goal") == [vocab.stoi["goal"], 0, vocab.stoi["goal"]]
    assert encode("xylophone") == encode("") == encode("  ") == [0]
    size = len(vocab.stoi)
    encode("never seen before")
    assert len(vocab.stoi) == size  # looking a word up must not add it


def test_encode_with_another_vocabulary_and_tokenizer(vocab):
    other = torchnlp.Vocab(torchnlp.Counter(["GOAL"]))
    assert encode("GOAL", other, tokenizer=str.split) == [other.stoi["GOAL"]]


def test_encode_and_padify_need_a_vocabulary(monkeypatch):
    monkeypatch.setattr(torchnlp, "_vocab", None)
    with pytest.raises(RuntimeError, match=r"load_dataset\(\) first"):
        encode("goal")
    for collate in (padify, offsetify):
        with pytest.raises(RuntimeError, match=r"load_dataset\(\) first"):
            collate([(1, "goal")])


def test_padify_shapes_labels_and_padding(vocab):
    labels, ids = padify([(1, "late goal"), (4, "chip"), (2, "")])
    assert labels.tolist() == [0, 3, 1]
    assert (labels.dtype, ids.dtype, ids.shape) == (torch.int64, torch.int64, (3, 2))
    assert ids[1].tolist() == [vocab.stoi["chip"], vocab.stoi["<pad>"]]
    assert ids[2].tolist() == [vocab.stoi["<unk>"], vocab.stoi["<pad>"]]


def test_padify_as_collate_fn(folder, vocab):
    rows = load_dataset(root=folder)[0]
    shapes = [ids.shape[0] for _, ids in torch.utils.data.DataLoader(rows, batch_size=3, collate_fn=padify)]
    assert shapes == [3, 1]


@pytest.mark.slow  # a worker that is spawned imports torch anew
def test_padify_in_workers_that_are_spawned_works_with_a_vocabulary_and_says_so_without(folder, vocab):
    rows = load_dataset(root=folder)[0]
    workers = {"batch_size": 4, "num_workers": 1, "multiprocessing_context": "spawn"}
    loader = torch.utils.data.DataLoader(rows, collate_fn=functools.partial(padify, voc=vocab), **workers)
    ((labels, ids),) = loader
    assert torch.equal(ids, padify(rows)[1]) and labels.tolist() == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match=r"collate_fn=functools\.partial\(padify, voc=vocab\)"):
        next(iter(torch.utils.data.DataLoader(rows, collate_fn=padify, **workers)))


@pytest.mark.parametrize("collate", [padify, offsetify])
def test_an_empty_batch_is_refused(vocab, collate):
    with pytest.raises(ValueError, match="empty batch"):
        collate([])


def test_offsetify_gives_one_row_of_ids_and_where_each_text_begins(vocab):
    labels, ids, offsets = offsetify([(1, "late goal"), (4, ""), (2, "chip")])
    assert labels.tolist() == [0, 3, 1] and offsets.tolist() == [0, 2, 3]
    assert ids.tolist() == [vocab.stoi["late"], vocab.stoi["goal"], vocab.stoi["<unk>"], vocab.stoi["chip"]]
    bags = torch.nn.EmbeddingBag(len(vocab), 5)
    assert torch.allclose(bags(ids, offsets)[0], bags.weight[ids[:2]].mean(dim=0))


class Bag(torch.nn.Module):
    """Mean of word vectors, then a linear layer."""

    def __init__(self, words=50):
        super().__init__()
        self.words = torch.nn.EmbeddingBag(words, 8)
        self.out = torch.nn.Linear(8, 4)

    def forward(self, ids):
        return self.out(self.words(ids))


def batches(sizes):
    """Texts of five words; those of label n are 10n to 10n + 9."""
    torch.manual_seed(0)
    for size in sizes:
        labels = torch.randint(0, 4, (size,))
        yield labels, labels.unsqueeze(1) * 10 + torch.randint(0, 10, (size, 5))


def test_train_epoch_gives_means_per_example_also_with_an_uneven_last_batch():
    torch.manual_seed(1)
    net, data = Bag(), list(batches([8, 8, 1]))
    frozen = torch.optim.SGD(net.parameters(), lr=0.0)
    loss, accuracy = train_epoch(net, data, optimizer=frozen)
    labels, ids = torch.cat([y for y, _ in data]), torch.cat([x for _, x in data])
    scores = net(ids)
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(scores, labels).item(), rel=1e-5)
    assert accuracy == pytest.approx((scores.argmax(1) == labels).float().mean().item())
    assert isinstance(loss, float) and isinstance(accuracy, float)


def test_train_epoch_learns_in_training_mode():
    torch.manual_seed(1)
    net, data = Bag().eval(), list(batches([16] * 10))
    first, _ = train_epoch(net, data)
    assert net.training
    for _ in range(10):
        last, accuracy = train_epoch(net, data)
    assert last < first / 2 and accuracy > 0.9


def test_train_epoch_stops_at_epoch_size_and_reports(capsys):
    seen = []
    data = (seen.append(1) or batch for batch in batches([8] * 10))
    train_epoch(Bag(), data, epoch_size=24, report_freq=2)
    assert len(seen) == 3
    assert capsys.readouterr().out.startswith("16 examples: loss ")
    train_epoch(Bag(), batches([8] * 4), report_freq=0)
    assert capsys.readouterr().out == ""


def test_train_epoch_emb_hands_offsets_or_lengths_to_the_network(folder, vocab):
    rows, seen = load_dataset(root=folder)[0], []

    class Bags(Bag):
        def forward(self, ids, third):
            seen.append(third)
            return self.out(self.words(ids, third if ids.dim() == 1 else None))

    net = Bags()
    loader = torch.utils.data.DataLoader(rows, batch_size=4, collate_fn=offsetify)
    losses = [train_epoch_emb(net, loader, lr=0.1, report_freq=0)[0] for _ in range(10)]
    assert losses[-1] < losses[0] and seen[0].tolist() == [0, 5, 9, 11]
    train_epoch_emb(net, [(*padify(rows), torch.tensor([5, 4, 2, 5]))], use_pack_sequence=True)
    assert seen[-1].device.type == "cpu"


def test_train_epoch_refuses_an_empty_dataloader():
    with pytest.raises(ValueError, match="dataloader is empty"):
        train_epoch(Bag(), [])
