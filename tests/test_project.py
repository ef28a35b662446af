"""What the README promises and what CI runs are the same commands."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from course.notebooks import ROOT

TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
TEXTS = [
    path for path in TRACKED if Path(path).suffix in {".md", ".py", ".toml", ".txt", ".ipynb"} or path == "Makefile"
]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


DOCUMENTS = ["README.md", "README.ko.md", "CONTRIBUTING.md", "docs/teaching.md", "docs/teaching.ko.md"]


@pytest.mark.parametrize("readme", DOCUMENTS)
def test_every_command_of_the_documents_exists(readme):
    targets = set(re.findall(r"^(\w+):", read("Makefile"), flags=re.MULTILINE))
    assert (
        set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(re.findall(r"```.*?```|`.*?`", read(readme), re.DOTALL))))
        <= targets
    )
    for script in re.findall(r"python ([\w/]+\.py)", read(readme)):
        assert (ROOT / script).is_file(), script
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", read(readme)):
        assert (ROOT / readme).parent.joinpath(link).exists(), link


def test_ci_runs_the_test_command_of_the_readme():
    assert "make test" in read("README.md") and "make test" in read("README.ko.md")
    assert read(".ci/run").rstrip().endswith("make test")


@pytest.mark.parametrize("name", ["README", "docs/teaching"])
def test_both_languages_of_a_document_have_the_same_commands_and_figures(name):
    english, korean = (read(name + ending) for ending in (".md", ".ko.md"))
    without_comments = [
        re.sub(r" *#.*", "", "\n".join(re.findall(r"```.*?```", text, re.DOTALL))) for text in (english, korean)
    ]
    assert without_comments[0] == without_comments[1]
    tables = ["\n".join(re.findall(r"^\|.*$", text, re.MULTILINE)) for text in (english, korean)]
    tables = [re.findall(r"\d+(?:[.,]\d+)*", table) for table in tables]
    assert tables[0] == tables[1]


def test_requirements_are_pinned_and_each_has_its_reason():
    lines = [line for line in read("requirements.txt").splitlines() if line and not line.startswith("#")]
    assert lines[-1].startswith("-e .")
    for line in lines[:-1]:
        assert re.fullmatch(r"[\w-]+==[\w.]+ +# .{5,}", line), line


def test_torchnlp_stays_small_and_imports_nothing_of_the_project():
    source = read("torchnlp.py")
    assert len(source.splitlines()) <= 470
    modules = {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert not modules & {"bert", "scripts", "tests", "notebooks", "images"}


def test_committed_files_are_small_and_weights_are_not_among_them():
    for path in TRACKED:
        assert (ROOT / path).stat().st_size < 5_000_000, path
        if not path.startswith("bert/mlm/"):  # trained here, and small
            assert not path.endswith((".safetensors", ".bin", ".pt", ".pkl", ".csv")), path


def test_every_picture_is_drawn_by_the_script_and_the_animation_is_small():
    names = set(re.findall(r'^    "(\S+\.(?:png|gif))":', read("images/draw.py"), re.MULTILINE))
    assert names == {Path(path).name for path in TRACKED if path.endswith((".png", ".gif"))}
    assert all((ROOT / "images" / name).stat().st_size < 1_000_000 for name in names)


def test_nothing_is_loaded_by_pickle():
    for path in TEXTS:
        if path.endswith((".py", ".ipynb")) and not path.startswith("tests/"):
            assert not re.search(r"\bpickle\.|torch\.load\(|torch\.save\(|joblib", read(path)), path
