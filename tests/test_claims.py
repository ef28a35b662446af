"""A finding is told, and stops nothing but the tests."""

import pytest

from course.claims import claim


@pytest.mark.parametrize("mode", [None, "strict"])
def test_a_finding_that_holds_is_one_line(mode, monkeypatch, capsys):
    monkeypatch.delenv("COURSE_CLAIMS", raising=False) if mode is None else monkeypatch.setenv("COURSE_CLAIMS", mode)
    claim("long sentences arrive", True, "0.99")
    assert capsys.readouterr().out == "✓ holds here: long sentences arrive (0.99)\n"


def test_a_finding_that_does_not_hold_says_what_came_and_fails_only_the_tests(monkeypatch, capsys):
    monkeypatch.delenv("COURSE_CLAIMS", raising=False)
    claim("long sentences arrive", False, "0.42")
    assert capsys.readouterr().out == "✗ does not hold here: long sentences arrive (0.42)\n"
    monkeypatch.setenv("COURSE_CLAIMS", "strict")
    with pytest.raises(AssertionError, match="long sentences arrive .0.42"):
        claim("long sentences arrive", False, "0.42")
