"""The course as students get it: build/handout.zip, without solutions, tests and what only instructors need.

python scripts/handout.py

It holds the tracked files but those of LEFT_OUT. The speaker notes of the slides and what stands between the marks
"<!-- left out of the handout -->" and "<!-- end -->" in READMEs, docs/ and lessons are taken out. It runs: make.
"""

import json
import re
import subprocess
import sys
import zipfile
from fnmatch import fnmatchcase

from course.files import atomic_write
from course.notebooks import ROOT

LEFT_OUT = (
    *("notebooks/*/solutions/*", "docs/teaching*", "CONTRIBUTING.md"),
    *("tests/*", "conftest.py", ".ci/*", ".github/*", ".gitignore"),
    *(f"scripts/{name}.py" for name in ("collect", "judge", "answer", "wire", "handout", "kit", "install", "support")),
    *("scripts/links.py", "scripts/translate.py", "scripts/glossary.py", "scripts/templates/course/class.html.j2"),
)
MARKED = re.compile(r"\n?<!-- left out of the handout -->.*?<!-- end -->", re.DOTALL)
NOTES = re.compile(r'<aside class="notes">.*?</aside>', re.DOTALL)
COMMAND = re.compile(r"^make (\w+) .*\n", re.MULTILINE)
COMMANDS = ("lab", "slides", "bench")  # of the README's list, beside make itself
BUILD = ROOT / "build"
TOP = "attention-course"  # the folder in the zip file


class NotACheckout(Exception):
    """The folder is no git checkout, so nobody knows which files belong to the course."""


def tracked() -> list[str]:
    """The files that git knows and that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    if not names:
        raise NotACheckout("it is made from a git checkout of the course, which this folder is not")
    return names


def for_students() -> list[str]:
    """The tracked files that students get."""
    return [name for name in tracked() if not any(fnmatchcase(name, pattern) for pattern in LEFT_OUT)]


def as_students_get_it(name: str) -> bytes:
    """The content of a file, without what is marked as left out."""
    content = (ROOT / name).read_bytes()
    if name.endswith(".ipynb"):
        notebook = json.loads(content)
        for cell in notebook["cells"]:
            cell["metadata"].pop("hint", None)
            if cell["cell_type"] == "markdown":
                cell["source"] = MARKED.sub("", "".join(cell["source"])).splitlines(keepends=True)
        return (json.dumps(notebook, ensure_ascii=False, indent=1) + "\n").encode()
    if fnmatchcase(name, "README*.md") or fnmatchcase(name, "docs/*.md"):
        text = MARKED.sub("", content.decode())
        return COMMAND.sub(lambda line: line[0] if line[1] in COMMANDS else "", text).encode()
    if name.endswith(".html"):  # pages and slides that were built
        return NOTES.sub("", MARKED.sub("", content.decode())).encode()
    return content


def main() -> None:
    try:
        names = for_students()
        with atomic_write(BUILD) as folder:
            with zipfile.ZipFile(folder / "handout.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                for name in names:
                    archive.writestr(f"{TOP}/{name}", as_students_get_it(name))
            megabytes = (folder / "handout.zip").stat().st_size / 1e6
    except (NotACheckout, OSError) as error:
        sys.exit(f"scripts/handout.py: no handout was made: {error}")
    print(f"The handout: {len(names)} files, {megabytes:.0f} MB, in build/handout.zip")


if __name__ == "__main__":
    main()
