"""Load a BERT that guesses masked words: `load_masked_lm("bert")`, or any checkpoint that has the head.

The encoder in this folder came without the head that guesses. `mlm/` holds what `scripts/train_mlm.py` taught it:
low-rank adapters and a head, to be merged into the encoder. The encoder's own files stay as they are.
"""

import warnings
from pathlib import Path

import peft
import transformers
from safetensors import safe_open

from course.files import sha256

ADAPTER = "adapter_model.safetensors"  # the name that peft reads


def load_masked_lm(bert_model: str | Path) -> transformers.BertForMaskedLM:
    """A `BertForMaskedLM` in evaluation mode: this folder with what `mlm/` adds, or a checkpoint that has the head.

    Args:
        bert_model: the path of this folder, or what `from_pretrained` takes, such as "bert-base-uncased".

    Raises:
        ValueError: `mlm/` was trained on another encoder than the one beside it, or there is no head at all.
    """
    adapter = Path(bert_model) / "mlm" / ADAPTER
    model, report = transformers.BertForMaskedLM.from_pretrained(bert_model, output_loading_info=True)
    if adapter.is_file():
        check_encoder(adapter, Path(bert_model))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft's use of transformers; nothing of ours
            model = peft.PeftModel.from_pretrained(model, str(adapter.parent)).merge_and_unload()
    elif any("predictions" in name for name in report["missing_keys"]):
        raise ValueError(
            f"{str(bert_model)!r} has no head that guesses masked words. Name a checkpoint that has one, such as "
            "bert-base-uncased, or train one: python scripts/train_mlm.py"
        )
    return model.eval()


def check_encoder(adapter: Path, bert_model: Path) -> None:
    with safe_open(adapter, framework="pt") as file:
        expected = (file.metadata() or {}).get("encoder_sha256", "unknown")
    found = sha256(bert_model / "model.safetensors")
    if found != expected:
        raise ValueError(
            f"mlm/ was trained on the encoder with SHA-256 {expected[:12]}…, but model.safetensors beside it has "
            f"{found[:12]}…. Run `python bert/prepare.py --restore`, or train again: python scripts/train_mlm.py"
        )
