"""Wrong answers to the exercises, as students give them: {exercise: {what the student does: (hint, changes)}}.

The changes are made to the solution: what to replace, by what, and so on in turns. A single text is a whole answer.
"""

WRONG = {
    "1.1": {
        "gives the score for the weight": ("score", "0.25", "7"),
        "lets one key take all": ("hard", "0.25", "1.0"),
        "writes a percentage": ("no_weight", "0.25", "25"),
        "adds 100 to the weight": ("no_weight", "0.67", "100.67"),
        "shares among two": ("equal", "0.25", "0.5"),
        "adds up the values": ("sum", "6,", "24,"),
        "takes the last value": ("single", "6,", "12,"),
        "averages twice": ("average", "6,", "1.5,"),
        "thinks that large scores are hard": ("larger", "0.67", "1.0"),
        "compares ratios": ("ratio", "0.67", "0.33"),
        "lets the weight shrink a little": ("factor", "0.67", "0.5"),
        "writes words": ("no_number", "0.25", "'a quarter'"),
        "leaves a name out": ("no_fields", '    "weight": 0.25,\n', ""),
    },
    "1.2": {
        "keeps a dimension": ("shape", ".squeeze(2)", ""),
        "compares with the keys of all texts": (
            "all_pairs",
            "(keys @ turned.unsqueeze(2)).squeeze(2)",
            "turned @ keys.mT",
        ),
        "squeezes a batch of one text away": ("squeezed", ".squeeze(2)", ".squeeze()"),
        "goes on to the weights": ("weights", ".squeeze(2)", ".squeeze(2).softmax(dim=1)"),
        "forgets W": ("without_w", "query @ W", "query"),
        "transposes W": ("transposed", "query @ W", "query @ W.T"),
        "divides by the root": ("scaled", ".squeeze(2)", ".squeeze(2) / keys.shape[2] ** 0.5"),
        "compares with the keys of the first text": ("other", "keys @", "keys[:1] @"),
        "gives back two things": ("no_tensor", "return (keys", "return W, (keys"),
        "divides by zero": ("nan", "turned = query @ W", "turned = query @ W * 0 / 0"),
        "has left its values on another device": ("device", ".squeeze(2)", ".squeeze(2).to('meta')"),
    },
    "1.3": {
        "swaps True and False": (
            "inverted",
            "return (steps >= 0) & (steps < window)",
            "return ~((steps >= 0) & (steps < window))",
        ),
        "swaps rows and columns": (
            "transposed",
            "position.unsqueeze(1) - position",
            "position - position.unsqueeze(1)",
        ),
        "hides the future and forgets the window": (
            "inverted",
            "return (steps >= 0) & (steps < window)",
            "return torch.ones(tokens, tokens).triu(1).bool()",
        ),
        "counts back below 0": (
            "wraps",
            """
            def window_mask(tokens, window):
                mask = torch.zeros(tokens, tokens, dtype=torch.bool)
                for row in range(tokens):
                    for back in range(window):
                        mask[row, row - back] = True
                return mask
            """,
        ),
        "begins a slice below 0": (
            "not_itself",
            """
            def window_mask(tokens, window):
                mask = torch.zeros(tokens, tokens, dtype=torch.bool)
                for row in range(tokens):
                    mask[row, row - window + 1 : row + 1] = True
                return mask
            """,
        ),
        "forgets the future": ("future", "(steps >= 0) & ", ""),
        "takes the distance to both sides": ("future", "(steps >= 0) & (steps < window)", "steps.abs() < window"),
        "leaves the word itself out": ("not_itself", "steps >= 0", "steps > 0"),
        "looks one too far": ("one_too_many", "steps < window", "steps <= window"),
        "looks one too short": ("one_too_few", "steps < window", "steps < window - 1"),
        "forgets the window": ("too_far", " & (steps < window)", ""),
        "sees only itself": ("too_near", "(steps >= 0) & (steps < window)", "steps == 0"),
        "gives numbers": (
            "kind",
            "return (steps >= 0) & (steps < window)",
            "return ((steps >= 0) & (steps < window)).float()",
        ),
        "works for 7 tokens only": ("shape", "arange(tokens)", "arange(7)"),
        "prints and does not return": ("no_return", "return", "mask ="),
    },
    "1.4": {
        "fills in 0": ("open_bug", 'float("-inf")', "0"),
        "swaps the mask": ("inverted", "~real", "real"),
        "masks after the softmax": (
            "sums",
            'scores = scores.masked_fill(~real.unsqueeze(1), float("-inf"))\n    return scores.softmax(dim=-1)',
            "return (scores.softmax(dim=-1) * real.unsqueeze(1))",
        ),
        "fills in a small negative number": ("leak", 'float("-inf")', "-1.0"),
        "computes with infinity": (
            "nan",
            'scores.masked_fill(~real.unsqueeze(1), float("-inf"))',
            'scores + ~real.unsqueeze(1) * float("-inf")',
        ),
        "fills in a number that only looks small enough": ("low_scores", 'float("-inf")', "-100.0"),
        "does not keep what masked_fill gives": ("no_effect", "scores = scores.masked", "scores.masked"),
        "looks for scores of 0": (
            "zero_score",
            'scores = scores.masked_fill(~real.unsqueeze(1), float("-inf"))',
            "scores = scores * real.unsqueeze(1)\n    scores[scores == 0] = -torch.inf",
        ),
        "takes the softmax along the targets": ("nan", "dim=-1", "dim=1"),
        "forgets the values": ("shape", " @ value", ""),
        "forgets the dimension of the targets": ("stops", "~real.unsqueeze(1)", "~real"),
        "loses the root": ("unscaled", " / key.shape[-1] ** 0.5", ""),
        "divides by the size": ("other", "** 0.5", ""),
        "masks in the input": (
            "changes_input",
            "    scores = scores.masked",
            "    value[~real] = 0\n    scores = scores.masked",
        ),
    },
    "1.5": {
        "divides by the root": ("root", "/ 1024", "/ 32"),
        "does not divide": ("undivided", " / 1024", ""),
        "divides the entropy": ("entropy_divided", "raw[-1] / 1024)", "raw[-1]) / 1024"),
        "measures in nats": ("other", "entropy(raw[-1] / 1024)", "entropy(raw[-1] / 1024) * 0.693"),
        "thinks it turns hard": ("because_a", '"b"', '"a"'),
        "doubts the sum": ("because_c", '"b"', '"c"'),
        "confuses adding and dividing": ("because_d", '"b"', '"D "'),
        "writes a sentence": ("no_letter", '"b"', '"the scores are equal"'),
    },
    "1.6": {
        "subtracts no maximum": ("overflow", "torch.maximum(largest, scores.max())", "torch.tensor(0.0)"),
        "averages a softmax of each part": (
            "softmax_each",
            """
            def attention_in_parts(query, parts):
                results = [(k @ query / len(query) ** 0.5).softmax(dim=0) @ v for k, v in parts]
                return sum(results) / len(results)
        """,
        ),
        "forgets the earlier parts": ("last_part", "* factor", "* 0"),
        "returns inside the loop": ("first_part", "    return weighted", "        return weighted"),
        "divides by the size": ("unscaled", "len(query) ** 0.5", "len(query)"),
        "turns the factor round": ("start", "(largest - new).exp()", "(new - largest).exp()"),
        "overwrites the maximum too early": (
            "new_maximum",
            "terms, factor =",
            "largest = new\n        terms, factor =",
        ),
        "begins with minus infinity minus itself": ("start", "(scores - new).exp()", "(scores - largest).exp()"),
        "subtracts a maximum of each part": (
            "own_maximum",
            "new = torch.maximum(largest, scores.max())",
            "new = scores.max()",
            "(largest - new).exp()",
            "1",
        ),
        "holds all parts": (
            "all_at_once",
            """
            def attention_in_parts(query, parts):
                keys, values = (torch.cat(given) for given in zip(*parts))
                return (keys @ query / len(query) ** 0.5).softmax(dim=0) @ values
            """,
        ),
        "goes through the parts twice": (
            "all_at_once",
            """
            def attention_in_parts(query, parts):
                keys = torch.cat([keys for keys, _ in parts])
                values = torch.cat([values for _, values in parts])
                return (keys @ query / len(query) ** 0.5).softmax(dim=0) @ values
            """,
        ),
        "forgets the root": ("unscaled", " / len(query) ** 0.5", ""),
        "does not divide in the end": ("unnormed", "weighted / total", "weighted"),
        "does not correct the old sums": ("new_maximum", "(largest - new).exp()", "1"),
        "corrects one sum only": ("new_maximum", "weighted * factor", "weighted"),
        "divides by the number of values": ("other", "weighted / total", "weighted / total / len(values)"),
    },
    "2.1": {
        "stays with 12 heads": ("twelve", "32", "64"),
        "does not cut": ("cut", "32", "768"),
        "writes the shape as text": ("no_shape", "(2, 24, 10, 10)", "'2 x 24 x 10 x 10'"),
        "puts the head's size into the weights": ("size_in_shape", "(2, 24, 10, 10)", "(2, 24, 10, 32)"),
        "puts the heads last": ("order", "(2, 24, 10, 10)", "(2, 10, 10, 24)"),
        "takes the old number of heads": ("old_heads", "(2, 24, 10, 10)", "(2, 12, 10, 10)"),
        "forgets the heads": ("pairs", "(2, 24, 10, 10)", "(2, 10, 10)"),
        "doubles the parameters": ("twice", '"times_parameters": 1', '"times_parameters": 2'),
        "halves the parameters": ("matrices", '"times_parameters": 1', '"times_parameters": 0.5'),
        "writes a tensor into the shape": ("cannot_compare", "(2, 24, 10, 10)", "(2, torch.ones(24), 10, 10)"),
    },
    "2.2": {
        "writes the block of the lesson": (
            "post_norm",
            "x = x + attention(norm1(x))\n    return x + feed_forward(norm2(x))",
            "x = norm1(x + attention(x))\n    return norm2(x + feed_forward(x))",
        ),
        "forgets the second residual": ("residual", "return x + ", "return "),
        "normalizes the residual too": (
            "residual",
            "x = x + attention(norm1(x))",
            "x = norm1(x)\n    x = x + attention(x)",
        ),
        "loses what attention has added": ("attention_lost", "x = x + att", "y = x + att", "norm2(x)", "norm2(y)"),
        "does not keep the second half": (
            "no_effect",
            "return x + feed_forward(norm2(x))",
            "feed_forward(norm2(x))\n    return x",
        ),
        "puts a norm behind": ("norm_behind", "attention(norm1(x))", "norm1(attention(x))"),
        "uses norm1 twice": ("norm1_twice", "norm2(x)", "norm1(x)"),
        "forgets norm2": ("second_half", "norm2(x)", "x"),
        "forgets norm1": ("no_norm1", "norm1(x)", "x"),
        "swaps the norms": ("norms_swapped", "norm1(x)", "norm0(x)", "norm2(x)", "norm1(x)", "norm0", "norm2"),
        "swaps the parts": (
            "norms_swapped",
            "attention(norm1(x))",
            "feed_forward(norm1 (x))",
            "feed_forward(norm2(x))",
            "attention(norm2(x))",
        ),
        "uses norm2 twice": ("first_half", "norm1(x)", "norm2(x)"),
        "lets both read the same x": (
            "parallel",
            "x = x + attention(norm1(x))\n    return x +",
            "return x + attention(norm1(x)) +",
        ),
    },
    "2.3": {
        "gives the plain number": ("unit", " / 1e6", ""),
        "keeps the vocabulary": ("own_vocabulary", "vocab_size=119_547", ""),
        "counts the table only": ("table_only", "model.parameters()", "model.embeddings.parameters()"),
        "counts what is new only": ("added_only", "/ 1e6", "/ 1e6 - 109.5"),
        "adds a second table": ("both_tables", "/ 1e6", "/ 1e6 + 30_522 * 768 / 1e6"),
        "takes the size of BERT-large": ("sizes", "vocab_size=119_547", "vocab_size=119_547, num_hidden_layers=24"),
        "leaves one answer open": ("open_gaps", '"c"', "..."),
        "thinks size costs no time": ("because_a", '"c"', '"a"'),
        "thinks attention skips": ("because_b", '"c"', '"b"'),
        "thinks rows are shorter": ("because_d", '"c"', '"d"'),
    },
    "2.4": {
        "asks for the previous word": ("previous", "scores[:, :-1]", "scores[:, 1:]", "ids[:, 1:]", "ids[:, :-1]"),
        "shifts both sides alike": ("same_place", "ids[:, 1:]", "ids[:, :-1]"),
        "shifts behind flatten": (
            "across_texts",
            "scores[:, :-1].flatten(0, 1)",
            "scores.flatten(0, 1)[:-1]",
            "ids[:, 1:].flatten()",
            "ids.flatten()[1:]",
        ),
        "gives probabilities": ("softmaxed", "scores[:, :-1]", "scores[:, :-1].softmax(dim=-1)"),
        "shifts twice": ("twice", "scores[:, :-1]", "scores[:, :-2]", "ids[:, 1:]", "ids[:, 2:]"),
        "guesses the padding": ("padding", ", ignore_index=pad", ""),
        "skips the words behind padding": (
            "padding",
            "ids[:, 1:].flatten(), ignore_index=pad",
            "ids[:, 1:].masked_fill(ids[:, :-1] == pad, -100).flatten()",
        ),
        "takes 0 for the padding": ("pad_id", "ignore_index=pad", "ignore_index=0"),
        "sums up": ("sum", "ignore_index=pad", "ignore_index=pad, reduction='sum'"),
        "rolls around": ("last_place", "scores[:, :-1]", "scores", "ids[:, 1:]", "ids.roll(-1, dims=1)"),
        "leaves everything out": ("nan", "ids[:, 1:]", "ids[:, 1:].masked_fill(ids[:, 1:] != pad, pad)"),
        "halves the loss": ("other", "return cross", "return 0.5 * cross"),
        "forgets the mean": ("shape", "ignore_index=pad", "ignore_index=pad, reduction='none'"),
        "shifts one side only": ("stops", "scores[:, :-1]", "scores"),
    },
    "2.5": {
        "turns backwards": (
            "backwards",
            "a * cos - b * sin, a * sin + b * cos",
            "a * cos + b * sin, b * cos - a * sin",
        ),
        "counts from 1": ("from_one", "torch.arange(len(x))", "torch.arange(1, len(x) + 1)"),
        "leaves the numbers apart": ("order", "torch.stack", "torch.cat", "dim=2).flatten(1)", "dim=1)"),
        "pairs the halves": (
            "halves",
            "x[:, ::2], x[:, 1::2]",
            "x.chunk(2, dim=1)",
            "stack",
            "cat",
            "dim=2).flatten(1)",
            "dim=1)",
        ),
        "pairs the halves and puts them side by side": ("halves", "x[:, ::2], x[:, 1::2]", "x.chunk(2, dim=1)"),
        "adds instead of turning": (
            "position_0",
            "a * cos - b * sin, a * sin + b * cos",
            "a + sin, b + cos",
        ),
        "gets a sign wrong": ("length", "a * cos - b * sin", "a * cos + b * sin"),
        "overwrites an old number": (
            "length",
            "cos, sin =",
            "x = x.clone()\n    a, b = x[:, ::2], x[:, 1::2]\n    cos, sin =",
            "return",
            "a.copy_(a * cos - b * sin)\n    return",
        ),
        "forgets the speed": ("angle", " * speed", " * torch.ones_like(speed)"),
        "uses arange from the left": ("stops", "torch.arange(len(x)).unsqueeze(1)", "torch.arange(len(x) + 9)"),
    },
    "3.1": {
        "gives one number": ("no_shape", "(3, 12)", "36"),
        "does not cut": ("uncut", "(3, 12)", "(3, 22)"),
        "adds the marks after the cut": ("marks_extra", "(3, 12)", "(3, 14)"),
        "swaps the dimensions": ("longest", "(3, 12)", "(12, 3)"),
        "forgets the marks": ("marks", '"padding": 9', '"padding": 13'),
        "pads to the longest uncut text": ("lacks", '"padding": 9', '"padding": 29'),
        "swaps mask and padding": ("polarity", "27", "9"),
        "counts what was cut off": ("cut_off", "27", "37"),
        "counts the pieces without marks": ("rest", "27", "23"),
    },
    "3.2": {
        "gives back one tensor": (
            "two_tensors",
            "return input_ids, pad_sequence(ones, batch_first=True)",
            "return input_ids",
        ),
        "always fills up to max_length": (
            "always_full",
            "return input_ids, pad_sequence(ones, batch_first=True)",
            """
    missing = max_length - input_ids.shape[1]
    mask = pad_sequence(ones, batch_first=True)
    return tuple(torch.nn.functional.pad(t, (0, missing), value=v) for t, v in ((input_ids, pad_index), (mask, 0)))""",
        ),
        "swaps the two": (
            "swapped",
            "input_ids, pad_sequence(ones, batch_first=True)",
            "pad_sequence(ones, batch_first=True), input_ids",
        ),
        "touches texts that fit": (
            "cls_twice",
            "ids[:1] + ids[1:][-(max_length - 1) :]",
            "ids[:1] + ids[-(max_length - 1) :]",
        ),
        "loses the last piece": (
            "sep_lost",
            "ids[:1] + ids[1:][-(max_length - 1) :]",
            "(ids[:1] + ids[-max_length:-1] if len(ids) > max_length else ids)",
        ),
        "cuts one too many": (
            "too_short",
            "ids[:1] + ids[1:][-(max_length - 1) :]",
            "(ids[:1] + ids[2 - max_length :] if len(ids) > max_length else ids)",
        ),
        "puts the last piece twice": (
            "sep_twice",
            "ids[:1] + ids[1:][-(max_length - 1) :]",
            "(ids[:1] + ids[-max_length + 2 :] + ids[-1:] if len(ids) > max_length else ids)",
        ),
        "writes the numbers of the marks": (
            "hard_coded",
            "ids[:1] + ids[1:][-(max_length - 1) :]",
            "[101] + ids[1:-1][-(max_length - 2) :] + [102]",
        ),
        "counts the marks on top": ("off_by", "(max_length - 1)", "(max_length - 2)"),
        "keeps one too many": ("off_by", "(max_length - 1)", "max_length"),
        "cuts from the right": ("from_right", "ids[:1] + ids[1:][-(max_length - 1) :]", "ids[:max_length]"),
        "cuts from the right, before the last": (
            "before_sep",
            "ids[:1] + ids[1:][-(max_length - 1) :]",
            "ids[:-1][: max_length - 1] + ids[-1:]",
        ),
        "loses the first piece": ("cls_lost", "ids[:1] + ids[1:][-(max_length - 1) :]", "ids[-max_length:]"),
        "pads on the left": (
            "padded_left",
            "padding_value=pad_index)",
            "padding_value=pad_index, padding_side='left')",
        ),
        "sorts the texts by length": ("pieces", "for ids in pieces]", "for ids in sorted(pieces, key=len)]"),
        "pads with 0": ("pad_index", ", padding_value=pad_index", ""),
        "swaps the mask": ("looks_at_padding", "return input_ids, pad", "return input_ids, 1 - pad"),
        "makes the mask from the ids": ("mask", "pad_sequence(ones, batch_first=True)", "(input_ids != 0).long()"),
        "gives a mask of True and False": ("kind", "pad_sequence(ones, batch_first=True)", "input_ids != pad_index"),
        "cuts the lists themselves": (
            "changes_input",
            "    kept",
            "    for ids in pieces:\n        del ids[1 : len(ids) - max_length + 1]\n    kept",
        ),
    },
    "3.3": {
        "gives the number of positions": ("count", " / (padding(sorted_inside) + text)", ""),
        "sorts 50 batches together": (
            "pool_50",
            "sorted_inside = ",
            "everything = sorted(sum(shuffled, []), key=lambda i: lengths[i])\nsorted_inside = ",
            "[sorted(batch, key=lambda i: lengths[i]) for batch in shuffled]",
            "[everything[i : i + 8] for i in range(0, 800, 8)]",
        ),
        "divides by the text": ("of_text", "(padding(sorted_inside) + text)", "text"),
        "gives the share of the text": ("other", "small_pool = padding(sorted_inside)", "small_pool = text"),
        "thinks lengths are ignored": ("because_b", '"a"', '"b"'),
        "thinks rows are lost": ("because_c", '"a"', '"c"'),
        "blames the cut": ("because_d", '"a"', '"d"'),
    },
    "3.4": {
        "gives the number": ("number", "right / count", "right"),
        "subtracts 1 from the labels": ("labels", "== labels", "== labels - 1"),
        "divides shares by texts": ("shares_by_texts", ".sum().item()", ".float().mean().item()"),
        "counts every batch like the last": ("last_size", "right / count", "right / (len(batches) * len(labels))"),
        "gives a percentage": ("percent", "right / count", "100 * right / count"),
        "counts every batch as full": ("full_batches", "right / count", "right / (len(batches) * len(batches[0][1]))"),
        "leaves the last batch out": ("last_lost", "in batches", "in batches[:-1]"),
        "divides by the batches": ("batches", "right / count", "right / len(batches)"),
        "counts the mistakes": ("mistakes", "== labels", "!= labels"),
        "takes the first class": ("other", "scores.argmax(dim=1)", "0 * labels"),
        "calls check with the result": (
            "no_function",
            "    return right / count",
            "    return right / count\n\naccuracy_of = 0.9",
        ),
    },
    "3.5": {
        "makes a generator": ("no_list", "return result", "return (label for label in result)"),
        "skips the marks": ("count", "for word in word_ids:", "for word in (w for w in word_ids if w is not None):"),
        "gives marks the label 0": ("marks", "else -100", "else -100 if word is not None else 0"),
        "labels every piece": ("every_piece", " and word != before", ""),
        "compares labels": ("same_label", "word != before", "(before is None or labels[word] != labels[before])"),
        "takes word 0 for no word": ("word_0", "word is not None", "word"),
        "labels the last piece": (
            "last_piece",
            "for word in word_ids:",
            "for word in word_ids[::-1]:",
            "return result",
            "return result[::-1]",
        ),
        "counts words from 1": ("other", "labels[word] if", "labels[word - 1] if"),
    },
}

# Right answers that are written differently.
RIGHT = {
    "1.1": {
        "fractions": ("0.25", "1 / 4", "0.67", "2 / 3"),
        "tensors": ("0.25", "torch.tensor(0.25)", "6,", "torch.tensor([6.0]).numpy(),"),
    },
    "1.2": {
        "einsum": ("(keys @ turned.unsqueeze(2)).squeeze(2)", "torch.einsum('bk,bsk->bs', turned, keys)"),
        "in double precision": ("query @ W", "query @ W", ".squeeze(2)", ".squeeze(2).double()"),
        "a loop": (
            """
            def bilinear_scores(query, keys, W):
                rows = [[q @ W @ key for key in text] for q, text in zip(query, keys)]
                return torch.stack([torch.stack(row) for row in rows])
            """,
        ),
    },
    "1.3": {
        "tril and triu": (
            "(steps >= 0) & (steps < window)",
            "torch.ones(tokens, tokens, dtype=torch.bool).tril().triu(1 - window)",
        ),
        "a loop": (
            """
            def window_mask(tokens, window):
                mask = torch.zeros(tokens, tokens, dtype=torch.bool)
                for row in range(tokens):
                    mask[row, max(0, row - window + 1) : row + 1] = True
                return mask
            """,
        ),
    },
    "1.4": {
        "a very small number": ('float("-inf")', "-1e9"),
        "where": (
            'scores.masked_fill(~real.unsqueeze(1), float("-inf"))',
            "torch.where(real.unsqueeze(1), scores, -torch.inf)",
        ),
        "torch's own": (
            """
            def padded_attention(query, key, value, real):
                mask = real.unsqueeze(1).expand(-1, query.shape[1], -1)
                return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            """,
        ),
    },
    "1.5": {"a rounded number": ("entropy(raw[-1] / 1024)", "5.0"), "a capital": ('"b"', '"B"')},
    "1.6": {
        "log-sum-exp": (
            """
            def attention_in_parts(query, parts):
                log_total, result = torch.tensor(-torch.inf), 0
                for keys, values in parts:
                    scores = keys @ query / len(query) ** 0.5
                    new = torch.logaddexp(log_total, scores.logsumexp(dim=0))
                    result = result * (log_total - new).exp() + (scores - new).exp() @ values
                    log_total = new
                return result
            """,
        ),
        "one key after the other": (
            """
            def attention_in_parts(query, parts):
                largest, total, weighted = torch.tensor(-torch.inf), 0, 0
                for keys, values in parts:
                    for key, value in zip(keys, values):
                        score = key @ query / len(query) ** 0.5
                        new = max(largest, score)
                        total = total * (largest - new).exp() + (score - new).exp()
                        weighted = weighted * (largest - new).exp() + (score - new).exp() * value
                        largest = new
                return weighted / total
            """,
        ),
    },
    "2.1": {
        "a list": ("(2, 24, 10, 10)", "[2, 24, 10, 10]"),
        "a size": ("(2, 24, 10, 10)", "torch.Size((2, 24, 10, 10))"),
    },
    "2.2": {
        "one line": (
            "x = x + attention(norm1(x))\n    return x + feed_forward(norm2(x))",
            "return (y := x + attention(norm1(x))) + feed_forward(norm2(y))",
        )
    },
    "2.3": {"a rounded number": ("because =", "millions = 178\nbecause =")},
    "2.4": {
        "transposed": (
            """
            def next_word_loss(scores, ids, pad):
                return cross_entropy(scores[:, :-1].transpose(1, 2), ids[:, 1:], ignore_index=pad)
            """,
        ),
        "real places picked out": (
            """
            def next_word_loss(scores, ids, pad):
                real = ids[:, 1:] != pad
                return cross_entropy(scores[:, :-1][real], ids[:, 1:][real])
            """,
        ),
    },
    "2.5": {
        "complex numbers": (
            """
            def rotate(x, speed):
                angle = torch.arange(len(x)).unsqueeze(1) * speed
                pairs = torch.view_as_complex(x.unflatten(1, (-1, 2)).contiguous())
                return torch.view_as_real(pairs * torch.exp(1j * angle)).flatten(1)
            """,
        ),
        "a copy filled in": (
            "return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=2).flatten(1)",
            "result = torch.empty_like(x)\n    result[:, ::2], result[:, 1::2] = a * cos - b * sin, a * sin + b * cos\n"
            "    return result",
        ),
    },
    "3.1": {"a list": ("(3, 12)", "[3, 12]")},
    "3.2": {
        "a list of two": (
            "return input_ids, pad_sequence(ones, batch_first=True)",
            "return [input_ids, 1 * (input_ids != pad_index)]",
        ),
        "small integers": ("return input_ids,", "return input_ids.int(),"),
    },
    "3.3": {"a rounded number": ("because =", "small_pool = round(small_pool, 2)\nbecause =")},
    "3.4": {
        "rounded": ("right / count", "round(right / count, 3)"),
        "all joined": (
            """
            def accuracy_of(batches):
                scores, labels = (torch.cat(parts) for parts in zip(*batches))
                return (scores.argmax(dim=1) == labels).float().mean()
            """,
        ),
    },
    "3.5": {
        "a tensor": ("return result", "return torch.tensor(result)"),
        "a tuple": ("return result", "return tuple(result)"),
    },
}
