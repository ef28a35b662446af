"""What all checks share: call a student's function, compare what it returns, and find the mistake that explains it.

A check lists what students get wrong as a table, the most telling mistake first:

    mistakes = {
        "weights": expected.softmax(dim=1),                 # what a student with this mistake returns,
        "scaled": [expected / 2, expected / 4],             # or several such values,
        "future": lambda mask: place(mask & ahead, "row"),  # or a condition on the answer,
        "average": True,                                    # or True: whatever else is wrong
    }

Its keys are names of hints. A condition returns whether the mistake was made; if it returns a dictionary that is not
empty, it was, and the values are filled into the hint. An answer that fits no mistake gets the hint "other".
"""

import copy
import math
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Real

import numpy as np
import torch
from torch import Tensor

EXERCISES: dict[str, Callable] = {}  # {number of an exercise: its check}


class Mistake(Exception):
    """What is wrong with an answer: the name of a hint and the values to fill into it.

    Without a name, nothing has been filled in yet. A name that begins with "open" says what is still to be filled in,
    or that the planted bug is still there.
    """

    def __init__(self, hint: str = "", **values):
        self.hint, self.values = hint, values
        self.mark = "open" if not hint or hint.startswith("open") else "wrong"


def exercise(number: str, trials: int = 0) -> Callable:
    """Decorator: a check of the answers to exercise `number`; with `trials`, of a function with one trial's inputs."""

    def register(check: Callable) -> Callable:
        def repeat(function) -> None:
            for trial in range(trials):
                check(function, trial)

        EXERCISES[number] = repeat if trials else check
        return check

    return register


@contextmanager
def keep_random_numbers(seed: int) -> Iterator[None]:
    """Leave the random numbers of torch, numpy and Python as they were before; inside, torch begins at `seed`."""
    of_numpy, of_python = np.random.get_state(), random.getstate()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)


def find_gaps(answers: dict) -> None:
    """Raise Mistake if `...` still stands in an answer; the hint names it, unless nothing is filled in at all."""
    named = {}
    for name, answer in answers.items():
        named |= answer if isinstance(answer, dict) else {name: answer}
    missing = [str(name) for name, answer in named.items() if has_gap(answer)]
    if missing:
        raise Mistake("open_gaps", names=", ".join(missing)) if len(missing) < len(named) else Mistake()


def has_gap(answer) -> bool:
    return answer is ... or (isinstance(answer, (list, tuple)) and any(map(has_gap, answer)))


def call(function, *inputs):
    """The result of the student's function for `inputs`.

    Raises Mistake if it is no function, still returns `...` or nothing, stops with an error, or changes its inputs.
    """
    if not callable(function):
        raise Mistake("no_function", type=type(function).__name__)
    data = [value for value in inputs if isinstance(value, (Tensor, list))]
    before = copy.deepcopy(data)
    try:
        with torch.random.fork_rng(devices=[]):  # a seed set in the function must not repeat the hidden inputs
            result = function(*inputs)
    except Mistake:  # of a function that runs in another process
        raise
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        own = [frame.line for frame in frames if frame.filename == frames[0].filename and frame.line]
        raise Mistake("stops", line=f" (`{own[-1]}`)" if own else "", reason=one_line(error)) from None
    if has_gap(result):
        raise Mistake()
    if result is None:
        raise Mistake("no_return")
    if not same(data, before):
        raise Mistake("changes_input")
    return result


def as_tensor(answer, like: Tensor, *, shapes: dict | None = None, name="", allow_nan=False, **values) -> Tensor:
    """The answer, if it is a tensor of the shape and the kind (float, bool, int) of `like`, on the CPU, without nan.

    `shapes` are mistakes, {hint: shape or list of shapes}; `values` fill their hints. Where an answer has several
    tensors, `name` says which it is.
    """
    label, shape = f"`{name}`: " if name else "", tuple(like.shape)
    if not torch.is_tensor(answer):
        raise Mistake("no_tensor", name=label, shape=shape, type=type(answer).__name__)
    if answer.device.type != "cpu":
        raise Mistake("device", name=label, device=answer.device)
    came = tuple(answer.shape)
    if came != shape:
        explain(came, (shapes or {}) | {"shape": True}, {"name": label, "came": came, "shape": shape} | values)
    if kind(answer) != kind(like):
        raise Mistake("kind", name=label, kind=kind(like), came=str(answer.dtype).removeprefix("torch."))
    if answer.isnan().any() and not allow_nan:
        raise Mistake("nan", name=label, place=answer.isnan().nonzero()[0].tolist())
    return answer


def compare(answer, expected: Tensor, mistakes: dict, *, describe: Callable = lambda answer: {}, **options) -> None:
    """Raise the Mistake that explains why an answer is not the expected tensor; return if it is.

    `describe` gives values of an answer of the right shape for the hints; the options are those of `as_tensor`.
    """
    answer = as_tensor(answer, expected, **options)
    if not same(answer, expected):
        explain(answer, mistakes, options | describe(answer))


def compare_number(name: str, answer, expected: float, mistakes: dict, tolerance: float = 1e-3, **values) -> None:
    """The same for a number of Python or numpy, or a tensor with one element, which may be off by `tolerance`."""
    number = as_number(name, answer)
    if not math.isclose(number, expected, abs_tol=tolerance):
        explain(number, mistakes, {"name": name, "ours": number, "right": expected} | values)


def compare_shape(answer, expected: tuple[int, ...], mistakes: dict) -> None:
    """The same for a shape, written as a tuple or a list; the hint "no_shape" is for anything else."""
    if not isinstance(answer, (tuple, list)):
        raise Mistake("no_shape", value=short(answer))
    if tuple(answer) != expected:
        explain(tuple(answer), mistakes, {"shape": tuple(answer), "value": short(answer)})


def compare_choice(letter, right: str) -> None:
    """The same for one of the letters a, b, c, d; each wrong one has its own hint, such as "because_a"."""
    given = letter.strip(" .()").lower() if isinstance(letter, str) else letter
    if given not in ("a", "b", "c", "d"):
        raise Mistake("no_letter", value=short(letter))
    if given != right:
        raise Mistake(f"because_{given}")


def explain(answer, mistakes: dict, values: dict) -> None:
    """Raise the first of the mistakes that a wrong answer fits, or "other"."""
    for hint, mistake in mistakes.items():
        if found := fits(answer, mistake):
            raise Mistake(hint, **values | (found if isinstance(found, dict) else {}))
    raise Mistake("other", **values)


def fits(answer, mistake):
    """Whether an answer shows a mistake: True or False, or what the condition returns."""
    if isinstance(mistake, bool):
        return mistake
    if callable(mistake):
        return mistake(answer)
    return any(same(answer, value) for value in (mistake if isinstance(mistake, list) else [mistake]))


def same(answer, value) -> bool:
    """Whether two values are equal; tensors of floats and numbers only need to be close."""
    if isinstance(value, Tensor):
        rtol, atol = (1e-3, 1e-4) if value.is_floating_point() else (0, 0)
        return answer.shape == value.shape and torch.allclose(answer.to(value.dtype), value, rtol=rtol, atol=atol)
    if isinstance(value, (list, tuple)):
        return len(answer) == len(value) and all(map(same, answer, value))
    return math.isclose(answer, value, rel_tol=2e-6, abs_tol=2e-6) if isinstance(value, Real) else answer == value


def fields(prediction, *names: str) -> tuple:
    """The values of a dictionary with exactly these names."""
    if not isinstance(prediction, dict) or set(prediction) != set(names):
        raise Mistake("no_fields", names=", ".join(names))
    return tuple(prediction[name] for name in names)


def as_number(name: str, value) -> float:
    """`value` as a float; a Mistake, with the name of the answer, if it is not a finite number."""
    count = value.numel() if isinstance(value, Tensor) else getattr(value, "size", 0)
    plain = value.item() if count == 1 else value
    if not isinstance(plain, Real) or isinstance(plain, bool) or not math.isfinite(plain):
        raise Mistake("no_number", name=name, value=short(value))
    return float(plain)


def kind(tensor: Tensor) -> str:
    if tensor.is_complex():
        return "complex"
    return "float" if tensor.is_floating_point() else "bool" if tensor.dtype == torch.bool else "int"


def place(condition: Tensor, *names: str, **tensors: Tensor) -> dict:
    """{name of a dimension: index} of the first place where a condition is True; empty if it is True nowhere.

    Tensors of the same shape add {name: what stands in this place}.
    """
    if not condition.any():
        return {}
    index = condition.nonzero()[0].tolist()
    there = {name: tensor[tuple(index)].item() for name, tensor in tensors.items()}
    return dict(zip(names, index, strict=True)) | there


def random_int(low: int, high: int) -> int:
    """A random whole number from low to high."""
    return int(torch.randint(low, high + 1, ()))


def one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:160]


def short(value) -> str:
    return " ".join(repr(value).split())[:40]
