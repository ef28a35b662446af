"""What the documents promise and what CI runs are the same commands; the house is built as it says."""

import ast
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import start
import translations
from course.language import LANGUAGES, SOURCE, TRANSLATIONS, document
from course.notebooks import LESSONS, ROOT, SOLUTIONS, code_cells, python, read

TRANSLATED = translations.documents()  # README and the guides of docs/
READMES = [document("README", language) for language in LANGUAGES]
DOCUMENTS = ["CONTRIBUTING.md", *(document(name, language) for name in TRANSLATED for language in LANGUAGES)]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tracked():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    if not listed:
        pytest.skip("not in a git checkout")
    return [path for path in listed if (ROOT / path).is_file()]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_of_the_documents_exists(name):
    targets = {*start.commands({}), "clean"}
    assert targets == {*re.search(r"^COMMANDS := (.*)", text("Makefile"), re.MULTILINE)[1].split(), "clean"}
    code = "\n".join(re.findall(r"```.*?```|`.*?`", text(name), re.DOTALL))
    assert set(re.findall(r"\bmake ([a-z]+)\b", code)) <= targets
    for script in re.findall(r"python ([\w/]+\.py)", text(name)):
        assert (ROOT / script).is_file(), script
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", text(name)):
        assert (ROOT / name).parent.joinpath(link).exists(), link


def test_ci_runs_the_test_command_of_the_readme():
    assert all("make test" in text(readme) for readme in READMES)
    assert text(".ci/run").rstrip().endswith("make test")


@pytest.mark.parametrize("language", TRANSLATIONS)
@pytest.mark.parametrize("name", TRANSLATED)
def test_a_document_has_the_same_commands_and_figures_in_every_language(name, language):
    both = [text(document(name, one)) for one in (SOURCE, language)]
    commands = [re.sub(r" *#.*", "", "\n".join(re.findall(r"```.*?```", one, re.DOTALL))) for one in both]
    assert commands[0] == commands[1]
    tables = ["\n".join(re.findall(r"^\|.*$", one, re.MULTILINE)) for one in both]
    tables = [re.findall(r"\d+(?:[.,]\d+)*", table) for table in tables]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_shows_every_folder_and_module_of_the_house(readme, tracked):
    tree = text(readme).split("```")[-2]
    tops = {path.split("/")[0] + "/" for path in tracked if "/" in path and not path.startswith(".")}
    inside = {Path(path).name for path in tracked if re.fullmatch(r"course/\w+\.py", path) and "__init__" not in path}
    assert [name for name in sorted(tops | inside) if name not in tree] == []


def requirements():
    return [line for line in text("requirements.txt").splitlines() if line and not line.startswith("#")]


def locked():
    """{name: version} of requirements.lock for this Python and system"""
    lines = [Requirement(line) for line in text("requirements.lock").splitlines() if not line.lstrip().startswith("#")]
    here = [line for line in lines if line.marker is None or line.marker.evaluate()]
    return {canonicalize_name(line.name): str(line.specifier).removeprefix("==") for line in here}


def test_requirements_are_pinned_and_each_has_its_reason():
    for line in requirements():
        assert re.fullmatch(r"[\w-]+==[\w.]+ +# .{5,}", line), line


def test_the_lock_fits_the_requirements():
    """Whoever changes requirements.txt runs `make lock`."""
    direct = [Requirement(line.split("#")[0]) for line in requirements()]
    lock, todo, seen = locked(), [(requirement, "") for requirement in direct], set()
    while todo:
        requirement, extra = todo.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        assert name in lock, f"requirements.lock lacks {name}: run make lock"
        assert requirement.specifier.contains(lock[name]), f"requirements.lock has {name} {lock[name]}: run make lock"
        if (name, frozenset(requirement.extras)) not in seen and _is_installed(name):
            seen.add((name, frozenset(requirement.extras)))
            below = [Requirement(line) for line in metadata.requires(name) or []]
            todo += [(line, extra) for line in below for extra in ("", *requirement.extras)]
    assert len(seen) > 100


def _is_installed(name):
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False  # of another system, or CUDA packages beside the CPU build of torch


def test_what_is_installed_is_what_the_lock_says():
    for name, version in locked().items():
        if _is_installed(name):
            assert metadata.version(name).split("+")[0] == version, f"{name}: run make setup"


ROOMS = {"torchnlp", "course", "bert", "tests", "scripts", "images"}


def imports_of(tree):
    """The project's own modules that a file imports, by their first name."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in names}


def test_imports_run_one_way(tracked):
    allowed = {"torchnlp.py": set(), "course": {"torchnlp", "course"}, "bert": {"course"}}
    in_tests = {Path(path).stem for path in tracked if path.startswith("tests/")}
    for path in tracked:
        if path.endswith(".py"):
            found = imports_of(ast.parse(text(path)))
            top = path.split("/")[0]
            assert found & ROOMS <= allowed.get(top, ROOMS - {"tests"}), path
            assert top == "tests" or not found & in_tests, path
    for language in LANGUAGES:
        for lesson in LESSONS + SOLUTIONS:
            for cell in code_cells(read(language, lesson)):
                assert imports_of(python(cell.source)) & ROOMS <= {"torchnlp", "course", "bert"}, (lesson, cell.id)


def test_code_names_no_language_by_hand(tracked):
    """A language is a folder of notebooks/; only course/language.py says from which one the others are translated."""
    named = re.compile("|".join(rf"[\"'/]{language}[\"'/]" for language in LANGUAGES))
    for path in tracked:
        if path.endswith((".py", ".js", ".j2", "Makefile")) and not path.startswith("tests/"):
            lines = re.sub(r'""".*?"""', "", text(path), flags=re.DOTALL).splitlines()
            found = [line for line in lines if named.search(line.split("#")[0]) and not line.startswith("SOURCE = ")]
            assert found == [], path


def test_no_file_of_code_is_longer_than_350_lines(tracked):
    lengths = {path: len(text(path).splitlines()) for path in tracked if path.endswith((".py", ".js", ".css", ".j2"))}
    assert {path: count for path, count in lengths.items() if count > 350} == {}


def test_committed_files_are_small_and_weights_are_not_among_them(tracked):
    for path in tracked:
        assert (ROOT / path).stat().st_size < 5_000_000, path
        if not path.startswith(("bert/mlm/", "play/")):  # trained here, and small
            assert not path.endswith((".safetensors", ".bin", ".pt", ".pkl", ".csv")), path
