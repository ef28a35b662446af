"""The page to play with: its models are the lessons' own, number by number, and its grammar is lesson 1's."""

import json
import random
import re

import pytest
import torch
from safetensors.torch import load_file

import play
from course.language import LANGUAGES, SOURCE, WORDS
from course.notebooks import run_cells


@pytest.fixture(scope="module")
def lessons():
    first = run_cells("1-attention", *play.TRANSLATOR, "bahdanau-attention")
    fourth = run_cells("4-decoder", *play.WRITER, *play.TRANSFORMER, "kinds", "recognizer", "draw", "top-k", "top-p")
    return first, fourth


@pytest.fixture(scope="module")
def stored(lessons):
    """The classes of the lessons with the committed weights."""
    first, fourth = lessons
    models = {
        "plain": first["Translator"](),
        "attentive": first["Translator"](attention=first["AdditiveAttention"](64)),
        "transformer": fourth["Transformer"](),
        "writer": fourth["GPT"](len(fourth["english_ids"]), window=32),
    }
    weights, used = load_file(play.MODELS), set()
    for name, model in models.items():
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                parameter.copy_(weights[f"{name}.{key}"])
                used.add(f"{name}.{key}")
        model.eval().double()  # as the page computes; the lessons' 32 bits differ by up to 7e-5
    assert used == set(weights)
    torch.set_default_dtype(torch.float64)  # with sines of 32 bits the logits differ by 2e-5
    models["transformer"].positions.copy_(fourth["lesson2"].sinusoidal_positions(64, 64))
    torch.set_default_dtype(torch.float32)
    return models


def test_the_files_are_small_and_load_nothing(play_pages):
    assert play.MODELS.stat().st_size <= 2**20
    for page in (play_pages / "play.html", *(play_pages / language / "play.html" for language in LANGUAGES)):
        html = page.read_text(encoding="utf-8")
        assert len(html.encode()) < 2_000_000
        assert not re.search(r"<(?:link|img|iframe)\b|<script[^>]*\bsrc|@import|url\(|https?://(?!www\.w3\.org/)", html)


def test_what_the_page_knows_of_the_lessons_stands_in_their_cells(lessons, stored):
    first, fourth = lessons
    facts = json.loads(play.FACTS.read_text(encoding="utf-8"))
    expected = json.loads(json.dumps(play.facts_of(first, fourth, stored["writer"])))
    assert facts["sentences"].keys() == expected.pop("sentences").keys()  # drawn by chance
    assert {name: facts[name] for name in expected} == expected
    for n, sentences in facts["sentences"].items():
        assert len(sentences) == play.EACH
        assert all(len(text.split()) == int(n) and fourth["is_right"](text.split()) for text in sentences)


def test_every_word_of_the_page_is_used():
    code = "".join(path.read_text("utf-8") for path in play.PLAY.iterdir() if path.suffix in (".js", ".j2"))
    for key, text in WORDS[SOURCE]["play"].items():
        if key not in play.VIEWS:
            used = rf"""\b(?:words|WORDS)\.{key}\b|\b(?:slider|box|choice|number)\("{key}"|\["{key}","""
            assert re.search(used, code) or key in ("raw", "divided"), (key, text)


def test_the_card_says_what_was_measured():
    measured = json.loads(play.FACTS.read_text(encoding="utf-8"))["measured"]
    measured["accuracy"] = {
        name: {int(n): share for n, share in curve.items()} for name, curve in measured["accuracy"].items()
    }
    assert "\n".join(play.described(measured)) in play.CARD.read_text(encoding="utf-8")


RUN = """(sentences) => sentences.map((words) => {
  const ids = words.map(english_id), length = words.length + 1;
  const numbers = (rows) => rows.map((row) => [...row]);
  const result = {};
  for (const name of ["plain", "attentive", "transformer"])
    result[name] = numbers(models[name].forward(ids, length)[0]);
  result.weights = numbers(models.attentive.forward(ids, length)[1]);
  result.cross = models.transformer.forward(ids, length)[1].cross[1].map(numbers);
  result.writer = numbers(models.writer.forward([START, ...ids].slice(0, lessons.window))[0]);
  result.unmasked = numbers(models.writer.forward([START, ...ids].slice(0, lessons.window), null)[0]);
  const padded = [...ids, PAD, PAD, PAD];
  result.padded = numbers(models.attentive.forward(padded, length)[0]);
  result.leaking = numbers(models.attentive.forward(padded, length, padded.map(() => true))[1]);
  result.nowhere = numbers(models.transformer.forward(ids, length, false)[0]);
  result.right = grammar.is_right(words);
  result.translation = grammar.translation(words);
  return result;
})"""


@torch.inference_mode()
def by_torch(words, stored, lessons):
    """The same as RUN computes of one sentence, by the lessons' classes."""
    first, fourth = lessons
    source, length = torch.tensor([[first["english_ids"][word] for word in words]]), len(words) + 1
    result = {name: stored[name](source, length)[0][0] for name in ("plain", "attentive", "transformer")}
    result["weights"] = torch.cat(stored["attentive"](source, length)[1])
    result["cross"] = torch.cat(stored["transformer"](source, length)[1])
    ids = torch.cat([torch.tensor([[1]]), source], dim=1)[:, :32]
    writer = stored["writer"]
    result["writer"] = writer(ids)[0]
    x = writer.enter(ids)
    for block in writer.blocks:
        x = block(x)
    result["unmasked"] = writer.leave(x)[0]
    padded = torch.cat([source, torch.zeros(1, 3, dtype=torch.long)], dim=1)
    result["padded"] = stored["attentive"](padded, length)[0][0]
    (states, last), word, leaking = stored["attentive"].encoder(padded), torch.tensor([1]), []
    state, keys = last, stored["attentive"].decoder.attention.U(states)
    for _ in range(length):
        look = torch.ones_like(padded, dtype=torch.bool)
        logits, state, weights = stored["attentive"].decoder(word, state, keys, states, look, last)
        leaking.append(weights)
        word = logits.argmax(dim=1)
    result["leaking"] = torch.cat(leaking)
    transformer = stored["transformer"]
    kept = transformer.positions.clone()
    transformer.positions.zero_()
    result["nowhere"] = transformer(source, length)[0][0]
    transformer.positions.copy_(kept)
    return result


@pytest.mark.browser
def test_the_page_computes_what_torch_computes(tab, play_pages, stored, lessons):
    """200 random sentences of 3 to 30 words: all logits, hence the same words; weights, masks and positions too."""
    first, fourth = lessons
    random.seed(21)
    pairs = [first["sentence"](*random.choice([(3, 8), (9, 20), (21, 30)])) for _ in range(200)]
    tab.goto((play_pages / "play.html").as_uri())
    in_page = [found for i in range(0, 200, 20) for found in tab.evaluate(RUN, [pair[0] for pair in pairs[i : i + 20]])]
    for (english, latin, positions), found in zip(pairs, in_page, strict=True):
        expected = by_torch(english, stored, lessons)
        found["cross"] = torch.tensor(found["cross"]).mean(dim=0)
        for name, tensor in expected.items():
            ours = torch.as_tensor(found[name], dtype=torch.float64)
            assert torch.allclose(ours, tensor, rtol=0, atol=1e-5), (name, english, (ours - tensor).abs().max())
            best = tensor.topk(2, dim=1).values
            sure = best[:, 0] - best[:, 1] > 2e-5  # what lies closer another processor may round the other way
            assert sure.any() and (ours.argmax(dim=1) == tensor.argmax(dim=1))[sure].all(), (name, english)
        assert found["right"] and found["translation"] == [latin, positions]
