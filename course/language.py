"""In which language a lesson speaks: hints, alternative texts and labels follow the folder it lies in."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

LANGUAGES = ("en", "ko")
# {language: {room: {key: sentence}}}, for plots and views
WORDS = tomllib.loads((files("course") / "words.toml").read_text(encoding="utf-8"))


def language_of(folder: Path) -> str:
    """The language of the lessons in a folder such as notebooks/ko or notebooks/ko/solutions; English elsewhere."""
    return next((part for part in folder.parts[-2:] if part in LANGUAGES), "en")


def here() -> str:
    """The language of the lesson that is running: its kernel's folder is the lesson's folder."""
    return language_of(Path.cwd())
