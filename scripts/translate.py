"""What is translated, and what no longer renders the English text.

python scripts/translate.py status              how much of each language is done
python scripts/translate.py status ko           and what of it is missing, or renders an older English text
python scripts/translate.py mark ko             all texts of a language render the English as it is now
python scripts/translate.py mark ko NAME ...    these do; names are those that status shows
python scripts/translate.py new de              begin a language: all of it is there, in English until it is translated
python scripts/translate.py update de           bring new and changed English texts to what is not translated yet

A cell that is edited in place of its English copy counts as translated at once. Hints and the words of plots and pages
are translated line by line: one that is missing is shown in English.
"""

import argparse
import ast
import copy
import re
import sys
from collections import Counter

import nbformat
from nbconvert.utils.iso639_1 import iso639_1
from nbformat import NotebookNode

from course.files import atomic_write
from course.language import LANGUAGES, SOURCE, TRANSLATIONS, document
from course.notebooks import ROOT, python
from translations import (
    KINDS,
    MARK,
    NOTICE,
    TABLES,
    Text,
    changed,
    checksum,
    difference,
    documents,
    is_copy,
    lessons,
    load,
    plain,
    text_of,
    texts,
    told,
)


def report(language: str, in_full: bool) -> None:
    found = list(texts(language))
    every = Counter(text.kind for text in found)
    done = Counter(text.kind for text in found if text.state == "done")
    share = 100 * sum(done[kind] for kind in KINDS) // sum(every[kind] for kind in KINDS)
    counts = ", ".join(f"{done[kind]} of {every[kind]} {kind}" for kind in KINDS)
    print(f"{language}: {share} % translated ({counts}); {len(changed(language))} to look at again")
    for text in found if in_full else []:
        if text.state in ("stale", "unmarked"):
            print(f"{text.state}: {text.name}\n{difference(text)}")
        elif text.state == "missing" and text.kind in KINDS:
            print(f"missing: {text.name}")


def mark(language: str, names: list[str]) -> None:
    """Write into these texts, or into all that were changed, that they render the English as it is now."""
    found = {text.name: text for text in texts(language)}
    if unknown := set(names) - set(found):
        sys.exit(f"scripts/translate.py: {language} has no text {', '.join(sorted(unknown))}")
    todo = {name: found[name] for name in names or [text.name for text in changed(language)]}
    for lesson in lessons():
        mark_cells(load(language, lesson), language, lesson, todo)
    for name, text in todo.items():
        if text.kind in ("documents", "files"):
            write(name, marked(name, text_of(name), text.english))
    print(f"{len(todo)} texts marked")


def mark_cells(notebook: NotebookNode, language: str, lesson: str, todo: dict[str, Text]) -> None:
    before = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if text := todo.get(f"{lesson}/{cell.id}"):
            cell.metadata["translated_from"] = checksum(text.english)
    if notebook != before:
        save(notebook, language, lesson)


def marked(file: str, text: str, english: str) -> str:
    """A document or a file of tables with its mark in the last line."""
    line = f"translated from {checksum(english)}"
    line = f"# {line}" if file.endswith(".toml") else f"<!-- {line} -->"
    return f"{MARK.sub('', text).rstrip()}\n\n{line}\n"


def begin(language: str) -> None:
    """Write what a language lacks, in English: lessons, hints, words, documents. What is translated stays."""
    for lesson in lessons():
        save(merged(load(SOURCE, lesson), load(language, lesson)), language, lesson)
    untouched = {text.name for text in texts(language) if text.kind == "documents" and text.state == "missing"}
    for name in documents():
        english, own = text_of(document(name, SOURCE)), document(name, language)
        if own in untouched or is_english(own):
            write(own, marked(own, NOTICE + english, plain(english)))
    kinds = {text.kind for text in texts(language) if text.state != "missing"}
    for kind in TABLES:
        if kind not in kinds:
            file, english = TABLES[kind].format(language), text_of(TABLES[kind].format(SOURCE))
            write(file, marked(file, commented(english, language), plain(english)))


def is_english(file: str) -> bool:
    """Whether a document is still an English text, even if an older one."""
    text = plain(text_of(file))
    return f"translated from {checksum(text)}" in text_of(file)


def merged(english: NotebookNode, own: NotebookNode) -> NotebookNode:
    """The English notebook with the translated cells of `own`, and with its outputs where the code is the same."""
    twins = {cell.id: cell for cell in own.cells}
    notebook = copy.deepcopy(english)
    for cell in notebook.cells:
        text, twin = told(cell), twins.get(cell.id)
        if text:
            cell.metadata["translated_from"] = checksum(text)
        if twin and twin.cell_type == cell.cell_type and (cell.cell_type == "markdown" or same_code(cell, twin)):
            if "outputs" in twin:
                cell.update(outputs=twin.outputs, execution_count=twin.execution_count)
            if not is_copy(twin):
                cell.source = twin.source
                own_words = {key: twin.metadata[key] for key in ("hint", "translated_from") if key in twin.metadata}
                cell.metadata.update(own_words)
    return notebook


def same_code(cell: NotebookNode, twin: NotebookNode) -> bool:
    return ast.dump(python(cell.source)) == ast.dump(python(twin.source))


def commented(tables: str, language: str) -> str:
    """A file of English hints or words in which every line waits, as a comment, for its translation."""
    lines = re.sub(r"^(?=\w+ = )", "# ", tables[tables.index("[") :], flags=re.MULTILINE)
    head = "# Translate a line and take its # away. What is still a comment is shown in English.\n\n"
    return head + lines.replace('# name = "English"', f'name = "{language}"\ncomplete = false')


def save(notebook: NotebookNode, language: str, lesson: str) -> None:
    path = ROOT / "notebooks" / language / f"{lesson}.ipynb"
    with atomic_write(path.parent) as folder:
        nbformat.write(notebook, folder / path.name)


def write(file: str, text: str) -> None:
    path = ROOT / file
    with atomic_write(path.parent) as folder:
        (folder / path.name).write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["status", "mark", "new", "update"])
    parser.add_argument("language", nargs="?", help="such as ko: a folder of notebooks/")
    parser.add_argument("names", nargs="*", help="texts to be marked, such as 1-attention/title")
    options = parser.parse_args()
    language = options.language
    if options.command == "status" and not language:
        for language in TRANSLATIONS:
            report(language, in_full=False)
        return
    if options.command == "new" and (language in LANGUAGES or language not in iso639_1):
        parser.error("new takes the ISO 639-1 code of a language that is not there yet, such as de")
    if options.command != "new" and language not in TRANSLATIONS:
        parser.error(f"expected a language: {', '.join(TRANSLATIONS)}")
    if options.command == "mark":
        mark(language, options.names)
    elif options.command != "status":
        begin(language)
    report(language, in_full=options.command == "status")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"scripts/translate.py: {error}")
