"""scripts/findings.py: a tiny notebook in a real kernel, with other seeds and on more rows."""

import csv
from collections import Counter

import pytest
from nbformat.v4 import new_code_cell, new_notebook

import findings
from torchnlp import load_dataset

SEED = "import random\nrandom.seed(0)\nlot = random.random()"
CLAIM = "from course.claims import claim\nclaim('a lot is above a half', lot > 0.5, f'{lot:.2f}')"


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    notebook = new_notebook(cells=[new_code_cell(SEED, id="seed"), new_code_cell(CLAIM, id="lot")])
    monkeypatch.setattr(findings, "read", lambda language, lesson: notebook)
    monkeypatch.setattr(findings, "FOLDER", tmp_path)
    monkeypatch.delenv("COURSE_CLAIMS", raising=False)
    return tmp_path


@pytest.mark.slow
def test_each_seed_is_run_once_and_what_did_not_hold_is_told(tiny, monkeypatch, capsys):
    command = ["--lessons", "1-attention", "--seeds", "0", "1"]
    assert findings.main(command) == 0
    first = capsys.readouterr().out
    assert "2 runs, 2 from top to bottom" in first
    assert " 1  a lot is above a half\n          seed 1: 0.13" in first
    monkeypatch.setattr(findings, "run", lambda *_: pytest.fail("a run that is kept was repeated"))
    findings.main(command)
    assert capsys.readouterr().out == first


def test_rows_of_the_official_size(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHNLP_DATA", "sample")
    monkeypatch.setattr(findings, "OFFICIAL_ROWS", {"train.csv": 3000, "test.csv": 700})
    findings.write_official_size(tmp_path)
    train, test, _, vocab = load_dataset(root=tmp_path)
    assert (len(train), len(test)) == (3000, 700) and set(Counter(label for label, _ in train)) == {1, 2, 3, 4}
    assert len(vocab) > len(load_dataset(root="sample")[3]) + 2000
    with (tmp_path / "train.csv").open(encoding="utf-8", newline="") as file:
        assert len(next(csv.reader(file))) == 2
