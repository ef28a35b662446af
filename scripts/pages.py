"""Lessons as self-contained HTML: pages to read, slides to project, a start page. Nothing is loaded from a network.

python scripts/pages.py      every lesson as it is stored, in each language, as slides in build/slides/
python scripts/pages.py 2    only the slides of a session of docs/sessions.toml, as build/slides/session-2.LANGUAGE.html

MathJax and reveal.js come from installed packages and are written into each file.
"""

import ast
import base64
import copy
import re
import sys
from functools import cache
from html import escape
from importlib.metadata import files
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader
from nbconvert import HTMLExporter, SlidesExporter
from tqdm import tqdm

import play
from course.files import atomic_write
from course.language import LANGUAGES, SOURCE, WORDS
from course.notebooks import LESSONS, NOTEBOOKS, ROOT, read
from sessions import NoSuchSlide, deck
from translations import is_copy

BUILD = ROOT / "build"
TEMPLATES = Path(__file__).resolve().parent / "templates"
EXPORTERS = {"page": HTMLExporter, "slides": SlidesExporter}
PACKAGED = {  # {name in the templates: (package, end of the file's path)}
    "mathjax": ("sphinx-mathjax-offline", "mathjax/tex-svg-full.js"),
    "reveal_js": ("sphinx-revealjs", "revealjs/dist/reveal.js"),
    "reveal_css": ("sphinx-revealjs", "revealjs/dist/reveal.css"),
    "reveal_notes": ("sphinx-revealjs", "plugin/notes/notes.js"),
}
# an animation in a lesson, and beside it the still that takes its place for readers who want no motion
ALT = r"!\[(?P<alt>(?:(?!\]\().)*)\]"
ANIMATION = re.compile(ALT + r"\(images/(?P<name>[\w-]+)\.gif\)")


@cache
def packaged(package: str, ending: str) -> str:
    """The text of a file that an installed package carries, safe inside a <script> or <style>."""
    found = [file for file in files(package) or [] if str(file).endswith(ending)]
    if len(found) != 1:
        raise FileNotFoundError(f"the package {package} has {len(found)} files {ending}; run: make setup")
    return found[0].read_text(encoding="utf-8").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def title_of(notebook: nbformat.NotebookNode) -> str:
    """The first heading of a lesson."""
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def export(kind: str, notebook: nbformat.NotebookNode, language: str) -> str:
    """A lesson as one HTML file: a "page" to read, or "slides" to project.

    Arrows turn the slides, S opens the notes, ?print-pdf prints.
    """
    exporter = EXPORTERS[kind](
        extra_template_basedirs=[str(TEMPLATES)],
        template_name="course",
        template_file=f"{kind}.html.j2",
        embed_images=True,
        language_code=language,
    )
    resources = {name: packaged(*file) for name, file in PACKAGED.items()}
    resources["source_language"] = SOURCE
    resources["words"], resources["play"] = WORDS[language]["pages"], WORDS[language]["play"]["title"]
    resources["metadata"] = {"name": title_of(notebook), "path": str(ROOT)}  # where its pictures are looked up
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if kind == "page":  # it shows the cells, too, that the slides leave out
            cell.metadata["slideshow"] = {"slide_type": "-"}
        if cell.cell_type == "markdown":  # nbconvert embeds no picture from above the folder that it is given
            cell.metadata["is_copy"] = is_copy(cell)
            cell.source = re.sub(ALT + r"\(\.\./\.\./images/", r"![\g<alt>](images/", cell.source)
            cell.source = ANIMATION.sub(with_still, cell.source)
        elif kind == "slides":
            cell.source = without_drawing(cell.source)
    return exporter.from_notebook_node(notebook, resources=resources)[0]


def without_drawing(code: str) -> str:
    """A cell's code without the calls that draw a plot: a slide shows the plot, and what it was made from."""
    if "plot_" not in code:
        return code
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if getattr(node.value.func, "id", "").startswith("plot_"):
                lines[node.lineno - 1 : node.end_lineno] = [None] * (node.end_lineno - node.lineno + 1)
    return "\n".join(line for line in lines if line is not None)


def with_still(animation: re.Match) -> str:
    """An animation as HTML that shows its still where the reader wants less motion."""
    path = ROOT / "images" / animation["name"]
    gif, png = (base64.b64encode(path.with_suffix(ending).read_bytes()).decode() for ending in (".gif", ".png"))
    still = f'<source media="print, (prefers-reduced-motion: reduce)" srcset="data:image/png;base64,{png}">'
    moving = f'<img alt="{escape(animation["alt"])}" src="data:image/gif;base64,{gif}">'
    return f'<div class="animation"><picture>{still}{moving}</picture></div>'


def write_start_page() -> None:
    """Write build/index.html: every page and every deck that is there, with run times and results of the pages.

    And the pages to play with, to which it links.
    """
    templates = Environment(loader=FileSystemLoader(TEMPLATES / "course"), autoescape=True, trim_blocks=True)
    html = templates.get_template("start.html.j2").render(
        languages={language: WORDS[language]["language"]["name"] for language in LANGUAGES},
        play={language: WORDS[language]["play"]["title"] for language in LANGUAGES},
        rows=[{language: links(lesson, language) for language in LANGUAGES} for lesson in LESSONS],
    )
    with atomic_write(BUILD) as folder:
        (folder / "index.html").write_text(html, encoding="utf-8")
    play.build(BUILD)


def links(lesson: str, language: str) -> dict[str, str]:
    """What the start page shows of one lesson in one language; links to files that are there."""
    page, slides = f"{language}/{lesson}.html", f"slides/{lesson}.{language}.html"
    is_run = (BUILD / page).is_file() and (BUILD / page).with_suffix(".ipynb").is_file()
    notebook = nbformat.read((BUILD if is_run else NOTEBOOKS) / language / f"{lesson}.ipynb", as_version=4)
    return {
        "title": title_of(notebook),
        "page": page if is_run else "",
        "slides": slides if (BUILD / slides).is_file() else "",
        "seconds": f"{notebook.metadata.get('seconds', 0):.0f}",
        "results": results_of(notebook),
        "command": "make" if language == SOURCE else f"make {language.upper()}=1",
        "word": WORDS[language]["pages"]["word"],
    }


def results_of(notebook: nbformat.NotebookNode) -> str:
    """What the cells with a lesson's main results printed."""
    results = [cell for cell in notebook.cells if "result" in cell.metadata.get("tags", [])]
    return "".join(output.get("text", "") for cell in results for output in cell.outputs).rstrip()


def main(session: str | None = None) -> None:
    """Write the slides of all lessons, or of one session.

    Raises:
        NoSuchSlide: there is no such session, or it names a slide that is not there.
    """
    if session:
        decks = {f"session-{session}.{language}": (deck(session, language), language) for language in LANGUAGES}
    else:
        lessons = [(lesson, language) for language in LANGUAGES for lesson in LESSONS]
        decks = {f"{lesson}.{language}": (read(language, lesson), language) for lesson, language in lessons}
    for name, (notebook, language) in tqdm(decks.items(), desc="slides", unit="deck"):
        html = export("slides", notebook, language)
        with atomic_write(BUILD / "slides") as folder:
            (folder / f"{name}.html").write_text(html, encoding="utf-8")
    write_start_page()
    print(f"slides: build/slides/{f'session-{session}.*' if session else ''}; start page: build/index.html")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except (NoSuchSlide, OSError) as error:
        sys.exit(f"scripts/pages.py: {error}")
