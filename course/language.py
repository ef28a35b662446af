"""The languages of the course. Hints, plots and views speak that of the folder in which the running lesson lies."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

SOURCE = "en"  # the others are translated from it, and what they lack is shown in it
TRANSLATIONS = sorted(
    file.name.removesuffix(".toml")
    for file in (files("course") / "words").iterdir()
    if file.name.endswith(".toml") and file.name != f"{SOURCE}.toml"
)
LANGUAGES = [SOURCE, *TRANSLATIONS]


def in_each_language(folder: Traversable) -> dict[str, dict]:
    """{language: tables} from the files en.toml, ko.toml ... of a folder; where one lacks something, it is English."""
    source = _tables(folder / f"{SOURCE}.toml")
    return {language: _filled(_tables(folder / f"{language}.toml"), source) for language in LANGUAGES}


def _tables(file: Traversable) -> dict:
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _filled(own: dict, source: dict) -> dict:
    """The tables of `source`, in its order, with what `own` says in place of it."""
    filled = {key: _filled(own.get(key, {}), text) if isinstance(text, dict) else own.get(key, text)
              for key, text in source.items()}  # fmt: skip
    return filled | {key: text for key, text in own.items() if key not in source}


# {language: {room: {key: sentence}}}, for plots and views, pages and tables
WORDS = in_each_language(files("course") / "words")


def document(name: str, language: str) -> str:
    """The file of a document such as "README" or "docs/teaching" in a language."""
    return f"{name}.md" if language == SOURCE else f"{name}.{language}.md"


def language_of(folder: Path) -> str:
    """The language of the lessons in a folder such as notebooks/ko or notebooks/ko/solutions; English elsewhere."""
    return next((part for part in folder.parts[-2:] if part in LANGUAGES), SOURCE)


def here() -> str:
    """The language of the lesson that is running: its kernel's folder is the lesson's folder."""
    return language_of(Path.cwd())
