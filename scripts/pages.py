"""Lessons as self-contained HTML: pages to read, slides to project, a start page. Nothing is loaded from a network.

python scripts/pages.py    every lesson as it is stored, in both languages, as slides in build/slides/

MathJax and reveal.js come from installed packages and are written into each file.
"""

import copy
from functools import cache
from importlib.metadata import files
from pathlib import Path

import nbformat
from jinja2 import Template
from markupsafe import Markup
from nbconvert import HTMLExporter, SlidesExporter
from tqdm import tqdm

from course.files import atomic_write
from course.notebooks import LESSONS, NOTEBOOKS, ROOT, read

BUILD = ROOT / "build"
TEMPLATES = Path(__file__).resolve().parent / "templates"
WORDS = {
    "en": {"language": "English", "start_page": "All lessons", "slides": "slides", "command": "make"},
    "ko": {"language": "한국어", "start_page": "강의 목록", "slides": "슬라이드", "command": "make KO=1"},
}


@cache
def packaged(package: str, ending: str) -> str:
    """The text of a file that an installed package carries, safe inside a <script> or <style>."""
    found = [file for file in files(package) or [] if str(file).endswith(ending)]
    if len(found) != 1:
        raise FileNotFoundError(f"the package {package} has {len(found)} files {ending}; run: make setup")
    return found[0].read_text(encoding="utf-8").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def own(name: str) -> str:
    return (TEMPLATES / "course" / name).read_text(encoding="utf-8")


def title_of(notebook: nbformat.NotebookNode) -> str:
    """The first heading of a lesson."""
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def export(kind: type, notebook: nbformat.NotebookNode, name: str, language: str, **parts: str) -> str:
    exporter = kind(
        extra_template_basedirs=[str(TEMPLATES)],
        template_name="course",
        template_file="slides.html.j2" if kind is SlidesExporter else "page.html.j2",
        embed_images=True,
        language_code=language,
    )
    resources = {
        "metadata": {"name": name, "path": str(ROOT)},  # where its pictures are looked up
        "title": title_of(notebook),
        "start_page": WORDS[language]["start_page"],
        "mathjax": packaged("sphinx-mathjax-offline", "mathjax/tex-svg-full.js"),
    }
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if kind is not SlidesExporter:  # a page shows the cells, too, that the slides leave out
            cell.metadata["slideshow"] = {"slide_type": "-"}
        if cell.cell_type == "markdown":  # nbconvert embeds no picture from above the folder that it is given
            cell.source = cell.source.replace("](../../images/", "](images/")
    return exporter.from_notebook_node(notebook, resources=resources | parts)[0]


def page(notebook: nbformat.NotebookNode, name: str, language: str) -> str:
    """A lesson as one HTML file to read; `name` is that of its notebook, such as 3-bert."""
    return export(HTMLExporter, notebook, name, language, page_css=own("page.css"))


def slides(notebook: nbformat.NotebookNode, name: str, language: str) -> str:
    """A lesson as one HTML file to project: arrows turn the slides, S opens the notes, ?print-pdf prints."""
    reveal = {
        "reveal_js": packaged("sphinx-revealjs", "revealjs/dist/reveal.js"),
        "reveal_css": packaged("sphinx-revealjs", "revealjs/dist/reveal.css"),
        "reveal_notes": packaged("sphinx-revealjs", "plugin/notes/notes.js"),
    }
    reveal |= {"slides_css": own("slides.css"), "slides_js": own("slides.js")}
    return export(SlidesExporter, notebook, name, language, **reveal)


def write_start_page() -> None:
    """Write build/index.html: every page and every deck that is there, with run times and results of the pages."""
    html = Template(own("start.html.j2"), autoescape=True, trim_blocks=True).render(
        css=Markup(own("page.css")),
        languages=[words["language"] for words in WORDS.values()],
        rows=[[links(lesson, language) for language in WORDS] for lesson in LESSONS],
    )
    with atomic_write(BUILD) as folder:
        (folder / "index.html").write_text(html, encoding="utf-8")


def links(lesson: str, language: str) -> dict[str, str]:
    """What the start page shows of one lesson in one language; links to files that are there."""
    page, slides = f"{language}/{lesson}.html", f"slides/{lesson}.{language}.html"
    is_run = (BUILD / page).is_file() and (BUILD / page).with_suffix(".ipynb").is_file()
    notebook = nbformat.read((BUILD if is_run else NOTEBOOKS) / language / f"{lesson}.ipynb", as_version=4)
    return {
        "title": title_of(notebook),
        "page": page if is_run else "",
        "slides": slides if (BUILD / slides).is_file() else "",
        "word": WORDS[language]["slides"],
        "command": WORDS[language]["command"],
        "seconds": f"{notebook.metadata.get('seconds', 0):.0f}",
        "results": results_of(notebook),
    }


def results_of(notebook: nbformat.NotebookNode) -> str:
    """What the cells with a lesson's main results printed."""
    results = [cell for cell in notebook.cells if "result" in cell.metadata.get("tags", [])]
    return "".join(output.get("text", "") for cell in results for output in cell.outputs).rstrip()


def main() -> None:
    decks = [(lesson, language) for language in WORDS for lesson in LESSONS]
    for lesson, language in tqdm(decks, desc="slides", unit="deck"):
        html = slides(read(language, lesson), lesson, language)
        with atomic_write(BUILD / "slides") as folder:
            (folder / f"{lesson}.{language}.html").write_text(html, encoding="utf-8")
    write_start_page()
    print("slides: build/slides/; start page: build/index.html")


if __name__ == "__main__":
    main()
