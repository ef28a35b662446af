"""The masked-word head in bert/mlm: it loads, it refuses, it guesses. And the script that trained it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import torchnlp
import train_mlm as script
from bert.masked_lm import load_masked_lm
from cloze import CLOZE
from course.notebooks import ROOT

SCRIPT = ROOT / "scripts" / "train_mlm.py"


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.BertTokenizer.from_pretrained(ROOT / "bert")


@pytest.fixture(scope="module")
def model():
    return load_masked_lm(ROOT / "bert")


# --- loading --------------------------------------------------------------------------------------------------------


def test_the_file_is_small_and_loads_as_a_masked_lm(model):
    assert (ROOT / "bert" / "mlm" / "adapter_model.safetensors").stat().st_size < 5_000_000
    assert isinstance(model, transformers.BertForMaskedLM) and not model.training
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight


@pytest.fixture
def copy_of_bert(tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(ROOT / "bert" / name, tmp_path / name)
    return tmp_path


def test_another_encoder_than_the_one_it_was_trained_on_is_refused(copy_of_bert):
    shutil.copytree(ROOT / "bert" / "mlm", copy_of_bert / "mlm")
    load_masked_lm(copy_of_bert)
    weights = load_file(copy_of_bert / "model.safetensors")
    weights["encoder.layer.0.attention.self.query.weight"][0, 0] += 1
    save_file(weights, copy_of_bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"was trained on the encoder .*prepare\.py --restore"):
        load_masked_lm(copy_of_bert)


def test_a_model_without_the_head_is_refused(copy_of_bert):
    with pytest.raises(ValueError, match="no head that guesses masked words"):
        load_masked_lm(copy_of_bert)


def test_a_checkpoint_with_its_own_head_loads_as_it_is(tmp_path):
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    saved = transformers.BertForMaskedLM(config).eval()
    saved.save_pretrained(tmp_path)
    ids = torch.randint(0, 50, (2, 5))
    assert torch.allclose(load_masked_lm(tmp_path)(ids).logits, saved(ids).logits, atol=1e-6)


# --- guessing -------------------------------------------------------------------------------------------------------


def test_most_plain_gaps_get_a_sensible_first_or_second_guess(model, tokenizer):
    assert len(CLOZE) == 20
    sensible = []
    for sentence, accepted in CLOZE:
        batch = tokenizer(sentence, return_tensors="pt")
        with torch.inference_mode():
            scores = model(**batch).logits[batch.input_ids == tokenizer.mask_token_id][0]
        guesses = tokenizer.convert_ids_to_tokens(scores.topk(2).indices)
        sensible.append(bool(accepted & set(guesses)))
    assert sum(sensible) >= 14, [sentence for (sentence, _), good in zip(CLOZE, sensible, strict=True) if not good]


def test_it_fills_gaps_in_unseen_news_far_better_than_the_most_frequent_piece(model, tokenizer):
    _, test, _, _ = torchnlp.load_dataset(root="sample")
    batches = script.masked_batches(script.pieces_of([text for _, text in test[:150]], tokenizer), tokenizer)
    figures = script.measure(model, batches)
    truth = torch.cat([batch["labels"][batch["labels"] != script.IGNORED] for batch in batches])
    assert figures["first"] > 0.28 and figures["five"] > 0.42
    assert figures["first"] > 3 * (truth == truth.mode().values).float().mean()


# --- the script -----------------------------------------------------------------------------------------------------


def test_no_test_row_of_the_sample_is_trained_on():
    _, test, _, _ = torchnlp.load_dataset(root="sample")
    held_out = {text for _, text in test}
    stories = script.bbc_stories()
    assert len(stories) > 1500
    assert not held_out & {torchnlp._sample_text(story.encode()) for story in stories}


def test_runs_are_cut_between_paragraphs_and_keep_their_marks(tokenizer):
    paragraph = "one two three four five six seven eight nine ten " * 6  # 60 pieces
    runs = script.pieces_of([f"{paragraph}\n{paragraph}\n\n{paragraph}", "a short text here", "no"], tokenizer)
    assert [len(run) for run in runs] == [122, 62, 6]
    assert all(run[0] == tokenizer.cls_token_id and run[-1] == tokenizer.sep_token_id for run in runs)
    assert len(script.pieces_of(["word " * 500], tokenizer)[0]) == script.LONGEST


def test_the_evaluation_hides_the_same_15_percent_every_time(tokenizer):
    runs = script.pieces_of(["the game was won by the team in the last minute " * 3] * 60, tokenizer)
    first, second = (script.masked_batches(runs, tokenizer) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
        hidden = a["labels"] != script.IGNORED
        assert (a["input_ids"][hidden] == tokenizer.mask_token_id).all()
        assert not torch.isin(a["labels"][hidden], torch.tensor(tokenizer.all_special_ids)).any()
    share = torch.cat([(batch["labels"] != script.IGNORED).flatten() for batch in first]).float().mean()
    assert 0.12 < share < 0.18


def test_the_neighbours_baseline_uses_both_sides():
    neighbours = script.Neighbours([[1, 2, 3], [1, 2, 3], [1, 4, 5], [6, 4, 3]], 7)
    guesses = neighbours.scores(np.array([1, 1, 6]), np.array([3, 5, 3])).argmax(axis=1)
    assert guesses.tolist() == [2, 4, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--masked", "1.5"], "--masked is a share above 0 and below 1, not 1.5"),
        (["--epochs", "0"], "must be above 0"),
        (["--rank", "-1"], "must be above 0"),
        (["--texts", "0"], "--texts is a number of 1 or more, not 0"),
        (["--more"], "goes on from a finished training"),
        (["--evaluate"], "it takes no --output"),
    ],
)
def test_bad_options_are_refused_at_once(options, message, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["train_mlm.py", "--output", str(tmp_path), *options])
    with pytest.raises(SystemExit) as stopped:
        script.main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.split("error:")[1]


def test_a_training_that_is_killed_goes_on_from_its_last_checkpoint(tmp_path):
    def start(*more):
        options = [
            "--texts",
            "40",
            "--batch",
            "8",
            "--epochs",
            "2",
            "--measure-every",
            "3",
            "--output",
            tmp_path,
            *more,
        ]
        environment = os.environ | {"TORCHNLP_DATA": "sample"}
        return subprocess.Popen(
            [sys.executable, SCRIPT, *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    process = start()
    while process.poll() is None and not list(tmp_path.glob("checkpoints/checkpoint-3/trainer_state.json")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "adapter_model.safetensors").exists()

    other = start("--rate", "0.5")
    assert "other options: {'rate': 0.002}" in other.communicate()[1] and other.returncode == 1
    again = start()
    out, err = again.communicate()
    assert "going on from checkpoint-" in out and again.returncode == 0, err
    assert not (tmp_path / "checkpoints").exists()
    history = json.loads((tmp_path / "history.json").read_text())
    assert [point["step"] for point in history] == [3, 6, 9, 10]  # what came before the kill is not lost

    more = start("--more", "--rank", "4")
    _, err = more.communicate()
    assert more.returncode == 0, err
    assert [point["step"] for point in json.loads((tmp_path / "history.json").read_text())][-1] == 20
    adapter = load_file(tmp_path / "adapter_model.safetensors")
    assert {len(tensor) for name, tensor in adapter.items() if "lora_A" in name} == {4}


def test_cutting_an_adapter_keeps_its_largest_part():
    torch.manual_seed(0)
    left, right = torch.linalg.qr(torch.randn(10, 3))[0], torch.linalg.qr(torch.randn(8, 3))[0].T
    adapter = {"x.lora_A.weight": torch.tensor([[5.0], [2.0], [0.1]]) * right, "x.lora_B.weight": left, "bias": left}
    cut = script.cut_to_rank(adapter, 2)
    expected = left[:, :2] @ adapter["x.lora_A.weight"][:2]
    assert cut["x.lora_A.weight"].shape == (2, 8) and torch.equal(cut["bias"], left)
    assert torch.allclose(cut["x.lora_B.weight"] @ cut["x.lora_A.weight"], expected, atol=1e-5)
    assert torch.equal(script.cut_to_rank(adapter, 3)["x.lora_B.weight"], left)
