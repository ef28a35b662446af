"""course/finetuning.py: the order of the rows, layers found, frozen, kept, and read at [CLS] only."""

import math
from collections import Counter

import pytest
import torch
import transformers

from course import finetuning


@pytest.mark.parametrize(("count", "epochs", "batch_size"), [(500, 2, 8), (37, 3, 4), (200, 0.5, 16), (801, 1.5, 8)])
def test_order_reads_every_row_once_per_epoch_in_batches_of_similar_length(count, epochs, batch_size):
    lengths = torch.randint(5, 97, (count,), generator=torch.Generator().manual_seed(count)).tolist()
    order = finetuning.similar_order(lengths, epochs, batch_size, seed=1)
    assert order == finetuning.similar_order(lengths, epochs, batch_size, seed=1)
    assert order != finetuning.similar_order(lengths, epochs, batch_size, seed=2)
    assert len(order) == int(count * epochs) // batch_size * batch_size
    uses, most = Counter(order), math.ceil(epochs)
    assert {uses[i] for i in range(count)} <= {most, most - 1}  # the last epoch may be incomplete
    if count > 100:
        batches = torch.tensor(lengths)[order].view(-1, batch_size)
        assert (batches.amax(dim=1) - batches.amin(dim=1)).float().mean() < 20  # more than 70 at random


TINY = {"num_hidden_layers": 3, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 8}
BERT_LIKE = [
    transformers.BertConfig(**TINY),
    transformers.RobertaConfig(**TINY, pad_token_id=0),
    transformers.ElectraConfig(**TINY, embedding_size=16),
    transformers.DistilBertConfig(n_layers=3, dim=24, n_heads=3, hidden_dim=8),
]


def tiny(config):
    """A model with random weights, and two texts of 9 and 5 pieces for it."""
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    texts = [{"input_ids": torch.randint(5, 1000, (pieces,)).tolist(), "labels": 1} for pieces in (9, 5)]
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(text["input_ids"]) for text in texts], batch_first=True)
    return model, texts, {"input_ids": ids, "attention_mask": (ids != 0).long()}


def config_name(value):
    return getattr(value, "model_type", None)


@pytest.mark.parametrize(
    ("config", "count"),
    [*((config, 3) for config in BERT_LIKE), (transformers.GPT2Config(n_layer=3, n_embd=24, n_head=3), 0)],
    ids=config_name,
)
def test_layers_of_bert_like_models_are_found(config, count):
    with torch.device("meta"):
        model = transformers.AutoModelForSequenceClassification.from_config(config)
    assert len(finetuning.layers_of(model)) == count


@pytest.mark.parametrize("config", BERT_LIKE, ids=config_name)
def test_the_last_layer_at_cls_only_gives_the_same_logits_and_gradients(config):
    model, _, batch = tiny(config)
    labels = torch.tensor([0, 1])

    def logits_and_gradients():
        model.zero_grad()
        out = model(**batch, labels=labels)
        out.loss.backward()
        return out.logits.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    logits, gradients = logits_and_gradients()
    finetuning.last_layer_at_cls(model)
    same_logits, same_gradients = logits_and_gradients()
    assert torch.allclose(logits, same_logits, atol=1e-5)
    for one, other in zip(gradients, same_gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("config", BERT_LIKE, ids=config_name)
def test_frozen_layers_computed_once_give_the_same_logits_and_the_model_is_whole_again(config, count):
    model, texts, batch = tiny(config)
    finetuning.last_layer_at_cls(model)
    finetuning.freeze_lower(model, count)
    expected, names = model(**batch).logits, [name for name, _ in model.named_parameters()]
    finetuning.add_hidden(texts, model, count, half=False)
    with finetuning.only_layers(model, slice(count, None)):
        kept = finetuning.pad_hidden(texts)
        assert torch.allclose(model(**kept).logits, expected, atol=1e-6)
        assert not any(name in names for name, p in model.named_parameters() if not p.requires_grad)
    assert [name for name, _ in model.named_parameters()] == names
    assert torch.equal(model(**batch).logits, expected)


@pytest.mark.parametrize("config", BERT_LIKE, ids=config_name)
def test_what_is_frozen_has_no_dropout_in_training_and_what_learns_has(config):
    model, texts, batch = tiny(config)
    finetuning.freeze_lower(model, 2)
    model.train()
    model = model.base_model
    with finetuning.only_layers(model, slice(0, 2)):
        assert torch.equal(model(**batch).last_hidden_state, model(**batch).last_hidden_state)
    assert not torch.equal(model(**batch).last_hidden_state, model(**batch).last_hidden_state)
