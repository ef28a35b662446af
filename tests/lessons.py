"""How the tests read the notebooks: cells by id, code without magics."""

import ast
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
LANGUAGES = ("en", "ko")
LESSONS = sorted(path.stem for path in (NOTEBOOKS / "en").glob("*.ipynb"))


def read(language, lesson):
    return nbformat.read(NOTEBOOKS / language / f"{lesson}.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def python(source):
    """The code of a cell as a syntax tree: comments gone, a magic such as %run turned into a string."""
    return ast.parse(re.sub(r"^(%.*)$", r"'\1'", source, flags=re.MULTILINE))


def run_cells(lesson, *ids, **names):
    """Execute cells of the English notebook, by id, in a fresh namespace that starts with `names`."""
    cells = {cell.id: cell.source for cell in code_cells(read("en", lesson))}
    for id in ids:
        exec(compile(python(cells[id]), f"{lesson}:{id}", "exec"), names)
    return names
