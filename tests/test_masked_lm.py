"""The masked-word head in bert/mlm: it loads, it refuses, it guesses. And the script that trained it."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import masked_words
import torchnlp
import train_mlm
from bert.masked_lm import load_masked_lm
from cloze import CLOZE
from course.notebooks import ROOT


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
    batch = tokenizer([sentence for sentence, _ in CLOZE], padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**batch).logits[batch.input_ids == tokenizer.mask_token_id]  # (20, vocabulary)
    guesses = [set(tokenizer.convert_ids_to_tokens(ids)) for ids in logits.topk(2).indices]
    sensible = [bool(accepted & two) for (_, accepted), two in zip(CLOZE, guesses, strict=True)]
    assert sum(sensible) >= 14, [sentence for (sentence, _), good in zip(CLOZE, sensible, strict=True) if not good]


def test_the_evaluation_shows_both_baselines_and_a_model_that_beats_them(monkeypatch, capsys):
    monkeypatch.setenv("TORCHNLP_DATA", "sample")
    monkeypatch.setattr(sys, "argv", ["train_mlm.py", "--evaluate", "--max-texts", "100"])
    train_mlm.main()
    title, head, *table = capsys.readouterr().out.splitlines()[-5:]
    assert re.fullmatch(r"\d{3} masked pieces of 100 held-out texts", title)
    assert head.split("   ")[-2:] == ["first guess", "within five"]
    shares = {}
    for line in table:
        name, first, five = re.fullmatch(r"(.*?) +([\d.]+)% +([\d.]+)%", line).groups()
        shares[name] = float(first), float(five)
    assert list(shares) == ["most frequent piece", "left and right neighbour", "bert/mlm"]
    frequent, neighbours, model = shares.values()
    assert 0 < frequent[0] < neighbours[0] and 0 < frequent[1] < neighbours[1]
    assert model[0] > max(28, 2 * neighbours[0]) and model[1] > max(42, 2 * neighbours[1])


def test_no_test_row_of_the_sample_is_trained_on():
    _, test, _, _ = torchnlp.load_dataset(root="sample")
    stories = masked_words.bbc_stories()
    assert len(stories) > 1500
    assert not {text for _, text in test} & set(map(torchnlp.title_and_description, stories))


def test_chunks_are_cut_between_paragraphs_and_keep_their_marks(tokenizer):
    paragraph = "one two three four five six seven eight nine ten " * 6  # 60 pieces
    texts = [f"{paragraph}\n{paragraph}\n\n{paragraph}", "a short text here", "no", "word " * 500]
    chunks = masked_words.split_into_chunks(texts, tokenizer)
    assert [len(chunk) for chunk in chunks] == [122, 62, 6, masked_words.MAX_LENGTH]
    assert all(chunk[0] == tokenizer.cls_token_id and chunk[-1] == tokenizer.sep_token_id for chunk in chunks)


def test_the_evaluation_masks_the_same_15_percent_every_time(tokenizer):
    chunks = masked_words.split_into_chunks(["the game was won by the team in the last minute " * 3] * 60, tokenizer)
    first, second = (masked_words.masked_batches(chunks, tokenizer) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
        masked = a["labels"] != masked_words.IGNORED
        assert (a["input_ids"][masked] == tokenizer.mask_token_id).all()
        assert not torch.isin(a["labels"][masked], torch.tensor(tokenizer.all_special_ids)).any()
    share = torch.cat([(batch["labels"] != masked_words.IGNORED).flatten() for batch in first]).float().mean()
    assert 0.12 < share < 0.18


def test_figures_are_shares_of_all_masked_pieces():
    logits = torch.arange(8.0).repeat(4, 1)  # always guesses 7, then 6, 5, 4, 3
    labels = torch.tensor([[-100, 7, 3], [2, -100, 7]])
    figures = masked_words.measure(lambda batch: logits, [{"labels": labels}, {"labels": labels}])
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([7, 3, 2, 7])).item()
    assert figures == {"loss": pytest.approx(expected), "first": 0.5, "five": 0.75}


def test_the_baselines_count_pieces_and_use_both_neighbours():
    baselines = masked_words.Baselines([[1, 2, 3], [1, 2, 3], [1, 4, 5], [6, 4, 3]], 7, never=[1])
    batch = {
        "input_ids": torch.tensor([[1, 0, 3], [1, 0, 5], [6, 0, 3]]),
        "labels": torch.tensor([[-100, 2, -100], [-100, 4, -100], [-100, 4, -100]]),
    }
    assert baselines.neighbours(batch).argmax(dim=1).tolist() == [2, 4, 4]
    assert baselines.most_frequent(batch).argmax(dim=1).tolist() == [3, 3, 3]  # 1 is as frequent, but never guessed


# --- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mask-probability", "1.5"], "--mask-probability must be above 0 and below 1, not 1.5"),
        (["--num-train-epochs", "0"], "--num-train-epochs must be above 0, not 0"),
        (["--lora-rank", "-1"], "--lora-rank must be above 0, not -1"),
        (["--max-texts", "0"], "--max-texts must be 1 or more, not 0"),
        (["--continue-training"], "needs a finished training"),
        (["--evaluate"], "--evaluate: not allowed with argument --output-dir"),
    ],
)
def test_bad_options_are_refused_at_once(options, message, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["train_mlm.py", "--output-dir", str(tmp_path), *options])
    with pytest.raises(SystemExit) as stopped:
        train_mlm.main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.split("error:")[1]


@pytest.mark.slow
def test_a_killed_training_resumes_from_its_last_checkpoint_and_can_be_continued(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCHNLP_DATA", "sample")
    settings = {"max-texts": 20, "per-device-train-batch-size": 5, "num-train-epochs": 2, "eval-steps": 3}
    options = [f"--{name}={value}" for name, value in settings.items()] + [f"--output-dir={tmp_path}"]

    def main(*more):
        monkeypatch.setattr(sys, "argv", ["train_mlm.py", *options, *more])
        train_mlm.main()

    def steps():
        return [point["step"] for point in json.loads((tmp_path / "history.json").read_text())]

    process = subprocess.Popen([sys.executable, train_mlm.__file__, *options], stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "checkpoints/checkpoint-3/trainer_state.json").is_file():
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "adapter_model.safetensors").exists()

    with pytest.raises(SystemExit, match=r"had other options: {'learning_rate': 0.002}"):
        main("--learning-rate", "0.5")
    main()
    assert "resuming from checkpoint-" in capsys.readouterr().out
    assert not (tmp_path / "checkpoints").exists()
    assert steps() == [3, 6, 8]  # what was measured before the kill is not lost

    main("--continue-training", "--lora-rank", "4", "--num-train-epochs", "1")
    assert steps() == [3, 6, 8, 11, 12]
    adapter = load_file(tmp_path / "adapter_model.safetensors")
    assert {len(tensor) for name, tensor in adapter.items() if "lora_A" in name} == {4}


def test_cutting_an_adapter_keeps_its_largest_part():
    torch.manual_seed(0)
    left, right = torch.linalg.qr(torch.randn(10, 3))[0], torch.linalg.qr(torch.randn(8, 3))[0].T
    adapter = {"x.lora_A.weight": torch.tensor([[5.0], [2.0], [0.1]]) * right, "x.lora_B.weight": left, "bias": left}
    cut = train_mlm.cut_to_rank(adapter, 2)
    expected = left[:, :2] @ adapter["x.lora_A.weight"][:2]
    assert cut["x.lora_A.weight"].shape == (2, 8) and torch.equal(cut["bias"], left)
    assert torch.allclose(cut["x.lora_B.weight"] @ cut["x.lora_A.weight"], expected, atol=1e-5)
    assert torch.equal(train_mlm.cut_to_rank(adapter, 3)["x.lora_B.weight"], left)
