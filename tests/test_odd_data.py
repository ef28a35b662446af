"""Odd and hostile rows, loaded, in batches, plots, head viewer and pages: they work, or file and line are named."""

import json
import warnings
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
import torch
import transformers
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sklearn.metrics import classification_report, confusion_matrix

import pages
from course import plots
from course.heads import show_heads
from course.language import LANGUAGES, SOURCE
from course.notebooks import ROOT, run_cells
from torchnlp import encode, load_dataset, offsetify, padify

ODD = {
    "script": "<script>alert(1)</script> </script> <img src=x onerror=alert(1)> &lt; <!--",
    "formula": "$x^2$ costs $30 to $25 \\(a\\) \\[b\\] $$ \\frac \\",
    "braces": "{} {0} {name} {{ {% raw %} %s %d %(name)s 100%",
    "right to left": "خبر عاجل \u202eabc\u202c שלום",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \U0001f9ff",
    "control": "\x01\x07\x08\x1b[31mred\x1b[0m\x7f\x85\u2028\ufeff\ufffe",
    "line ends": "a\r\nb\rc\n\nd",
    "hangul": "속보: 어텐션 강의",
    "empty": "",
    "spaces": " \t \u00a0 \u3000 ",
    "quotes": "\"'`‘’“” \\\" ''",
    "long": "word " * 26_000,
}
SHORT = {name: text for name, text in ODD.items() if len(text) < 1000}


def write(folder, rows, name="train.csv", encoding="utf-8", end="\n"):
    lines = [f'"{label}","{text.replace(chr(34), 2 * chr(34))}"' for label, text in rows]
    (folder / name).write_bytes(end.join([*lines, ""]).encode(encoding))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, [(1, "one"), (2, "two")])
    write(tmp_path, [(1, "three")], "test.csv")
    return tmp_path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_odd_texts_are_rows_like_any_others(end, encoding, folder):
    rows = [(i % 3 + 1, text) for i, text in enumerate(ODD.values())]  # no row of class 4
    write(folder, rows, encoding=encoding, end=end)
    train, test, classes, vocab = load_dataset(root=folder)
    assert train == rows and test == [(1, "three")] and len(classes) == 4
    labels, ids = padify(train)
    assert labels.tolist() == [label - 1 for label, _ in rows] and ids.shape == (len(rows), 26_000)
    assert 0 <= ids.min() and ids.max() < len(vocab)
    assert offsetify(train)[1].shape == (sum(len(encode(text)) for _, text in train),)


def test_the_tokenizer_of_bert_takes_them():
    tokenizer = transformers.BertTokenizer.from_pretrained(ROOT / "bert")
    names = {"tokenizer": tokenizer, "torch": torch, "MAX_SEQ_LEN": 96, "PAD_INDEX": 0}
    _, ids, mask = run_cells("3-bert", "pad-bert", **names)["pad_bert"]([(1, text) for text in ODD.values()])
    assert ids.shape == mask.shape == (len(ODD), 96) and mask.sum(dim=1).min() >= 2


def test_many_rows_of_one_letter(folder):
    write(folder, [(i % 4 + 1, chr(97 + i % 26)) for i in range(100_000)])
    train, _, _, vocab = load_dataset(root=folder)
    assert len(train) == 100_000 and len(vocab) == 28
    assert padify(train[:1000])[1].shape == (1000, 1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'1,fine\n2,"a \0 b"\n', "train.csv, line 2: a byte 0"),
        (b"1,fine\n2," + b"x" * 10_000_000 + b"\n3,x\n", r"train.csv, line 2: field larger than field limit"),
        (b'1,fine\n2,"open\n' + b"3,x\n" * 100, "train.csv, line 2: unexpected end of data; is a quote left open?"),
        (b'1,fine\n2,"open\n' + b"3,x\n" * 100_000, "train.csv, line 2: field larger .*; is a quote left open?"),
        ("1,fine\n".encode("utf-16"), "train.csv, line 1: not valid UTF-8; save the file as UTF-8"),
        ("1,fine\n".encode("utf-16-le"), r"train.csv, line 1: expected a label from 1 to 4, got '1\\x00'"),
        (b"1,fine\n2,caf\xe9\n", "train.csv, line 2: not valid UTF-8"),
        (b"1,a\n1,b\n", "train.csv, line 1: every row has this label; expected rows of two classes or more"),
        (b"\xef\xbb\xbflabel,text\r\n1,a\r\n", "train.csv, line 1: expected a label from 1 to 4, got 'label'"),
        (b"<html><body>Not found</body></html>", "train.csv, line 1: expected a label and at least one text column"),
    ],
)
def test_what_is_no_file_of_rows_is_refused_by_file_and_line(content, says, folder):
    (folder / "train.csv").write_bytes(content)
    with pytest.raises(ValueError, match=says) as refusal:
        load_dataset(root=folder)
    assert len(str(refusal.value)) < 200


class Tags(HTMLParser):
    """{tag: how often}, and the texts inside of scripts"""

    def __init__(self, html):
        super().__init__()
        self.tags, self.handlers, self.scripts = {}, [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.handlers += [name for name, _ in attributes if name.startswith("on")]
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.lasttag == "script":
            self.scripts[-1] += data


def test_the_head_viewer_shows_them_as_they_are():
    tokens = list(SHORT.values())
    weights = torch.ones(1, 1, len(tokens), len(tokens)) / len(tokens)
    plain = Tags(show_heads(weights, ["word"] * len(tokens)).data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a letter that no font has would be told to the student
        odd = Tags(show_heads(weights, tokens).data)
    assert (odd.tags, odd.handlers) == (plain.tags, plain.handlers) and len(odd.scripts) == 1
    data, _ = json.JSONDecoder().raw_decode(odd.scripts[0].split("(document.currentScript.parentElement, ")[1])
    assert data["keys"] == tokens


def test_plots_show_them_as_text(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "display", shown.append)
    names, size = list(SHORT.values()), len(SHORT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in names:
            plots.plot_lines({name: ([1, 2], [1, 2])}, xlabel="x", ylabel="y", title=name)
            plots.plot_points({f"word {name[:20]}": [(0, 1)]}, "x", "y", name)
        plots.plot_bars(dict(zip(names, range(size), strict=True)), "x", names[0])
        plots.plot_heatmap(np.eye(size), names, names, names[2], fmt="{:.2f}")
        plots.plot_matrices({name: np.eye(2) for name in names}, columns=3, labels=["$a$", "<b>"])
    assert len(shown) == 2 * size + 3


@pytest.fixture
def odd_notebook():
    """A lesson in which every odd text is printed, and in the title."""
    text = "\n".join(SHORT.values())
    outputs = [new_output("stream", text=text), new_output("execute_result", {"text/plain": text})]
    cells = [new_markdown_cell("# A lesson on `<script>`"), new_code_cell(f"texts = {text!r}", outputs=outputs)]
    cells[1].metadata["tags"] = ["result"]
    return new_notebook(cells=cells)


def test_pages_and_the_start_page_have_no_markup_of_them(odd_notebook, tmp_path, monkeypatch):
    plain = new_notebook(
        cells=[odd_notebook.cells[0], new_code_cell("1", outputs=[new_output("stream", text="1")] * 2)]
    )
    for kind in pages.EXPORTERS:
        odd, usual = (Tags(pages.export(kind, notebook, SOURCE)) for notebook in (odd_notebook, plain))
        assert odd.tags.get("img") == usual.tags.get("img") and odd.tags["script"] == usual.tags["script"]
        assert odd.handlers == usual.handlers and "alert(1)" not in "".join(odd.scripts)
    monkeypatch.setattr(pages, "BUILD", tmp_path)
    for language in LANGUAGES:
        (tmp_path / language).mkdir()
        for lesson in pages.LESSONS:
            nbformat.write(odd_notebook, tmp_path / language / f"{lesson}.ipynb")
            (tmp_path / language / f"{lesson}.html").touch()
    pages.write_start_page()
    start_page = Tags((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "img" not in start_page.tags and start_page.handlers == []
    assert "alert(1)" not in "".join(start_page.scripts)


@pytest.mark.browser
def test_a_page_reads_no_printed_text_as_a_formula(odd_notebook, show):
    odd_notebook.cells.append(new_markdown_cell("A formula: $y^2$"))
    page = show(pages.export("page", odd_notebook, SOURCE))
    page.wait_for_selector("mjx-container")
    assert page.locator("mjx-container").count() == 1
    for name in ("script", "formula", "braces"):
        assert SHORT[name] in page.locator("body").text_content()


def test_a_class_without_test_rows_leaves_an_empty_line_in_report_and_confusion(capsys):
    drawn, classes = [], ["World", "Sports", "Business", "Sci/Tech"]
    names = {"classification_report": classification_report, "confusion_matrix": confusion_matrix, "classes": classes}
    names |= {"np": np, "expected": np.array([0, 1, 2]), "predicted": np.array([0, 1, 1])}
    names["plot_heatmap"] = lambda shares, *rest: drawn.append(shares)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_cells("3-bert", "report", "confusion", **names)
    assert classes[3] in capsys.readouterr().out and drawn[0].shape == (4, 4)
