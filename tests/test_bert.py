"""bert/prepare.py fills the folder whole or not at all, and what it fills works with transformers."""

import os
import shutil
import subprocess
import sys

import pytest
import transformers

from bert import prepare
from bert.prepare import PrepareError
from course.files import sha256
from course.notebooks import ROOT


def test_fills_a_folder_after_a_killed_run_and_leaves_it_alone_the_second_time(tmp_path):
    killed, writing = tmp_path / ".partial-killed", tmp_path / ".partial-writing"
    killed.mkdir()
    writing.mkdir()
    os.utime(killed, (0, 0))
    assert "bert/ is ready: 4 files, 91." in prepare.prepare(tmp_path)
    writing.rmdir()  # only what is old is deleted
    assert {path.name: sha256(path) for path in tmp_path.iterdir()} == prepare.SHA256
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    prepare.prepare(tmp_path)
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_an_altered_file_is_refused_kept_and_restored_on_request(tmp_path):
    prepare.prepare(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"altered")
    with pytest.raises(PrepareError, match="model.safetensors is not .* run: python bert/prepare.py --restore"):
        prepare.prepare(tmp_path)
    assert weights.read_bytes() == b"altered"
    prepare.prepare(tmp_path, restore=True)
    assert sha256(weights) == prepare.SHA256["model.safetensors"]


def test_an_interrupted_copy_leaves_nothing_behind(tmp_path, monkeypatch):
    def cut_off(source, target):
        target.write_bytes(source.read_bytes()[:1000])
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare.shutil, "copyfile", cut_off)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_missing_package_names_what_to_install(tmp_path, monkeypatch):
    shutil.copytree(prepare.package_folder(), tmp_path / "package")
    (tmp_path / "package" / "vocab.txt").write_text("something else")
    with monkeypatch.context() as damaged:
        damaged.setattr(prepare, "package_folder", lambda: tmp_path / "package")
        with pytest.raises(PrepareError, match="vocab.txt .* pip install --force-reinstall"):
            prepare.prepare(tmp_path / "bert")
    monkeypatch.setattr(prepare, "find_spec", lambda name: None)
    with pytest.raises(PrepareError, match="not installed; run: pip install -r requirements.txt"):
        prepare.prepare(tmp_path / "bert")
    assert list((tmp_path / "bert").iterdir()) == []


def test_as_a_command_an_error_is_one_line(tmp_path):
    shutil.copy(ROOT / "bert" / "prepare.py", tmp_path)
    (tmp_path / "vocab.txt").write_text("not the vocabulary")
    run = subprocess.run([sys.executable, tmp_path / "prepare.py"], capture_output=True, text=True)
    assert run.returncode == 1 and run.stdout == ""
    assert run.stderr.count("\n") == 1 and "--restore" in run.stderr


def test_the_files_are_a_tokenizer_and_an_encoder_of_which_only_the_head_is_new():
    tokenizer = transformers.BertTokenizer.from_pretrained(ROOT / "bert")
    ids = [101, 1052, 22123, 2953, 2818, 2003, 1037, 2307, 7705, 2005, 17953, 2361, 102]  # those of bert-base-uncased
    assert tokenizer.encode("PyTorch is a great framework for NLP") == ids
    assert tokenizer.pad_token_id == 0 and tokenizer.unk_token_id == 100
    model, report = transformers.BertForSequenceClassification.from_pretrained(
        ROOT / "bert", num_labels=4, output_loading_info=True
    )
    assert set(report["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    assert not report["unexpected_keys"] and not report["mismatched_keys"]
    assert round(model.bert.num_parameters() / 1e6, 1) == 22.7
