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

import torchnlp
import train_mlm
from bert.masked_lm import load_masked_lm
from cloze import CLOZE
from course.notebooks import ROOT


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.BertTokenizer.from_pretrained(ROOT / "bert")


def test_only_the_encoder_that_the_head_was_trained_on_is_accepted(tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(ROOT / "bert" / name, tmp_path / name)
    with pytest.raises(ValueError, match="no head that guesses masked words"):
        load_masked_lm(tmp_path)
    shutil.copytree(ROOT / "bert" / "mlm", tmp_path / "mlm")
    load_masked_lm(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["encoder.layer.0.attention.self.query.weight"][0, 0] += 1
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"was trained on the encoder .*prepare\.py --restore"):
        load_masked_lm(tmp_path)


def test_a_checkpoint_with_its_own_head_loads_as_it_is(tmp_path):
    sizes = {"vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    saved = transformers.BertForMaskedLM(transformers.BertConfig(**sizes)).eval()
    saved.save_pretrained(tmp_path)
    ids = torch.randint(0, 50, (2, 5))
    assert torch.allclose(load_masked_lm(tmp_path)(ids).logits, saved(ids).logits, atol=1e-6)


def test_the_small_file_gives_most_plain_gaps_a_sensible_first_or_second_guess(tokenizer):
    assert (ROOT / "bert" / "mlm" / train_mlm.ADAPTER).stat().st_size < 5_000_000
    model = load_masked_lm(ROOT / "bert")
    assert isinstance(model, transformers.BertForMaskedLM) and not model.training
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    batch = tokenizer([sentence for sentence, _ in CLOZE], padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**batch).logits[batch.input_ids == tokenizer.mask_token_id]  # (20, vocabulary)
    guesses = [set(tokenizer.convert_ids_to_tokens(ids)) for ids in logits.topk(2).indices]
    assert sum(bool(accepted & two) for (_, accepted), two in zip(CLOZE, guesses, strict=True)) >= 14


def test_the_evaluation_shows_both_baselines_and_a_model_that_beats_them(monkeypatch, capsys):
    monkeypatch.setenv("TORCHNLP_DATA", "sample")
    monkeypatch.setattr(sys, "argv", ["train_mlm.py", "--evaluate", "--max-texts", "100"])
    train_mlm.main()
    shown = capsys.readouterr().out
    assert re.search(r"^\d{3} masked pieces of 100 held-out texts\n +first guess   within five\n", shown, re.MULTILINE)
    names, *shares = zip(*re.findall(r"^(\S.*\S) +([\d.]+)% +([\d.]+)%$", shown, re.MULTILINE), strict=True)
    assert names == ("most frequent piece", "left and right neighbour", "bert/mlm")
    for (frequent, neighbours, model), enough in zip((map(float, share) for share in shares), (28, 42), strict=True):
        assert 0 < frequent < neighbours and model > max(enough, 2 * neighbours)


def test_no_test_row_of_the_sample_is_trained_on(monkeypatch):
    monkeypatch.setenv("TORCHNLP_DATA", "sample")
    texts, held_out = train_mlm.load_texts()
    assert len(texts) > 2900 and len(held_out) > 300
    assert not set(held_out) & set(map(torchnlp.title_and_description, texts))


def test_chunks_are_cut_between_paragraphs_and_keep_their_marks(tokenizer):
    paragraph = "one two three four five six seven eight nine ten " * 6  # 60 pieces
    texts = [f"{paragraph}\n{paragraph}\n\n{paragraph}", "a short text here", "no", "word " * 500]
    chunks = train_mlm.split_into_chunks(texts, tokenizer)
    assert [len(chunk) for chunk in chunks] == [122, 62, 6, 128]
    assert all(chunk[0] == tokenizer.cls_token_id and chunk[-1] == tokenizer.sep_token_id for chunk in chunks)


def test_the_evaluation_masks_the_same_15_percent_every_time(tokenizer):
    chunks = train_mlm.split_into_chunks(["the game was won by the team in the last minute " * 3] * 32, tokenizer)
    [batch], [again] = (train_mlm.masked_batches(chunks, tokenizer) for _ in range(2))
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    masked = batch["labels"] != train_mlm.IGNORED
    assert 0.12 < masked.float().mean() < 0.18 and (batch["input_ids"][masked] == tokenizer.mask_token_id).all()
    assert not torch.isin(batch["labels"][masked], torch.tensor(tokenizer.all_special_ids)).any()


def test_baselines_count_pieces_and_pairs_and_are_measured_over_all_masked_pieces():
    chunks = [[1, 2, 3], [1, 2, 3], [1, 4, 5], [6, 4, 3]]
    most_frequent, neighbours = train_mlm.baselines(chunks, 7, never=[1]).values()
    ids, labels = [[1, 0, 3], [1, 0, 5], [6, 0, 3]], [[-100, 2, -100], [-100, 4, -100], [-100, 3, -100]]
    batch = {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}
    assert neighbours(batch).argmax(dim=1).tolist() == [2, 4, 4]
    assert most_frequent(batch).argmax(dim=1).tolist() == [3, 3, 3]  # 1 is as frequent, but never guessed
    logits = torch.arange(8.0).repeat(3, 1)  # always guesses 7, then 6, 5, 4, 3
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([2, 4, 3])).item()
    assert train_mlm.measure(lambda _: logits, [batch] * 2) == pytest.approx({"loss": loss, "first": 0, "five": 2 / 3})
    assert train_mlm.measure(neighbours, [batch])["first"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--mask-probability=1.5", "--mask-probability must be below 1, not 1.5"),
        ("--num-train-epochs=0", "--num-train-epochs must be above 0, not 0"),
        ("--continue-training", "needs a finished training"),
        ("--evaluate", "--evaluate: not allowed with argument --output-dir"),
    ],
)
def test_bad_options_are_refused_at_once(option, message, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["train_mlm.py", "--output-dir", str(tmp_path), option])
    with pytest.raises(SystemExit):
        train_mlm.main()
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
    assert process.wait() == -signal.SIGKILL and not (tmp_path / train_mlm.ADAPTER).exists()
    with pytest.raises(SystemExit, match=r"had other settings: {'learning_rate': 0.002}"):
        main("--learning-rate", "0.5")
    main()
    assert "resuming from checkpoint-" in capsys.readouterr().out and not (tmp_path / "checkpoints").exists()
    assert steps() == [3, 6, 8]  # what was measured before the kill is not lost
    main("--continue-training", "--lora-rank", "4", "--num-train-epochs", "1")
    assert steps() == [3, 6, 8, 11, 12]
    adapter = load_file(tmp_path / train_mlm.ADAPTER)
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
