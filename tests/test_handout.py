"""The handout: what students get, without a solution or a note for instructors, and it runs as it is."""

import json
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest

import handout
import start
from course.language import LANGUAGES, SOURCE, document
from course.notebooks import LESSONS, ROOT, read
from students import NUMBERS, cell

SHOWN = 'with torch.device("meta"):'  # by lesson 2 itself


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory):
    """The folder that a student has after unzipping."""
    place = tmp_path_factory.mktemp("a student's folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handout, "BUILD", place)
        handout.main()
    with zipfile.ZipFile(place / "handout.zip") as archive:
        archive.extractall(place)
    return place / handout.TOP


@pytest.fixture(scope="module")
def texts(unzipped):
    """{file: text}; of a notebook all text in it."""
    files = [path for path in unzipped.rglob("*") if path.suffix not in (".png", ".gif", ".safetensors", "")]
    return {path.relative_to(unzipped).as_posix(): json_free(path) for path in files if path.is_file()}


def json_free(path):
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    notebook = nbformat.read(path, as_version=4)
    return "\n".join(f"{cell.source}\n{json.dumps(cell.metadata, ensure_ascii=False)}" for cell in notebook.cells)


def test_no_solution_and_no_note_for_instructors_is_in_it(texts):
    assert not [name for name in texts if re.search("solution|teaching|tests/|wrong", name)]
    # the checks have to compute what is right, in their own way
    everything = "\n".join(text for name, text in texts.items() if not name.startswith("course/exercises/lesson"))
    for number in NUMBERS:
        for line in cell("exercise", number, "solutions/").splitlines():
            code = line.split("#")[0].strip()
            if len(code) > 20 and code != SHOWN and code not in cell("exercise", number):
                assert code not in everything, number
    for language in LANGUAGES:
        for lesson in LESSONS:
            hints = [one.metadata.hint for one in read(language, lesson).cells if "hint" in one.metadata]
            explained = [one.source for one in read(language, f"solutions/{lesson}").cells if "solution-" in one.id]
            assert len(hints) > 5 and len(explained) >= 4
            for text in hints + explained:
                assert json.dumps(text, ensure_ascii=False) not in everything and text not in everything
    assert "`solutions`" not in everything and "left out of the handout" not in everything


def test_what_its_readmes_name_is_there(unzipped, texts):
    for name in (document("README", language) for language in LANGUAGES):
        text = texts[name]
        for link in re.findall(r"\]\((?!http|#)([^)#]+)", text):
            assert (unzipped / link).exists(), (name, link)
        for command in re.findall(r"\bmake ([a-z]+)\b", "\n".join(re.findall(r"```.*?```|`.*?`", text, re.DOTALL))):
            steps = start.commands({})[command]
            assert all((unzipped / word).is_file() for step in steps for word in step if word.endswith(".py")), command
    pictures = re.findall(r"\]\((?:\.\./)+([^)#]+)\)", "\n".join(t for n, t in texts.items() if n.endswith(".ipynb")))
    assert len(pictures) > 10 and all((unzipped / path).exists() for path in pictures)


def test_its_scripts_find_what_they_import(unzipped):
    ours = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    for path in (unzipped / "scripts").glob("*.py"):
        named = re.findall(r"^ *(?:import|from) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert [name for name in ours & {*named} if not (unzipped / "scripts" / f"{name}.py").is_file()] == [], path


def test_a_command_for_instructors_is_refused_there_in_a_sentence(unzipped):
    for command, missing in {"collect": "scripts/collect.py", "test": "tests"}.items():
        done = subprocess.run([sys.executable, unzipped / "start.py", command], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr == f"start.py: this copy of the course has no {missing}: {command} is for who teaches it\n"


def test_on_a_full_disk_the_old_one_stays(mount, monkeypatch):
    disk = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    (disk / "handout.zip").write_text("old")
    monkeypatch.setattr(handout, "BUILD", disk)
    with pytest.raises(SystemExit, match="no handout was made: .*No space left"):
        handout.main()
    assert [path.name for path in disk.iterdir()] == ["handout.zip"] and (disk / "handout.zip").read_text() == "old"


@pytest.mark.slow
def test_it_runs_as_it_is(unzipped, monkeypatch):
    """Weights, working copies, slides; a lesson's beginning and its exercises are executed into a page."""
    monkeypatch.setenv("PYTHONPATH", str(unzipped))  # as its own .venv has it
    notebook = unzipped / "notebooks" / SOURCE / "1-attention.ipynb"
    lesson = nbformat.read(notebook, as_version=4)
    lesson.cells = [one for one in lesson.cells if re.match("imports|exercise-|check-|progress", one.id)]
    for one in lesson.cells:
        if one.id == "exercise-1-5":  # which needs what the lesson has computed
            one.source = "measured = because = ..."
    lesson.cells.insert(0, nbformat.v4.new_markdown_cell("# Attention"))
    nbformat.write(lesson, notebook)
    for script in (
        "bert/prepare.py",
        "scripts/lab.py --copy",
        "scripts/pages.py",
        f"scripts/execute.py {SOURCE} 1-attention",
    ):
        file, *words = script.split()
        done = subprocess.run([sys.executable, unzipped / file, *words], capture_output=True, text=True, cwd=unzipped)
        assert done.returncode == 0, done.stderr
    assert (unzipped / "work" / LANGUAGES[-1] / "4-decoder.ipynb").is_file()
    assert not list((unzipped / "work").rglob("solutions"))
    page = (unzipped / "build" / SOURCE / "1-attention.html").read_text(encoding="utf-8")
    assert "○ 1.6 still open" in page and "lesson 1: 0 of 6 exercises solved" in page
    slides = (unzipped / "build" / "slides" / f"1-attention.{SOURCE}.html").read_text(encoding="utf-8")
    assert '<aside class="notes">' not in slides
    assert (ROOT / "notebooks" / SOURCE / "solutions").is_dir()
