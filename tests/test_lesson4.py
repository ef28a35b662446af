"""The functions and classes of lesson 4, as they stand in its cells, against transformers, torch, and cases by hand."""

import itertools
import random

import pytest
import torch
import transformers
from torch import nn
from torch.nn.functional import cross_entropy

from course.notebooks import run_cells

MODEL = ("to-ids", "causal-mask", "pre-norm-block", "gpt", "next-word-loss")
WRITING = ("ngrams", "kinds", "recognizer", "write", "draw", "to-words", "greedy-temperature", "top-k", "top-p")
CACHE = ("attend-with-cache", "read-on", "write-with-cache")
GPT2 = ("gpt2-names", "gpt2-weights", "gpt2-build")
TRANSLATOR = ("cross-attention", "decoder-block", "transformer", "rotary", "rotary-attention")


@pytest.fixture(scope="module")
def lesson():
    return run_cells("4-decoder", "imports", "borrow-1", "borrow-2", *MODEL, *WRITING, *CACHE, *GPT2, *TRANSLATOR)


def random_gpt(lesson, rng, window=24):
    """A small decoder of random sizes whose weights are large enough to tell mistakes."""
    heads = rng.randint(1, 4)
    torch.manual_seed(rng.random())
    model = lesson["GPT"](rng.randint(20, 60), window, heads * rng.randint(2, 8), heads, rng.randint(1, 4)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def random_real(batch, tokens):
    """(batch, tokens), True at the real positions, at least one in each row; padding on the right"""
    return torch.arange(tokens) < torch.randint(1, tokens + 1, (batch, 1))


@pytest.mark.parametrize("seed", range(5))
def test_what_follows_and_padding_change_nothing_before(lesson, seed):
    model = random_gpt(lesson, random.Random(seed))
    ids = torch.randint(3, 20, (3, 12))
    with torch.inference_mode():
        scores = model(ids)
        for t in range(12):
            changed = torch.cat([ids[:, : t + 1], torch.randint(3, 20, (3, 11 - t))], dim=1)
            assert torch.allclose(model(changed)[:, : t + 1], scores[:, : t + 1], atol=1e-4)
            assert torch.allclose(model(ids[:, : t + 1]), scores[:, : t + 1], atol=1e-4)
        real = random_real(3, 12)
        padded = torch.where(real, ids, 0)  # on the right: no mask needed
        assert torch.allclose(model(padded)[real], scores[real], atol=1e-4)


def test_the_loss_asks_each_place_for_the_word_after_it_and_leaves_padding_out(lesson):
    ids = torch.tensor([[1, 5, 7, 2, 0], [1, 6, 2, 0, 0]])
    scores = torch.randn(2, 5, 9)
    answers = [(0, 0, 5), (0, 1, 7), (0, 2, 2), (1, 0, 6), (1, 1, 2)]
    expected = torch.stack([cross_entropy(scores[row, t], torch.tensor(word)) for row, t, word in answers]).mean()
    assert torch.isclose(lesson["next_word_loss"](lambda read: scores[:, : read.shape[1]], ids), expected)


def random_gpt2(seed):
    rng = random.Random(seed)
    heads = rng.randint(1, 4)
    config = transformers.GPT2Config(
        vocab_size=rng.randint(30, 200), n_positions=rng.randint(30, 50), n_embd=heads * rng.randint(6, 16),
        n_head=heads, n_layer=rng.randint(1, 5), resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None,
        eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(seed)
    reference = transformers.GPT2LMHeadModel(config).eval()
    for parameter in reference.parameters():  # fresh weights are nearly zero, and biases are: a weak test
        nn.init.normal_(parameter, std=0.3)
    return reference


@pytest.mark.parametrize("seed", range(6))
def test_gpt_equals_transformers_for_any_configuration_masks_and_gradients_included(lesson, seed):
    reference = random_gpt2(seed)
    model = lesson["our_gpt2"](reference)
    ids, real = torch.randint(3, reference.config.vocab_size, (4, 20)), random_real(4, 20)
    theirs = reference(ids, attention_mask=real.long(), output_hidden_states=True)
    scores = model(ids)  # padding on the right needs no mask
    assert torch.allclose(scores[real], theirs.logits[real], atol=1e-4)
    x = model.enter(ids)
    for layer, block in enumerate(model.blocks):
        assert torch.allclose(x[real], theirs.hidden_states[layer][real], atol=1e-4)
        x = block(x, lesson["causal_mask"](20, 20))
    assert torch.allclose(model.norm(x)[real], theirs.hidden_states[-1][real], atol=1e-4)

    target = torch.randn_like(scores[real])
    for out in (scores, theirs.logits):
        (out[real] * target).mean().backward()
    gradients = lesson["our_weights"]({name: p.grad for name, p in reference.named_parameters()})
    assert gradients.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, gradients[name], atol=1e-4), name


@pytest.mark.parametrize("seed", range(4))
def test_gpt_writes_what_generate_writes(lesson, seed):
    reference = random_gpt2(seed)
    prompt = torch.randint(1, reference.config.vocab_size, (3, 5))  # generate takes 0 for padding
    theirs = reference.generate(prompt, max_new_tokens=20, do_sample=False, pad_token_id=0)
    ours = lesson["write_with_cache"](lesson["our_gpt2"](reference), prompt, lesson["greedy"], 20)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("seed", range(5))
def test_the_cache_changes_no_score_however_the_text_is_cut(lesson, seed):
    rng = random.Random(seed)
    model = random_gpt(lesson, rng)
    ids = torch.randint(3, 20, (rng.randint(1, 4), 20))
    cuts = [0, *sorted(rng.sample(range(1, 20), rng.randint(1, 6))), 20]
    with torch.inference_mode():
        scores, caches = [], None
        for start, end in itertools.pairwise(cuts):
            before = caches
            some, caches = lesson["read_on"](model, ids[:, start:end], caches)
            scores.append(some)
            if before:  # what a caller holds is not changed: two texts can go on from one beginning
                assert before[0][0].shape[2] == start
        assert torch.allclose(torch.cat(scores, dim=1), model(ids), atol=1e-4)
    size = model.words.weight.shape[1] // model.blocks[0].attention.num_heads
    for key, value in caches:
        assert key.shape == value.shape == (len(ids), model.blocks[0].attention.num_heads, 20, size)


def test_writing_ends_at_the_end_mark_or_at_the_longest(lesson):
    def model(ids):  # says: after word n comes word n + 1; 2 is the end
        return nn.functional.one_hot((ids + 1) % 9, 41).float()

    start = torch.tensor([[1, 4], [1, 7]])
    ids = lesson["write"](model, start, lesson["greedy"], longest=30)
    assert ids.tolist() == [[1, 4, 5, 6, 7, 8, 0, 1, 2], [1, 7, 8, 0, 1, 2, 3, 4, 5]]
    assert lesson["write"](model, start, lesson["greedy"], longest=4).tolist() == [[1, 4, 5, 6], [1, 7, 8, 0]]
    names = lesson["names"]
    assert lesson["to_words"](torch.tensor([[1, 4, 5, 2, 6], [1, 7, 8, 9, 9]])) == [
        [names[4], names[5]], [names[7], names[8], names[9], names[9], "…"],
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_filters_keep_what_those_of_the_library_keep(lesson, seed, monkeypatch):
    monkeypatch.setitem(lesson, "draw", lambda scores: scores)  # what would be drawn from
    torch.manual_seed(seed)
    scores = 3 * torch.randn(6, 30)
    for k in (1, 2, 7, 30):
        expected = transformers.TopKLogitsWarper(k)(None, scores.clone())
        assert torch.equal(lesson["with_top_k"](k)(scores), expected)
    for p in (0.1, 0.5, 0.9):
        filtered = lesson["with_top_p"](p)(scores.clone())
        assert torch.equal(filtered, transformers.TopPLogitsWarper(p)(None, scores.clone()))
        probabilities = scores.softmax(dim=1)
        for row, kept in zip(probabilities, filtered > float("-inf"), strict=True):
            assert row[kept].sum() >= p and row[kept].sum() - row[kept].min() < p  # the fewest that reach p
            assert kept.all() or row[kept].min() >= row[~kept].max()
    assert torch.allclose(lesson["with_temperature"](0.5)(scores), 2 * scores)


def test_top_p_by_hand_keeps_what_the_filter_of_the_library_keeps(lesson, capsys):
    torch.manual_seed(1)
    scores = 4 * torch.randn(1, 3, len(lesson["names"]))
    run_cells("4-decoder", "top-p-by-hand", **lesson | {"writer": lambda ids: scores})
    kept = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.endswith("  kept")}
    filtered = transformers.TopPLogitsWarper(0.9)(None, scores[:, -1])[0]
    assert kept == {name for name, score in zip(lesson["names"], filtered, strict=True) if score > float("-inf")}


def parse(words, grammar):
    """Whether the grammar of lesson 1 makes these words: a parser that knows nothing of patterns."""

    def phrase(rest):
        if rest[:1] != ["the"]:
            return None
        count = 0
        while rest[count + 1 : count + 2] and rest[count + 1] in grammar.ADJECTIVES:
            count += 1
        adjectives, noun = rest[1 : count + 1], rest[count + 1 : count + 2]
        good = count <= 2 and len(set(adjectives)) == count and noun and noun[0] in grammar.NOUNS
        return rest[count + 2 :] if good else None

    def clause(rest):
        rest = phrase(rest)
        if not rest:
            return None
        verb, rest = rest[0], rest[1:]
        if verb in grammar.TRANSITIVE:
            rest = phrase(rest)
        elif verb not in grammar.INTRANSITIVE:
            return None
        return rest[1:] if rest and rest[0] in grammar.ADVERBS else rest

    rest = clause(words)
    while rest:
        rest = clause(rest[1:]) if rest[0] in grammar.CONJUNCTIONS else None
    return rest == []


def test_the_recognizer_accepts_what_the_grammar_makes_and_rejects_what_it_cannot(lesson):
    grammar, is_right = lesson["lesson1"], lesson["is_right"]
    random.seed(0)
    sentences = [grammar.sentence(3, 30)[0] for _ in range(3000)]
    assert all(map(is_right, sentences))
    words = list(lesson["KINDS"])
    verdicts = []
    for sentence in sentences:
        i, j = sorted(random.sample(range(len(sentence)), 2))
        spoilt = random.choice([
            sentence[:i] + sentence[i + 1 :], sentence[:i] + [sentence[i]] + sentence[i:], sentence[:j],
            sentence[:i] + [random.choice(words)] + sentence[i + 1 :], [*sentence[:i], *sentence[j:]], sentence[::-1],
            sentence[:i] + [sentence[j]] + sentence[i + 1 : j] + [sentence[i]] + sentence[j + 1 :],
        ])  # fmt: skip
        verdicts.append(is_right(spoilt))
        assert is_right(spoilt) == parse(spoilt, grammar), " ".join(spoilt)
    assert 300 < sum(verdicts) < 2000  # some changes make another right sentence
    for wrong in ([], ["the"], ["wolf", "sings"], "the wolf sings …".split(), "the wolf sings and".split()):
        assert not is_right(wrong)


def test_a_spoilt_sentence_is_never_right_and_mistakes_and_patterns_are_counted(lesson):
    for seed in range(3):  # a word doubled, of another kind or left out, or a verb too many
        random.seed(seed)
        run_cells("4-decoder", "recognizer-accepts", "recognizer-rejects", **lesson | {"test_texts": []})
    names = run_cells("4-decoder", "wrong-verbs", "variety", **lesson)
    right, wrong = "the wolf sings and the girl sees the boy now", ("the wolf", "the wolf sings and the girl now")
    assert not names["wrong_verbs"](right.split())
    assert all(names["wrong_verbs"](words.split()) for words in (*wrong, "the wolf sees the girl sings", "sings sings"))
    texts = [words.split() for words in ("the wolf sings", "the girl runs", "the wolf sings", "the wolf sees the boy")]
    assert names["variety"](texts) == (3 / 4, 2 / 4)


def test_ngrams_share_out_the_whole_probability_as_kneser_and_ney_do(lesson):
    random.seed(0)
    texts = [[*random.choices(range(3, 9), k=random.randint(1, 8)), 2] for _ in range(60)]
    for n in (1, 2, 3):
        model = lesson["NGrams"](texts, n, vocabulary=10)
        for before in itertools.product(range(1, 10), repeat=n - 1):  # also runs that never occurred
            assert sum(model.probability((*before, word)) for word in range(10)) == pytest.approx(1)
    texts = [[3, 4, 2], [5, 4, 2], [3, 4, 2]]  # by hand: runs (1 3) (3 4) (4 2) (1 5) (5 4), D = 0.75
    model = lesson["NGrams"](texts, 2, vocabulary=6)
    after_how_many = {3: 1, 4: 2, 2: 1, 5: 1}  # different words stand before it; 5 in all, of 4 words
    single = {word: (count - 0.75) / 5 + 0.75 * 4 / 5 / 6 for word, count in after_how_many.items()}
    assert model.probability((3, 4)) == pytest.approx((2 - 0.75) / 2 + 0.75 * 1 / 2 * single[4])
    assert model.probability((3, 5)) == pytest.approx(0.75 * 1 / 2 * single[5])
    assert model.probability((9, 5)) == pytest.approx(single[5])
    uniform = lesson["NGrams"]([], 1, vocabulary=10)
    assert uniform.perplexity([[3, 4, 2]]) == pytest.approx(10)


@pytest.mark.parametrize("seed", range(5))
def test_cross_attention_equals_torch_gradients_included(lesson, seed):
    torch.manual_seed(seed)
    batch, target, source, heads = (int(n) for n in torch.randint(1, 7, (4,)))
    hidden_size = heads * int(torch.randint(2, 9, ()))
    ours = lesson["CrossAttention"](hidden_size, heads).eval()
    theirs = nn.MultiheadAttention(hidden_size, heads, batch_first=True)
    run_cells("2-transformers", "copy-attention", torch=torch)["copy_attention"](ours, theirs)
    x = torch.randn(batch, target, hidden_size, requires_grad=True)
    states, real = torch.randn(batch, source, hidden_size, requires_grad=True), random_real(batch, source)

    out, weights = ours(x, states, real[:, None, None, :])
    expected, their_weights = theirs(x, states, states, key_padding_mask=~real)
    assert torch.allclose(out, expected, atol=1e-5)
    assert torch.allclose(weights, their_weights, atol=1e-6)
    for a, b in zip(*(torch.autograd.grad(o.square().sum(), (x, states)) for o in (out, expected)), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_the_translator_sees_no_padding_and_no_future_and_reads_its_own_words(lesson):
    torch.manual_seed(0)
    model = lesson["Transformer"](16, 2).eval()
    source, target = lesson["lesson1"].to_tensors(lesson["lesson1"].test_pairs[:4])
    length = target.shape[1] - 1
    with torch.inference_mode():
        scores, weights = model(source, length, target)
        padded = nn.functional.pad(source, (0, 3))
        assert torch.allclose(model(padded, length, target)[0], scores, atol=1e-5)
        assert torch.allclose(torch.stack(weights, dim=1).sum(dim=2), torch.ones(4, length))
        changed = target.clone()
        changed[:, 4:] = 5
        assert torch.allclose(model(source, length, changed)[0][:, :4], scores[:, :4], atol=1e-5)
        own, _ = model(source, length)
        words = nn.functional.pad(own.argmax(dim=2), (1, 0), value=lesson["START"])
        assert torch.allclose(model(source, length, words)[0], own, atol=1e-5)


def test_rotary_attention_turns_every_head_as_exercise_2_5_does_and_sees_distances_only(lesson):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 7, 8)  # (batch, heads, tokens, size)
    speed = 10000 ** (-torch.arange(0, 8, 2) / 8)
    rotate = run_cells("solutions/2-transformers", "exercise-2-5", torch=torch)["rotate"]
    expected = torch.stack([torch.stack([rotate(head, speed) for head in text]) for text in x])
    assert torch.allclose(lesson["rotate"](x), expected, atol=1e-5)

    layer = lesson["RotaryAttention"](16, 2).eval()
    text = torch.randn(1, 6, 16)
    alone = layer(text)
    later = torch.cat([torch.randn(1, 4, 16), text], dim=1)  # the same words four places later
    mask = torch.arange(10) >= 4
    assert torch.allclose(layer(later, mask)[:, 4:], alone, atol=1e-5)
    assert not torch.allclose(layer(text.flip(1)).flip(1), alone, atol=1e-2)  # but their order counts


def test_copies_are_found(lesson):
    copies = run_cells("4-decoder", "copies", news=["a text of some thirty-five characters, or a few more"])["copies"]
    assert copies("so: a text of some thirty-five characters, or not")
    assert not copies("a text of some thirty-four characters, or a few")
