"""Values and calls between two Python processes that do not trust each other, as lines of JSON: data, never code.

A function or an iterator goes over the wire as a number; whoever gets it may call it there, and gets data back.
"""

import json
import linecache
import re
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

ANSWER = "answer"  # the name of a student's code in tracebacks
LONGEST = 2**22  # of a line, in bytes
MOST_NUMBERS = 100_000  # of a tensor
DTYPES = {str(kind).removeprefix("torch."): kind for kind in vars(torch).values() if isinstance(kind, torch.dtype)}


class RemoteError(Exception):
    """What was raised at the other end; the class has the name that it had there."""

    line = ""  # of the student's code


class InputsChanged(Exception):
    """The function at the other end has written into its inputs."""


class Other:
    """A value of a kind that is not sent: only the name of its type, and how it is printed."""

    def __init__(self, printed: str):
        self.printed = printed

    def __repr__(self) -> str:
        return self.printed


class Wire:
    """One end; the other one is given by two functions that read and write a line."""

    def __init__(self, read_line: Callable[[], bytes], write_line: Callable[[bytes], object]):
        self.read_line, self.write_line = read_line, write_line
        self.functions: list[Callable] = []  # that the other end may call
        self.calls = 0  # of this end, so far

    def call(self, number: int, *inputs):
        """The result of the other end's function.

        Raises:
            RemoteError: it raised an error.
            InputsChanged: it changed a tensor or a list that it was given.
        """
        self.calls += 1
        turn = self.calls
        self.write({"call": number, "turn": turn, "inputs": [self.encode(value) for value in inputs]})
        while "call" in (message := self.read()):  # it needs something of us first
            self.write(self.run(message))
        if message.get("turn") != turn:
            self.fail("this does not answer the call")
        if "raised" in message:
            kind, text, line = map(str, message["raised"])
            error = type(re.sub(r"\W", "", kind)[:60] or "Error", (RemoteError,), {})(text)
            error.line = line
            raise error
        if message.get("changed"):
            raise InputsChanged
        return self.decode(message["result"])

    def serve(self) -> None:
        """Answer calls until the other end closes the wire."""
        while message := self.read():
            self.write(self.run(message))

    def run(self, message: dict) -> dict:
        """Call a function of this end, and pack what comes of it."""
        try:
            inputs = [self.decode(value) for value in message["inputs"]]
            before = self.state(inputs)
            result = self.functions[message["call"]](*inputs)
            changed = self.state(inputs) != before
            return {"turn": message["turn"], "result": self.encode(result), "changed": changed}
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            lines = [frame.line for frame in traceback.extract_tb(error.__traceback__) if frame.filename == ANSWER]
            told = [type(error).__name__, str(error)[:1000], lines[-1] or "" if lines else ""]
            return {"turn": message.get("turn"), "raised": told}

    def state(self, values: list) -> str:
        return json.dumps([self.encode(value) for value in values if isinstance(value, (Tensor, list))])

    def read(self) -> dict:
        """The next message; empty at the end."""
        line = self.read_line()
        try:
            message = json.loads(line) if line else {}
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.fail("this is no message")
        return message

    def fail(self, reason: str) -> NoReturn:
        """What the other end wrote breaks the rules."""
        raise ValueError(reason)

    def write(self, message: dict) -> None:
        self.write_line(json.dumps(message).encode() + b"\n")

    def encode(self, value):
        """A value as JSON: numbers and strings as they are, all else as [kind, ...]."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, (list, tuple)):
            return ["tuple" if isinstance(value, tuple) else "list", [self.encode(each) for each in value]]
        if isinstance(value, (set, frozenset)):
            return ["set", [self.encode(each) for each in value]]
        if isinstance(value, dict):
            return ["dict", [[self.encode(key), self.encode(each)] for key, each in value.items()]]
        if isinstance(value, Tensor) and is_plain(value):
            numbers = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
            return ["tensor", str(value.dtype).removeprefix("torch."), list(value.shape), numbers.flatten().tolist()]
        if isinstance(value, Tensor) and value.device.type != "cpu":
            return ["elsewhere", str(value.dtype).removeprefix("torch."), list(value.shape)]
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.size <= MOST_NUMBERS:
            return ["array", str(value.dtype), value.tolist()]
        if value is ...:
            return ["gap"]
        if isinstance(value, Iterator):
            return ["iterator", self.offer(value.__next__)]
        if callable(value):
            return ["function", self.offer(value)]
        return ["other", type(value).__name__, " ".join(repr(value).split())[:40]]

    def offer(self, function: Callable) -> int:
        self.functions.append(function)
        return len(self.functions) - 1

    def decode(self, value):
        """The value that `encode` packed at the other end."""
        if not isinstance(value, list):
            return value
        kind, *content = value
        match kind, content:
            case "list", [items]:
                return [self.decode(item) for item in items]
            case "tuple", [items]:
                return tuple(self.decode(item) for item in items)
            case "set", [items]:
                return {self.decode(item) for item in items}
            case "dict", [pairs]:
                return {self.decode(key): self.decode(item) for key, item in pairs}
            case "tensor", [dtype, shape, numbers]:
                tensor = torch.tensor(numbers, dtype=None if DTYPES[dtype].is_complex else DTYPES[dtype])
                tensor = torch.view_as_complex(tensor.view(-1, 2)) if DTYPES[dtype].is_complex else tensor
                return tensor.reshape(shape)
            case "elsewhere", [dtype, shape]:
                return torch.empty(shape, dtype=DTYPES[dtype], device="meta")
            case "array", [dtype, numbers]:
                return np.array(numbers, dtype=dtype)
            case "gap", []:
                return ...
            case "iterator", [number]:
                return self.iterate(number)
            case "function", [number]:
                return lambda *inputs: self.call(number, *inputs)
            case "other", [name, printed]:
                return type(re.sub(r"\W", "", name) or "Other", (Other,), {})(printed)
        raise ValueError(f"a value of an unknown kind: {kind!r}")

    def iterate(self, number: int) -> Iterator:
        """What the other end's iterator gives. As in the check of exercise 1.6, it is gone when the next one comes."""
        while True:
            try:
                item = self.call(number)
            except RemoteError as error:
                if type(error).__name__ == "StopIteration":
                    return
                raise
            yield item
            for tensor in item if isinstance(item, (list, tuple)) else [item]:
                if isinstance(tensor, Tensor) and tensor.is_floating_point():
                    tensor.fill_(torch.nan)


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is numbers in the memory of the CPU, and not too many."""
    return tensor.layout == torch.strided and tensor.device.type == "cpu" and tensor.numel() <= MOST_NUMBERS


def remember(source: str) -> None:
    """Let tracebacks show the lines of a student's code."""
    linecache.cache[ANSWER] = (len(source), None, source.splitlines(keepends=True), ANSWER)
