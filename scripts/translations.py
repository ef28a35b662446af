"""Which texts there are in a language, and whether each still renders the English one: what scripts/translate.py asks.

A text carries a checksum of the English that it renders: a cell in its metadata ("translated_from"), a file in its
last line. Where it is the text's own checksum, the text is a copy of the English that waits for its translation.
"""

import difflib
import hashlib
import io
import json
import re
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import nbformat

from course.language import SOURCE, document
from course.notebooks import ROOT

KINDS = (
    "cells",
    "hints",
    "words",
    "documents",
)  # are counted; "comments" of code and "files" of tables are only compared
TABLES = {"hints": "course/exercises/hints/{}.toml", "words": "course/words/{}.toml"}
NOTICE = "> *Not translated yet: this is the English text.*\n\n"
MARK = re.compile(r"\n(?:# |<!-- )translated from (\w+)(?: -->)?\n")
MEASURED = re.compile(r"(<!-- ((?:make|session) \w+) -->).*?(?=<!-- end of \2 -->)", re.DOTALL)  # written by a program


@dataclass
class Text:
    """One text in one language: a cell such as "1-attention/title", a hint, a word, a file."""

    name: str
    kind: str
    state: str  # "done", "missing", "stale" (it renders an older English text), "unmarked" (nobody said which)
    file: str  # the English one
    english: str
    own: str | None
    mark: str = ""


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def state_of(own: str | None, english: str, mark: str) -> str:
    if own is None:
        return "missing"
    if mark != checksum(english):
        return "stale" if mark else "unmarked"
    return "missing" if own == english else "done"


def told(cell: dict) -> str:
    """What a cell tells a reader: its prose, or the comments of its code, and the hint for the instructor."""
    source = "".join(cell["source"])
    text = source if cell["cell_type"] == "markdown" else "\n".join(comments(source))
    return "\n".join(filter(None, [text, cell["metadata"].get("hint")]))


def is_copy(cell: dict) -> bool:
    """Whether a cell of a translation is still the English text, perhaps of an older lesson."""
    return cell["metadata"].get("translated_from") == checksum(told(cell))


@cache
def comments(source: str) -> list[str]:
    lines = re.sub(r"^(%.*)$", r"'\1'", source, flags=re.MULTILINE)
    tokens = tokenize.generate_tokens(io.StringIO(lines).readline) if "#" in source else ()
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def plain(document: str) -> str:
    """A file without its mark, the notice that it is not translated, and what programs write into it."""
    return MEASURED.sub(r"\1", MARK.sub("\n", document)).replace(NOTICE, "").strip()


# --- the texts of a language ------------------------------------------------------------------------------------------


def texts(language: str) -> Iterator[Text]:
    for name in lessons():
        yield from cells(name, language)
    for kind in TABLES:
        yield from entries(kind, language)
    for name in documents():
        yield file_text("documents", document(name, SOURCE), document(name, language))


def lessons() -> list[str]:
    folder = ROOT / "notebooks" / SOURCE
    found = [path.relative_to(folder) for path in folder.rglob("*.ipynb")]
    return sorted(
        path.with_suffix("").as_posix() for path in found if not any(part.startswith(".") for part in path.parts)
    )


def documents() -> list[str]:
    """README and the guides of docs/, without ".md"."""
    return ["README", *sorted(f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md") if "." not in path.stem)]


def load(language: str, lesson: str) -> nbformat.NotebookNode:
    path = ROOT / "notebooks" / language / f"{lesson}.ipynb"
    return nbformat.read(path, as_version=4) if path.is_file() else nbformat.v4.new_notebook()


def cells(lesson: str, language: str) -> Iterator[Text]:
    own = {cell.id: cell for cell in load(language, lesson).cells}
    for cell in load(SOURCE, lesson).cells:
        if english := told(cell):
            twin = own.get(cell.id)
            mark = twin.metadata.get("translated_from", "") if twin else ""
            text = told(twin) if twin else None
            kind = "cells" if cell.cell_type == "markdown" or "hint" in cell.metadata else "comments"
            file, state = f"notebooks/{SOURCE}/{lesson}.ipynb", state_of(text, english, mark)
            yield Text(f"{lesson}/{cell.id}", kind, state, file, english, text, mark)


def entries(kind: str, language: str) -> Iterator[Text]:
    """Each hint or word, and the file as a whole, in which the English ones may have changed."""
    file, own = (TABLES[kind].format(name) for name in (SOURCE, language))
    english, translated = read_tables(file), read_tables(own)
    for name, text in english.items():
        if not name.startswith("language/"):
            state = "done" if name in translated else "missing"
            yield Text(f"{kind}/{name}", kind, state, file, text, translated.get(name))
    if any(not name.startswith("language/") for name in translated):
        yield file_text("files", file, own)


def read_tables(file: str) -> dict[str, str]:
    return flat(tomllib.loads(text_of(file) or ""))


def flat(tables: dict, above: str = "") -> dict[str, str]:
    """{"table/key": text}"""
    found = {}
    for key, value in tables.items():
        found |= flat(value, f"{above}{key}/") if isinstance(value, dict) else {above + key: str(value)}
    return found


def text_of(file: str) -> str | None:
    return (ROOT / file).read_text(encoding="utf-8") if (ROOT / file).is_file() else None


def file_text(kind: str, file: str, own: str) -> Text:
    english, text = plain(text_of(file)), text_of(own)
    mark = MARK.search(text or "")
    state = state_of(text and plain(text), english, mark[1] if mark else "")
    return Text(own, kind, state, file, english, text, mark[1] if mark else "")


# --- what changed -----------------------------------------------------------------------------------------------------


def changed(language: str) -> list[Text]:
    """The texts that have to be looked at again, because the English is no longer what they render."""
    return [text for text in texts(language) if text.state in ("stale", "unmarked")]


def difference(text: Text) -> str:
    """What changed in the English since a text was translated, as git knows it; else how the English begins."""
    old = next((old for old in versions(text) if checksum(old) == text.mark), None) if text.mark else None
    if old is None:
        return f"  {text.english[:300]}"
    lines = difflib.unified_diff(old.splitlines(), text.english.splitlines(), n=0, lineterm="")
    return "\n".join(f"  {line}" for line in lines if not line.startswith(("---", "+++", "@@")))


def versions(text: Text) -> Iterator[str]:
    """The English text in the commits of its file, the newest first."""
    for commit in git("log", "-n", "100", "--format=%h", "--", text.file).split():
        content = git("show", f"{commit}:{text.file}")
        if text.file.endswith(".ipynb"):
            id = text.name.split("/")[-1]
            yield from (told(cell) for cell in json.loads(content)["cells"] if cell.get("id") == id)
        else:
            yield plain(content)


@cache
def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    return done.stdout
