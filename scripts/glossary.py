"""The course's terms in each language, as notebooks/glossary.toml has them, and where translations use others."""

import re
import tomllib
from collections.abc import Iterator

from course.notebooks import ROOT
from translations import texts

NO_PROSE = re.compile(
    r"```.*?```|\$\$.*?\$\$|`[^`]*`|\$[^$\n]*\$|\]\([^)]*\)|<[^>]*>", re.DOTALL
)  # code, formulas, links


def terms() -> dict[str, dict[str, list[str]]]:
    """{English term: {language: its renderings}}"""
    return tomllib.loads((ROOT / "notebooks" / "glossary.toml").read_text(encoding="utf-8"))


def used(text: str, known: list[str]) -> list[str]:
    """The terms in an English text, each word for the longest term only: "attention mask" has no "mask"."""
    text, found = re.sub(r"\s+", " ", NO_PROSE.sub("|", text)).lower(), []
    for term in sorted(known, key=len, reverse=True):
        text, count = re.subn(rf"(?<![\w-]){re.escape(term)}s?(?![\w-])", "|", text)
        found += [term] if count else []
    return found


def other_words(language: str) -> Iterator[str]:
    """Where a term stands in an English cell, hint or word, and the translation has none of its renderings."""
    known = {term: renderings[language] for term, renderings in terms().items() if language in renderings}
    for text in texts(language):
        if text.own and text.kind not in ("documents", "files"):
            for term in used(text.english, list(known)):
                if term not in text.own.lower() and not any(word in text.own for word in known[term]):
                    yield f"{text.name}: {term} is {' or '.join(known[term])}"
