"""What a class of 90 minutes shows, as docs/sessions.toml says: its slides, and the tables of docs/teaching.

python scripts/sessions.py    count the slides of each session and write the tables of docs/teaching, in each language
"""

import copy
import re
import sys
import tomllib
from functools import cache
from itertools import takewhile

import nbformat
from nbformat import NotebookNode

from course.files import atomic_write
from course.language import LANGUAGES, WORDS, document
from course.notebooks import ROOT, read

PLAN = ROOT / "docs" / "sessions.toml"
TABLE = re.compile(r"(?<=<!-- session )(\w+)( -->\n).*?(?=<!-- end of session \1 -->)", re.DOTALL)
Slide = list[NotebookNode]  # the cells of one slide


class NoSuchSlide(Exception):
    """The plan names a session, a section or a slide that is not there."""


@cache
def sessions() -> dict[str, list[dict]]:
    """{name of a session: its parts, in order}"""
    return {name: plan["parts"] for name, plan in tomllib.loads(PLAN.read_text(encoding="utf-8")).items()}


def parts_of(session: str) -> list[dict]:
    if session not in sessions():
        raise NoSuchSlide(f"there is no session {session!r}; docs/sessions.toml has {', '.join(sessions())}")
    return sessions()[session]


def slides_of(lesson: str, language: str) -> list[Slide]:
    """The slides of a lesson: a cell of the type slide or subslide and those that go on with it."""
    slides = []
    for cell in read(language, lesson).cells:
        kind = cell.metadata.slideshow.slide_type
        if kind in ("slide", "subslide"):
            slides.append([])
        if kind != "skip":
            slides[-1].append(cell)
    return slides


def is_exercise(slide: Slide) -> bool:
    return slide[0].id.startswith("exercise-")


def slides_of_part(part: dict, language: str) -> list[Slide]:
    """Those of a section without its exercises, or that of an exercise; "only" or "without" choose among them."""
    lesson, first = part["show"].split("/")
    slides = slides_of(lesson, language)
    ids = [slide[0].id for slide in slides]
    if first not in ids:
        raise NoSuchSlide(f"docs/sessions.toml: no slide begins with {part['show']}")
    begin = ids.index(first)
    rest = takewhile(lambda slide: slide[0].metadata.slideshow.slide_type != "slide", slides[begin + 1 :])
    section = [slides[begin], *(slide for slide in rest if not is_exercise(slide) and not is_exercise(slides[begin]))]
    ids = [slide[0].id for slide in section]
    if unknown := {*part.get("only", []), *part.get("without", [])} - {*ids}:
        raise NoSuchSlide(f"docs/sessions.toml: {part['show']} has no slide {', '.join(sorted(unknown))}")
    shown = part.get("only", ids)
    return [slide for slide in section if slide[0].id in shown and slide[0].id not in part.get("without", [])]


def deck(session: str, language: str) -> NotebookNode:
    """The slides of a session as one notebook; the first note of each part says how long it takes."""
    cells = []
    for part in parts_of(session):
        slides = copy.deepcopy(slides_of_part(part, language))
        first = slides[0][0]
        if not is_exercise(slides[0]):
            first.metadata.slideshow.slide_type = "slide"
        note = WORDS[language]["sessions"]["note"].format(minutes=minutes(part), questions=part.get("questions", 0))
        first.metadata["hint"] = "\n\n".join(filter(None, [f"**{note}**", first.metadata.get("hint")]))
        for cell in sum(slides, []):
            cell.id = f"{part['show'].split('-')[0]}-{cell.id}"  # lessons share ids such as title
            cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells, metadata=read(language, part["show"].split("/")[0]).metadata)


def minutes(part: dict) -> int:
    """For the slides or the exercise, and for questions."""
    return part["minutes"] + part.get("questions", 0)


def table(session: str, language: str) -> str:
    """The plan of a session, its slides counted."""
    words, parts = WORDS[language]["sessions"], parts_of(session)
    counts = [len(slides_of_part(part, language)) for part in parts]
    lines = [words["head"], "|---:|---:|---:|---|---:|"]
    for part, count in zip(parts, counts, strict=True):
        name = words["in_part"].format(title_of(part, language)) if "only" in part else title_of(part, language)
        questions, leave = part.get("questions", ""), part.get("leave_out", "")
        lines.append(f"| {minutes(part)} | {questions} | {count} | {name} | {leave} |")
    questions = sum(part.get("questions", 0) for part in parts)
    exercises = sum(minutes(part) for part in parts if "/exercise-" in part["show"])
    total = words["total"].format(exercises)
    lines.append(f"| **{sum(map(minutes, parts))}** | **{questions}** | **{sum(counts)}** | **{total}** | |")
    return "\n".join(lines)


def title_of(part: dict, language: str) -> str:
    """Such as "1 · 2. The problem, measured", "Lesson 1 · Attention" or "Exercise 1.1 · Predict"."""
    lesson, first = part["show"].split("/")
    source = next(cell.source for cell in read(language, lesson).cells if cell.id == first)
    title = re.sub(r" \([^)]*\)$", "", source.splitlines()[0].lstrip("# "))
    return f"{lesson[0]} · {title}" if re.match(r"\d+\.", title) else title


def with_tables(text: str, language: str) -> str:
    """A document with the tables as they are now, between marks <!-- session … --> and <!-- end of session … -->."""
    return TABLE.sub(lambda found: f"{found[1]}{found[2]}\n{table(found[1], language)}\n\n", text)


def main() -> None:
    for language in LANGUAGES:
        path = ROOT / document("docs/teaching", language)
        text = with_tables(path.read_text(encoding="utf-8"), language)
        with atomic_write(path.parent) as folder:
            (folder / path.name).write_text(text, encoding="utf-8")
        print(f"tables written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"scripts/sessions.py: {error}")
