"""What a lesson measured, as against what it proves: a proof is an `assert`, a finding is a `claim`."""

from __future__ import annotations

import os

STRICT = "COURSE_CLAIMS"  # environment variable; with the value "strict", as the tests set it, a finding must hold


def claim(finding: str, holds: bool, measured: str) -> None:
    """Print in one line whether a finding holds in this run, and what was measured.

    Other data, seeds and machines give other numbers: a finding that does not hold is told, and the lesson runs on.

    Args:
        finding: the sentence, such as "attention keeps long sentences".
        holds: whether the measurement supports it.
        measured: the numbers that decide, such as "0.99 of the words at 17 to 20 words".

    Raises:
        AssertionError: it does not hold, and the environment variable COURSE_CLAIMS is "strict", as in the tests.
    """
    line = f"{'✓ holds here' if holds else '✗ does not hold here'}: {finding} ({measured})"
    if not holds and os.environ.get(STRICT) == "strict":
        raise AssertionError(line)
    print(line)
