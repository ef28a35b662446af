"""Fine-tuning in parts, for scripts that do the work of lesson 3: word pieces, batches, frozen layers, precision."""

from __future__ import annotations

import math

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


def freeze_lower(model: torch.nn.Module, count: int) -> None:
    """Freeze the embeddings and the lowest `count` layers of a BERT-like model; 0 freezes nothing."""
    if count:
        model.base_model.embeddings.requires_grad_(False)
        layers_of(model)[:count].requires_grad_(False)


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
