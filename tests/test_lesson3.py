"""The functions of lesson 3, as they stand in its cells."""

import numpy as np
import pytest
import torch
import transformers
from torch.utils.data import DataLoader

from course.notebooks import ROOT, run_cells


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


def test_the_training_loop_reports_means_per_text_and_passes_the_mask(small_bert, pad_bert):
    """With a learning rate of zero the figures of the loop are those of one pass over the rows."""
    calls = []
    small_bert.register_forward_pre_hook(lambda _, args, kwargs: calls.append(kwargs), with_kwargs=True)
    optimizer = torch.optim.SGD(small_bert.parameters(), lr=0.0)
    names = run_cells(
        "3-bert", "train", torch=torch, tqdm=lambda x: x, model=small_bert, device=torch.device("cpu"),
        train_loader=DataLoader(ROWS, batch_size=2, collate_fn=pad_bert), report_freq=3,
        optimizer=optimizer, scheduler=torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0),
    )  # fmt: skip
    assert [call["attention_mask"].shape for call in calls] == [
        call["labels"].shape + (w,) for call, w in zip(calls, (7, 4, 4), strict=True)
    ]
    labels, texts, mask = pad_bert(ROWS)
    whole = small_bert(texts, attention_mask=mask, labels=labels)
    ((step, loss, accuracy),) = names["history"]
    assert step == 3
    assert loss == pytest.approx(whole.loss.item(), rel=1e-4)
    assert accuracy == pytest.approx((whole.logits.argmax(1) == labels).float().mean().item())


def test_predict_keeps_the_order_of_the_rows_and_the_training_state_out(small_bert, pad_bert):
    names = run_cells(
        "3-bert", "predict", torch=torch, tqdm=lambda x, **_: x, pad_bert=pad_bert, device=torch.device("cpu")
    )
    small_bert.train()
    scores = names["predict"](small_bert, ROWS, batch_size=2)
    assert not small_bert.training and not scores.requires_grad
    for row, score in zip(ROWS, scores, strict=True):
        _, texts, mask = pad_bert([row])
        assert torch.allclose(score, small_bert(texts, attention_mask=mask).logits[0], atol=1e-5)


def test_schedules_start_and_end_where_they_should():
    names = run_cells("3-bert", "schedules", iterations=500)
    for name, factor in names["schedules"].items():
        factors = [factor(step) for step in range(501)]
        assert max(factors) == 1.0 and min(factors) >= 0.0
        assert factors[-1] == (1.0 if name == "constant" else 0.0)
    warm_up = [names["warm_up_slow_down"](step) for step in range(50)]
    assert warm_up == sorted(warm_up) and 0 < warm_up[0] < 0.05
