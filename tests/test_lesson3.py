"""The functions of lesson 3, as they stand in its cells."""

import re

import nbformat
import numpy as np
import pytest
import torch
import transformers
from torch.utils.data import DataLoader

from course.language import SOURCE
from course.notebooks import ROOT, code_cells, read, run_cells


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.BertTokenizer.from_pretrained(ROOT / "bert")


@pytest.fixture
def pad_bert(tokenizer):
    return run_cells("3-bert", "pad-bert", torch=torch, tokenizer=tokenizer, PAD_INDEX=0, MAX_SEQ_LEN=16)["pad_bert"]


def test_pad_bert_equals_the_tokenizers_own_padding(pad_bert, tokenizer):
    texts = [
        "one",
        "one two three",
        "",
        "a much longer text that runs on and on and on until it has to be cut somewhere",
    ]
    labels, input_ids, attention_mask = pad_bert([(label, text) for label, text in enumerate(texts, start=1)])
    reference = tokenizer(texts, padding=True, truncation=True, max_length=16, return_tensors="pt")
    assert labels.tolist() == [0, 1, 2, 3]
    assert torch.equal(input_ids, reference.input_ids)
    assert torch.equal(attention_mask, reference.attention_mask)
    assert input_ids.shape == (4, 16) and (input_ids[3, -1] == tokenizer.sep_token_id)


def test_pad_bert_of_short_texts_is_only_as_wide_as_the_longest(pad_bert):
    _, input_ids, attention_mask = pad_bert([(1, "one"), (2, "one two")])
    assert input_ids.shape == (2, 4)
    assert attention_mask.sum(dim=1).tolist() == [3, 4]


@pytest.mark.parametrize("count", [1, 7, 8, 100, 1001])
def test_similar_batches_keep_every_row_once_and_waste_less(count):
    similar_batches = run_cells("3-bert", "similar-batches", torch=torch)["similar_batches"]
    lengths = np.random.default_rng(count).integers(5, 97, count)
    order = torch.randperm(count).tolist()
    batches = similar_batches(order, lengths, batch_size=8)
    assert sorted(sum(batches, [])) == list(range(count))
    assert max(map(len, batches)) <= 8
    plain = [order[i : i + 8] for i in range(0, count, 8)]
    waste = [sum(max(lengths[b]) * len(b) - sum(lengths[b]) for b in bs) for bs in (batches, plain)]
    assert waste[0] <= waste[1]
    if count > 100:
        assert waste[0] < waste[1] / 4


def test_similar_batches_come_in_random_order():
    similar_batches = run_cells("3-bert", "similar-batches", torch=torch)["similar_batches"]
    lengths = np.arange(400)
    firsts = [batch[0] for batch in similar_batches(list(range(400)), lengths, batch_size=8)]
    assert firsts != sorted(firsts)


@pytest.fixture
def small_bert():
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, num_labels=4,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def test_freeze_lower_freezes_exactly_that_and_can_be_undone(small_bert):
    freeze_lower = run_cells("3-bert", "freeze")["freeze_lower"]
    freeze_lower(small_bert, 2)
    learning = {name.split(".")[0 if name.startswith("class") else 1] for name, p in small_bert.named_parameters()
                if p.requires_grad}  # fmt: skip
    layers = {name.split(".")[3] for name, p in small_bert.named_parameters() if p.requires_grad and ".layer." in name}
    assert learning == {"classifier", "encoder", "pooler"} and layers == {"2"}
    freeze_lower(small_bert, 0)
    assert all(p.requires_grad for p in small_bert.parameters())


ROWS = [(1, "peace talks"), (2, "late goal wins the cup"), (3, "shares fall"), (4, "new chip"), (2, "match drawn")]


FUNCTIONS = ("precision", "embed", "freeze", "train-mode", "last-layer", "two-parts", "lower-part")


@pytest.fixture
def parts(small_bert, pad_bert, tokenizer):
    """What the lesson computes logits with, in float32, of the small BERT, two of whose three layers are frozen."""
    names = run_cells("3-bert", "imports", "course-imports") | {"has_bf16": lambda: False, "tqdm": lambda x, **_: x}
    names |= {"tokenizer": tokenizer, "MAX_SEQ_LEN": 16, "model": small_bert, "pad_bert": pad_bert, "FREEZE": 2}
    return run_cells("3-bert", *FUNCTIONS, **names)


def test_both_parts_together_give_logits_and_gradients_of_the_library(small_bert, parts):
    labels, ids, mask = parts["pad_bert"](ROWS)
    assert mask.min() == 0
    for start in range(3):
        embeddings, *layers = [small_bert.bert.embeddings, *small_bert.bert.encoder.layer[:start]]
        hidden = parts["below"](embeddings, *layers, ids=ids, mask=mask)
        assert hidden.shape == (*ids.shape, 16)
        results = []
        for logits in (parts["above"](small_bert, hidden, mask, start), small_bert(ids, attention_mask=mask).logits):
            small_bert.zero_grad()
            torch.nn.functional.cross_entropy(logits, labels).backward()
            results.append([logits, *(p.grad.clone() for p in small_bert.parameters() if p.grad is not None)])
        assert len(results[0]) == len(results[1]) > 50
        for ours, theirs in zip(*results, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-6)


def test_only_what_learns_has_dropout(small_bert, parts):
    for count, frozen in ((0, [False] * 4), (2, [True, True, True, False]), (3, [True] * 4)):
        parts["freeze_lower"](small_bert, count)
        parts["train_mode"](small_bert)
        bert = small_bert.bert
        assert [not part.training for part in (bert.embeddings, *bert.encoder.layer)] == frozen
        assert small_bert.training and bert.pooler.training and small_bert.dropout.training


@pytest.mark.parametrize("native", [True, False])
def test_the_frozen_part_is_kept_in_half_precision_where_the_device_has_it(small_bert, parts, native):
    names = run_cells("3-bert", "lower-part", **parts | {"has_bf16": lambda: native})
    kept = [p for part in names["lower_part"](small_bert) for p in part.parameters()]
    own = [small_bert.bert.embeddings, *small_bert.bert.encoder.layer[:2]]
    assert {p.dtype for p in kept} == {torch.bfloat16 if native else torch.float32}
    assert {p.dtype for p in small_bert.parameters()} == {torch.float32}  # what is saved stays whole
    assert (names["lower_part"](small_bert) == own) == (not native)


def test_the_training_loop_reports_means_per_text_and_passes_the_mask(small_bert, parts):
    """With a learning rate of zero the figures of the loop are those of one pass over the rows."""
    masks = []
    small_bert.bert.encoder.layer[0].register_forward_pre_hook(lambda _, inputs: masks.append(inputs[1]))
    names = parts | {
        "train_loader": DataLoader(ROWS, batch_size=2, collate_fn=parts["pad_bert"]), "report_freq": 3,
        "learning_rate": 0.0, "learning": list(small_bert.parameters()), "warm_up_slow_down": lambda _: 1.0,
        "lower": [small_bert.bert.embeddings, *small_bert.bert.encoder.layer[:2]],
    }  # fmt: skip
    names = run_cells("3-bert", "optimizer", "train", **names)
    assert [mask.shape for mask in masks] == [(2, 1, 1, 7), (2, 1, 1, 4), (1, 1, 1, 4)]
    labels, texts, mask = parts["pad_bert"](ROWS)
    whole = small_bert(texts, attention_mask=mask, labels=labels)
    ((step, loss, accuracy),) = names["history"]
    assert step == 3
    assert loss == pytest.approx(whole.loss.item(), rel=1e-4)
    assert accuracy == pytest.approx((whole.logits.argmax(1) == labels).float().mean().item())


def test_norms_and_biases_are_not_decayed_and_a_second_run_has_a_schedule_of_its_own(small_bert, parts):
    learning = list(small_bert.parameters())
    names = parts | {"learning": learning, "learning_rate": 1e-3, "warm_up_slow_down": lambda step: 1 / (step + 1)}
    start_training = run_cells("3-bert", "optimizer", **names)["start_training"]
    for _ in range(2):
        optimizer, scheduler = start_training()
        matrices, vectors = optimizer.param_groups
        assert all(p.dim() > 1 for p in matrices["params"]) and matrices["weight_decay"] == 0.01
        assert all(p.dim() == 1 for p in vectors["params"]) and vectors["weight_decay"] == 0.0
        assert len(matrices["params"]) + len(vectors["params"]) == len(learning)
        assert scheduler.get_last_lr() == [1e-3, 1e-3]
        optimizer.step()
        scheduler.step()


def test_batches_hold_each_text_once_with_hardly_any_padding(parts, tokenizer):
    texts = [" ".join(["goal"] * (7 * i % 41)) for i in range(100)]
    batches = list(parts["padded_batches"](texts, 16, 5))
    masks = [batch["attention_mask"] for _, batch in batches]
    assert sorted(i for part, _ in batches for i in part) == list(range(100))
    assert {len(mask) for mask in masks} == {5} and max(mask.shape[1] for mask in masks) == 16
    assert sum((mask == 0).sum() for mask in masks) < 0.05 * sum(mask.numel() for mask in masks)


def test_predict_keeps_the_order_of_the_rows_and_the_training_state_out(small_bert, parts):
    names = run_cells("3-bert", "predict", **parts)
    small_bert.train()
    logits = names["predict"](small_bert, ROWS, batch_size=2)
    assert not small_bert.training and not logits.requires_grad
    for row, ours in zip(ROWS, logits, strict=True):
        _, texts, mask = parts["pad_bert"]([row])
        assert torch.allclose(ours, small_bert(texts, attention_mask=mask).logits[0], atol=1e-5)


@pytest.mark.parametrize("iterations", [500, 10, 3, 1])
def test_schedules_start_and_end_where_they_should_and_go_no_further(iterations):
    names = run_cells("3-bert", "schedules", iterations=iterations)
    for name, factor in names["schedules"].items():
        factors = [factor(step) for step in range(2 * iterations)]
        assert max(factors) == 1.0 and min(factors) >= 0.0
        assert factors[iterations:] == [1.0 if name == "constant" else 0.0] * iterations
    warm_up = [names["warm_up_slow_down"](step) for step in range(iterations // 10)]
    assert warm_up == sorted(warm_up) and all(factor > 0 for factor in warm_up)


@pytest.mark.slow
def test_a_model_of_berts_size_goes_through_the_lesson(tmp_path, tokenizer, monkeypatch):
    """12 layers, 768 wide, random weights: layers to freeze, rates and sizes follow from the model."""
    config = transformers.BertConfig(vocab_size=len(tokenizer))
    transformers.BertModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    monkeypatch.chdir(ROOT / "notebooks" / SOURCE)
    monkeypatch.setenv("TORCHNLP_DATA", "sample")
    monkeypatch.delenv("COURSE_CLAIMS", raising=False)  # nobody claims that random weights read
    cells = [cell.id for cell in code_cells(read(SOURCE, "3-bert"))]
    cells = [id for id in cells if not id.startswith(("prepare-bert", "exercise", "check", "progress", "explain"))]
    few = {
        '"../../bert"': repr(str(tmp_path)), "iterations = 250": "iterations = 10", "[:4000]": "[:160]",
        "train, test, classes, vocab = load_dataset()":
            "train, test, classes, vocab = load_dataset(); train, test = train[:240], test[:40]",
    }  # fmt: skip
    names = run_cells("3-bert", *cells[: cells.index("occlude")], changes=few, tqdm=lambda x, **_: x)
    assert names["FREEZE"] == 8 and names["learning_rate"] == 1.5e-4 and len(names["lower"]) == 9
    assert names["millions"](names["model"]) > 100 and len(names["predicted"]) == 40


def test_words_come_from_whole_sentences_of_lesson_3_that_no_other_lesson_has():
    stored = {
        "1-attention": ["Both have this sentence."],
        "3-bert": ["Both have this sentence. Only mine, twice!", "A `code` word. Is this one mine?\n# No title"],
    }

    def lesson_of(language, lesson):
        cells = [nbformat.v4.new_markdown_cell(text) for text in stored[lesson]]
        return nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell("No code.")])

    names = run_cells("3-bert", "korean-text", read=lesson_of, LESSONS=list(stored), re=re)
    assert names["english_words"] == "Only mine twice Is this one mine".split()
    assert names["korean_words"] == []


def test_fertility_counts_unknown_words_apart():
    class Halves:
        unk_token = "[UNK]"

        def tokenize(self, word):
            return ["[UNK]"] if "x" in word else [word[:2], word[2:]] if word[2:] else [word]

    fertility = run_cells("3-bert", "korean-measure", np=np)["fertility"]
    assert fertility(Halves(), ["ab", "abcd", "abc", "x"]) == (pytest.approx(5 / 3), 0.25)
