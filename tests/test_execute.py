"""scripts/execute.py, which `make` runs: tiny notebooks of our own, each in a real kernel."""

import multiprocessing
import os
import re
import signal

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import execute
import pages
from course.language import LANGUAGES

LESSONS = {
    "1-good": {
        "bar": "from tqdm.notebook import tqdm\nfor _ in tqdm(range(3)):\n    pass",
        "numbers": "print('accuracy 0.9')",
    },
    "2-bad": {
        "before": "print('fine so far')",
        "load": "from pathlib import Path\nfolder = Path.cwd()\nopen(folder / 'weights.txt')",
    },
}


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The folder of a course with a lesson that runs, 1-good, and one that fails, 2-bad; pages of an earlier run."""
    notebooks, build = tmp_path / "notebooks", tmp_path / "build"
    for lesson, cells in LESSONS.items():
        notebook = new_notebook(cells=[new_markdown_cell("# A short lesson", id="title")])
        for name, source in cells.items():
            stored, tags = [new_output("stream", text="stored\n")], ["result"] if name == "numbers" else []
            notebook.cells.append(new_code_cell(source, id=name, outputs=stored, metadata={"tags": tags}))
        for folder in (notebooks / "en", notebooks / "ko", build / "en"):
            folder.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, folder / f"{lesson}.ipynb")
        (build / "en" / f"{lesson}.html").write_text("of an earlier run")
    for module in (execute, pages):
        monkeypatch.setattr(module, "NOTEBOOKS", notebooks)
        monkeypatch.setattr(module, "LESSONS", list(LESSONS))
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(execute, "BESIDE", [])
    monkeypatch.setattr(pages, "BUILD", build)
    return tmp_path


def outputs(path):
    return {cell.id: cell.outputs for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"}


def test_a_lesson_that_runs_leaves_its_outputs_a_page_and_a_start_page(course, capsys):
    (course / "build" / "slides").mkdir()
    (course / "build" / "slides" / "1-good.ko.html").write_text("a deck")
    (course / "build" / "en" / "2-bad.html").unlink()
    assert execute.main(["en", "1-good"]) == 0
    notebook, build = course / "build" / "en" / "1-good.ipynb", course / "build"
    assert outputs(notebook)["numbers"][0]["text"] == "accuracy 0.9\n"
    assert 0 < nbformat.read(notebook, as_version=4).metadata.seconds < 60
    page = (build / "en" / "1-good.html").read_text(encoding="utf-8")
    assert "A short lesson" in page and "accuracy 0.9" in page
    start_page = (build / "index.html").read_text(encoding="utf-8")
    played = [f"{language}/play.html" for language in LANGUAGES]
    assert re.findall('href="(.*?)"', start_page) == [*played, "en/1-good.html", "slides/1-good.ko.html"]
    assert all((build / page).is_file() for page in played)
    assert re.search(r" s\naccuracy 0.9", start_page) and "A short lesson: <code>make KO=1</code>" in start_page
    out, err = capsys.readouterr()
    assert out.startswith("1-good: ") and " s, page: build/en/1-good.html\n    accuracy 0.9\n" in out
    # Progress bars are shown in the terminal, and not on the page.
    assert "1-good: 100%" in err and "3/3" in err and "numbers" in err
    assert outputs(notebook)["bar"] == []


def test_a_lesson_that_fails_is_named_with_its_cell_and_line_and_leaves_no_page(course, capsys):
    assert execute.main(["en", "2-bad"]) == 1
    err = capsys.readouterr().err
    assert err[err.index("2-bad stopped") :].splitlines() == [
        "2-bad stopped in the cell load",
        "    ----> 3 open(folder / 'weights.txt')",
        "    FileNotFoundError: [Errno 2] No such file or directory: 'notebooks/en/weights.txt'",
        "the run up to there: build/en/2-bad.ipynb",
    ]
    files = [path.name for path in (course / "build").rglob("*.*")]
    assert sorted(files) == ["1-good.html", "1-good.ipynb", "2-bad.ipynb"]
    done = outputs(course / "build" / "en" / "2-bad.ipynb")
    assert done["before"][0]["text"] == "fine so far\n" and done["load"][0]["ename"] == "FileNotFoundError"


def test_outputs_are_stored_unless_the_lesson_fails(course, monkeypatch, capsys):
    monkeypatch.setenv("TORCHNLP_DATA", "a folder")
    good, bad = (course / "notebooks" / "en" / f"{name}.ipynb" for name in LESSONS)
    before = bad.read_bytes()
    assert execute.main(["--store", "en"]) == 1
    out, err = capsys.readouterr()
    assert "outputs stored in notebooks/en/1-good.ipynb" in out and "2-bad stopped in the cell load" in err
    assert outputs(good)["numbers"][0]["text"] == "accuracy 0.9\n"
    assert "seconds" not in nbformat.read(good, as_version=4).metadata
    assert bad.read_bytes() == before
    assert not list(course.rglob("index.html"))


def test_ctrl_c_says_where_it_stopped_and_keeps_what_was_finished(course, capsys):
    interrupt = "import os, signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(600)"
    bad = course / "notebooks" / "en" / "2-bad.ipynb"
    notebook = nbformat.read(bad, as_version=4)
    notebook.cells[-1].source = interrupt
    nbformat.write(notebook, bad)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt, match="2-bad stopped in the cell load"):
            execute.main(["en"])
    finally:
        signal.signal(signal.SIGINT, before)
    build = course / "build" / "en"
    assert outputs(build / "1-good.ipynb")["numbers"] and (build / "2-bad.html").read_text() == "of an earlier run"
    assert "en/1-good.html" in (course / "build" / "index.html").read_text(encoding="utf-8")
    assert [path.name for path in build.iterdir() if path.name.startswith(".")] == []


def test_a_kernel_that_does_not_start_is_said_without_a_traceback(course, monkeypatch, capsys):
    late = "import sys, time\nif any('ipykernel' in part for part in sys.orig_argv):\n    time.sleep(20)\n"
    (course / "sitecustomize.py").write_text(late)  # Python runs it first of all
    monkeypatch.setenv("PYTHONPATH", str(course))
    monkeypatch.setattr(execute, "START_TIMEOUT", 1)
    assert execute.main(["en", "1-good"]) == 1
    err = capsys.readouterr().err
    assert "1-good stopped before its first cell\n    its kernel did not start" in err and "Traceback" not in err


def at_once(arguments, count=1):
    """The exit codes of as many runs of execute.py, each in a process of its own, which inherits what is patched."""
    runs = [multiprocessing.get_context("fork").Process(target=execute.main, args=(arguments,)) for _ in range(count)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(120)
    return [run.exitcode for run in runs]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_killed_while_it_stores_outputs_no_notebook_is_lost_and_the_next_run_stores_them(course, monkeypatch):
    monkeypatch.setenv("TORCHNLP_DATA", "a folder")
    good, bad = (course / "notebooks" / "en" / f"{name}.ipynb" for name in LESSONS)
    notebook = nbformat.read(bad, as_version=4)
    notebook.cells[-1].source = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)"
    nbformat.write(notebook, bad)
    before = bad.read_bytes()
    assert at_once(["--store", "en"]) == [-signal.SIGKILL]
    assert outputs(good)["numbers"][0]["text"] == "accuracy 0.9\n" and bad.read_bytes() == before
    notebook.cells[-1].source = "print('mended')"
    nbformat.write(notebook, bad)
    assert at_once(["--store", "en"]) == [0] and outputs(bad)["load"][0]["text"] == "mended\n"
    assert sorted(path.name for path in good.parent.iterdir()) == ["1-good.ipynb", "2-bad.ipynb"]


@pytest.mark.skipif(os.name == "nt", reason="there is no fork on Windows")
def test_two_runs_at_once_leave_whole_pages(course):
    assert at_once(["en", "1-good"], 2) == [0, 0]
    build = course / "build" / "en"
    assert outputs(build / "1-good.ipynb")["numbers"][0]["text"] == "accuracy 0.9\n"
    assert (build / "1-good.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in course.rglob(".*")] == []


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--store", "en"], {}, "set TORCHNLP_DATA to the folder with its files"),
        (["--store", "en"], {"TORCHNLP_DATA": "sample"}, "set TORCHNLP_DATA to the folder with its files"),
        (["en", "1-good", "9-gpt"], {}, "there is no lesson 9-gpt; expected one of 1-good, 2-bad"),
    ],
)
def test_what_cannot_be_run_or_stored_is_refused_at_once(arguments, environment, message, course, monkeypatch, capsys):
    monkeypatch.setattr(execute.os, "environ", environment)
    monkeypatch.delattr(execute, "execute")
    with pytest.raises(SystemExit):
        execute.main(arguments)
    assert message in capsys.readouterr().err


def test_an_error_is_described_without_colours_or_folders(monkeypatch):
    monkeypatch.setattr(execute, "ROOT", "/somewhere/course")
    traceback = "\x1b[31m----> 2\x1b[39m train()\n\x1b[31m---> 99\x1b[39m raise"
    value = "\x1b[1m/somewhere/course/bert is empty\n" + "more\n" * 20
    error = execute.CellExecutionError(traceback, "OSError", value)
    assert execute.describe(error) == "----> 2 train()\nOSError: bert is empty" + "\nmore" * 4
    assert "its kernel died" in execute.describe(execute.DeadKernelError("Kernel died"))
    assert execute.describe(execute.CellTimeoutError("")) == "it ran for more than 1200 seconds"
