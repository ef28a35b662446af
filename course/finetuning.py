"""Fine-tuning in parts, for scripts that do the work of lesson 3: word pieces, batches, frozen layers, precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from sklearn.metrics import accuracy_score, f1_score
from tqdm import tqdm

from torchnlp import Row, device


def has_bf16() -> bool:
    """Whether the device multiplies matrices of bfloat16 natively, and so faster than those of float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpu = torch.cpu.get_capabilities()
    return bool(cpu.get("avx512_bf16") or cpu.get("amx_bf16"))


def tokenize(rows: list[Row], tokenizer, max_length: int, quiet: bool = False) -> list[dict]:
    """Rows as word pieces, `max_length` at most, and labels from 0 to 3; padding comes later, batch by batch."""
    texts = tqdm([text for _, text in rows], desc="tokenizing", disable=quiet)
    ids = [tokenizer(text, truncation=True, max_length=max_length).input_ids for text in texts]
    return [{"input_ids": row, "labels": label - 1} for row, (label, _) in zip(ids, rows, strict=True)]


def compute_metrics(prediction) -> dict[str, float]:
    """Accuracy and macro F1, from 0 to 1, of an `EvalPrediction` of transformers."""
    labels, predicted = prediction.label_ids, prediction.predictions.argmax(axis=1)
    return {"accuracy": accuracy_score(labels, predicted), "macro_f1": f1_score(labels, predicted, average="macro")}


def layers_of(model: torch.nn.Module) -> torch.nn.ModuleList | list:
    """The layers of a BERT-like model of transformers, the lowest first; [] for a model of another kind."""
    lists = (part for part in model.base_model.modules() if isinstance(part, torch.nn.ModuleList))
    layers = next((part for part in lists if len(part) == model.config.num_hidden_layers), [])
    return layers if hasattr(model.base_model, "embeddings") else []


def freeze_lower(model: torch.nn.Module, count: int, dropout: bool = False) -> None:
    """Freeze the embeddings and the lowest `count` layers of a BERT-like model; 0 freezes nothing.

    What does not learn needs no dropout: without `dropout` it computes as in evaluation, in a training too.
    """
    parts = [part for name, part in model.base_model.named_children() if name.startswith("embeddings")]
    for part in [*parts, *layers_of(model)[:count]] if count else []:
        part.requires_grad_(False)
        for module in part.modules():
            if isinstance(module, torch.nn.Dropout) and not dropout:
                module.p = 0.0


class PassOn(torch.nn.Module):
    """Stands in for the embeddings: passes on what the layers below have computed."""

    def forward(self, input_ids=None, inputs_embeds=None, *_, **__):
        return input_ids if inputs_embeds is None else inputs_embeds


@contextmanager
def only_layers(model: torch.nn.Module, chosen: slice) -> Iterator[None]:
    """Inside, a BERT-like model has only these layers. If the lowest is not one of them, it has no embeddings either:
    what is passed to it as `inputs_embeds` goes to its first layer. Afterwards it is whole again."""
    base, layers = model.base_model, layers_of(model)
    changed = [(part, name) for part in base.modules() for name, child in part.named_children() if child is layers]
    if chosen.start:
        changed += [(base, name) for name, _ in base.named_children() if name.startswith("embeddings")]
    before = [(part, name, getattr(part, name)) for part, name in changed]
    for part, name in changed:
        setattr(part, name, layers[chosen] if getattr(part, name) is layers else PassOn())
    try:
        yield
    finally:
        for part, name, child in before:
            setattr(part, name, child)


@torch.no_grad()
def add_hidden(examples: list[dict], model: torch.nn.Module, count: int, half: bool, batch_size: int = 32) -> None:
    """Add to each example, as "hidden", what the lowest `count` layers give for it: (tokens, width), frozen for good.

    With `half` it is computed and kept in bfloat16. The shortest are computed first, in any case in the same batches.
    """
    model.eval()
    examples = sorted(examples, key=lambda example: len(example["input_ids"]))
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=half)
    with only_layers(model, slice(0, count)), autocast:
        for start in range(0, len(examples), batch_size):
            part = examples[start : start + batch_size]
            ids = [torch.tensor(example["input_ids"]) for example in part]
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], batch_first=True).to(device)
            ids = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True).to(device)
            hidden = model.base_model(ids, attention_mask=mask).last_hidden_state
            hidden = hidden.to(torch.bfloat16 if half else torch.float32).cpu()
            for example, rows in zip(part, hidden, strict=True):  # of similar length: hardly any padding is kept
                example["hidden"] = rows[: len(example["input_ids"])]


def pad_hidden(batch: list[dict]) -> dict[str, torch.Tensor]:
    """A batch of examples with "hidden" as the upper layers take it, zeros as padding."""
    hidden = [example["hidden"].float() for example in batch]
    ones = [torch.ones(len(rows), dtype=torch.long) for rows in hidden]
    pad = partial(torch.nn.utils.rnn.pad_sequence, batch_first=True)
    labels = torch.tensor([example["labels"] for example in batch])
    return {"inputs_embeds": pad(hidden), "attention_mask": pad(ones), "labels": labels}


def last_layer_at_cls(model: torch.nn.Module) -> None:
    """Let the last layer of a BERT-like classifier compute [CLS] alone, which is all that the classifier reads.

    Layers that are not built as BERT's (those of DistilBERT) stay as they are.
    """
    for layer in layers_of(model)[-1:]:
        if hasattr(getattr(layer, "attention", None), "self"):
            layer.forward = partial(forward_at_cls, layer)


def forward_at_cls(layer: torch.nn.Module, hidden: torch.Tensor, attention_mask=None, *_, **__) -> torch.Tensor:
    """What a layer of BERT gives for the first position: (batch, tokens, width) -> (batch, 1, width).

    Keys and values come from all positions, everything else is needed for one.
    """
    first, core = hidden[:, :1], layer.attention.self
    inputs = [(core.query, first), (core.key, hidden), (core.value, hidden)]
    heads = [linear(x).unflatten(-1, (-1, core.attention_head_size)).transpose(1, 2) for linear, x in inputs]
    mask = None if attention_mask is None else attention_mask[:, :, :1]  # of the first query
    dropout = core.dropout.p if layer.training else 0.0
    context = torch.nn.functional.scaled_dot_product_attention(*heads, attn_mask=mask, dropout_p=dropout)
    return layer.feed_forward_chunk(layer.attention.output(context.transpose(1, 2).flatten(2), first))


def similar_order(lengths: list[int], epochs: float, batch_size: int, seed: int) -> list[int]:
    """Row numbers of all epochs, so that each batch holds texts of similar length; the same ones for the same seed.

    50 batches at a time are sorted by length and then shuffled. The order is fixed beforehand, so that a training that
    was stopped can resume. What does not fill a batch at the end is left out.
    """
    generator = torch.Generator().manual_seed(seed)
    passes = [torch.randperm(len(lengths), generator=generator) for _ in range(math.ceil(epochs))]
    order = torch.cat(passes)[: int(epochs * len(lengths)) // batch_size * batch_size]
    batches = []
    for pool in order.split(50 * batch_size):
        similar = pool[torch.tensor(lengths)[pool].argsort(stable=True)].split(batch_size)
        batches += [similar[i] for i in torch.randperm(len(similar), generator=generator)]
    return torch.cat(batches).tolist()
