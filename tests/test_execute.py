"""scripts/execute.py, which `make` runs: tiny notebooks of our own, each in a real kernel."""

import io
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import execute
import pages

GOOD = {
    "title": "# A short lesson",
    "bar": "from tqdm.notebook import tqdm\nfor _ in tqdm(range(3)):\n    pass",
    "numbers": "print('accuracy 0.9')",
}
BAD = {
    "title": "# A lesson that fails",
    "before": "print('fine so far')",
    "load": "from pathlib import Path\nfolder = Path.cwd()\nopen(folder / 'weights.txt')",
    "never": "print('never')",
}


def write_lesson(path, cells):
    notebook = new_notebook(cells=[new_markdown_cell(cells["title"], id="title")])
    for name, source in list(cells.items())[1:]:
        stored = [new_output("stream", text="stored\n")]
        tags = ["result"] if name == "numbers" else []
        notebook.cells.append(new_code_cell(source, id=name, outputs=stored, metadata={"tags": tags}))
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def make_course(root, patch):
    """A course of a lesson that runs, 1-good, and one that fails, 2-bad."""
    for language in ("en", "ko"):
        write_lesson(root / "notebooks" / language / "1-good.ipynb", GOOD)
        write_lesson(root / "notebooks" / language / "2-bad.ipynb", BAD)
    patch.setattr(execute, "ROOT", root)
    for module in (execute, pages):
        patch.setattr(module, "NOTEBOOKS", root / "notebooks")
        patch.setattr(module, "LESSONS", ["1-good", "2-bad"])
    patch.setattr(execute, "SOLUTIONS", [])
    patch.setattr(pages, "BUILD", root / "build")


def run(*arguments):
    """The exit code of a run and what it printed."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = execute.main(arguments)
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """A run of both lessons, over the pages of an earlier run; `results` is the folder of what it wrote."""
    root = tmp_path_factory.mktemp("course")
    results = root / "build" / "en"
    results.mkdir(parents=True)
    for name in ("1-good", "2-bad"):
        (results / f"{name}.html").write_text("of an earlier run")
    with pytest.MonkeyPatch.context() as patch:
        make_course(root, patch)
        ran = run("en")
    ran.results = results
    return ran


@pytest.fixture
def course(tmp_path, monkeypatch):
    make_course(tmp_path, monkeypatch)
    return tmp_path


def outputs(path):
    return {cell.id: cell.outputs for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"}


# --- a run of all lessons -------------------------------------------------------------------------------------------


def test_a_lesson_that_runs_leaves_its_outputs_and_a_page(make):
    notebook = nbformat.read(make.results / "1-good.ipynb", as_version=4)
    assert outputs(make.results / "1-good.ipynb")["numbers"][0]["text"] == "accuracy 0.9\n"
    assert 0 < notebook.metadata.seconds < 60
    page = (make.results / "1-good.html").read_text(encoding="utf-8")
    assert "A short lesson" in page and "accuracy 0.9" in page
    assert make.out.startswith("1-good: ") and " s, page: build/en/1-good.html\n    accuracy 0.9\n" in make.out


def test_progress_bars_are_shown_in_the_terminal_and_not_on_the_page(make):
    assert "1-good: 100%" in make.err and "3/3" in make.err and "numbers" in make.err
    assert outputs(make.results / "1-good.ipynb")["bar"] == []


def test_a_lesson_that_fails_is_named_with_its_cell_and_line(make):
    assert make.code == 1
    message = make.err[make.err.index("2-bad stopped") :].splitlines()
    assert message == [
        "2-bad stopped in the cell load",
        "    ----> 3 open(folder / 'weights.txt')",
        "    FileNotFoundError: [Errno 2] No such file or directory: 'notebooks/en/weights.txt'",
        "the run up to there: build/en/2-bad.ipynb",
    ]


def test_a_lesson_that_fails_leaves_no_page_but_what_it_did(make):
    assert sorted(path.name for path in make.results.iterdir()) == ["1-good.html", "1-good.ipynb", "2-bad.ipynb"]
    done = outputs(make.results / "2-bad.ipynb")
    assert done["before"][0]["text"] == "fine so far\n"
    assert done["load"][0]["ename"] == "FileNotFoundError"


def test_the_start_page_links_every_lesson_that_ran(course, monkeypatch):
    monkeypatch.setattr(execute, "execute", lambda path: (nbformat.read(path, as_version=4), ""))
    ran = run("en")
    start_page = (course / "build" / "index.html").read_text(encoding="utf-8")
    assert ran.code == 0 and "en/1-good.html" in start_page and "en/2-bad.html" in start_page


# --- storing --------------------------------------------------------------------------------------------------------


def test_outputs_are_stored_unless_the_lesson_fails(course, monkeypatch):
    monkeypatch.setenv("TORCHNLP_DATA", "a folder")
    good, bad = (course / "notebooks" / "en" / f"{name}.ipynb" for name in ("1-good", "2-bad"))
    before = bad.read_bytes()
    ran = run("--store", "en")
    assert outputs(good)["numbers"][0]["text"] == "accuracy 0.9\n"
    assert "seconds" not in nbformat.read(good, as_version=4).metadata
    assert ran.code == 1 and "2-bad stopped in the cell load" in ran.err and bad.read_bytes() == before
    assert "outputs stored in notebooks/en/1-good.ipynb" in ran.out and not (course / "build").exists()


@pytest.mark.parametrize("data", [None, "sample"])
def test_outputs_of_another_data_set_are_not_stored(course, monkeypatch, capsys, data):
    monkeypatch.delenv("TORCHNLP_DATA", raising=False)
    if data:
        monkeypatch.setenv("TORCHNLP_DATA", data)
    monkeypatch.delattr(execute, "execute")
    with pytest.raises(SystemExit):
        execute.main(["--store", "en"])
    assert "set TORCHNLP_DATA to the folder with its files" in capsys.readouterr().err


# --- errors ---------------------------------------------------------------------------------------------------------


def test_a_lesson_that_does_not_exist_is_named(course, monkeypatch, capsys):
    monkeypatch.delattr(execute, "execute")
    with pytest.raises(SystemExit):
        execute.main(["en", "1-good", "9-gpt"])
    assert "there is no lesson '9-gpt'; expected one of 1-good, 2-bad" in capsys.readouterr().err


def test_an_error_is_described_without_colours_or_folders(monkeypatch):
    monkeypatch.setattr(execute, "ROOT", "/somewhere/course")
    traceback = "\x1b[31m----> 2\x1b[39m train()\n\x1b[31m---> 99\x1b[39m raise"
    value = "\x1b[1m/somewhere/course/bert is empty\n" + "more\n" * 20
    error = execute.CellExecutionError(traceback, "OSError", value)
    assert execute.describe(error) == "----> 2 train()\nOSError: bert is empty" + "\nmore" * 4


def test_a_kernel_that_dies_or_a_cell_that_never_ends_is_described():
    assert "its kernel died" in execute.describe(execute.DeadKernelError("Kernel died"))
    assert execute.describe(execute.CellTimeoutError("")) == "it ran for more than 1200 seconds"
