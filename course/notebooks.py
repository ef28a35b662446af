"""The lessons as they are stored: read a notebook, get its cells by id, run some of them outside of Jupyter."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course.language import SOURCE

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
LESSONS = sorted(path.stem for path in (NOTEBOOKS / SOURCE).glob("*.ipynb"))
SOLUTIONS = [f"solutions/{lesson}" for lesson in LESSONS]
ASSIGNMENT = "assignment/assignment"


@cache
def read(language: str, lesson: str) -> NotebookNode:
    """The notebook of a lesson, such as "3-bert" or "solutions/3-bert". It is parsed once: copy it before a change.

    Raises:
        FileNotFoundError: there is no such lesson, or the course runs without a clone of its repository.
    """
    path = NOTEBOOKS / language / f"{lesson}.ipynb"
    if not path.is_file():
        raise FileNotFoundError(f"there is no notebooks/{language}/{lesson}.ipynb; the lessons lie in the repository")
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@cache
def sources(language: str, lesson: str) -> dict[str, str]:
    """{id of a cell: its text}, code and prose, in the order of the lesson."""
    return {cell.id: cell.source for cell in read(language, lesson).cells}


def python(source: str) -> ast.Module:
    """The code of a cell as a syntax tree: no comments, and a magic such as %run as a string."""
    return ast.parse(re.sub(r"^(%.*)$", r"'\1'", source, flags=re.MULTILINE))


def run_cells(lesson: str, *ids: str, changes: dict[str, str] | None = None, **names) -> dict:
    """Execute cells of an English lesson, in this order, as they stand.

    Args:
        lesson: such as "3-bert".
        ids: of the cells.
        changes: {old: new} to be replaced in the code; each must stand in exactly one of the cells, once.
        names: the namespace to begin with.

    Returns:
        The namespace after the last cell.

    Raises:
        KeyError: the lesson has no such cell.
        ValueError: a text to be replaced is not there, or there more than once.
    """
    code = [sources(SOURCE, lesson)[id] for id in ids]
    for old, new in (changes or {}).items():
        if sum(source.count(old) for source in code) != 1:
            raise ValueError(f"expected {old!r} once in the cells {', '.join(ids)} of lesson {lesson}")
        code = [source.replace(old, new) for source in code]
    for id, source in zip(ids, code, strict=True):
        exec(compile(python(source), f"{lesson}:{id}", "exec"), names)
    return names
