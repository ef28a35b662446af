"""The course as an installed package, outside of its repository."""

import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser

import pytest

from course.notebooks import ROOT

pytestmark = pytest.mark.slow
USE = """
import course, torch
from course.exercises import check, progress
from course.heads import show_heads
from course.plots import plot_bars
from bert.masked_lm import load_masked_lm
import torchnlp
check("1.1", {"weight": 0.25, "result": 6, "shifted": 0.665})
check("1.3", lambda tokens, window: torch.ones(tokens, tokens, dtype=torch.bool))
print(show_heads(torch.ones(1, 1, 1, 1), ["word"]).data.count("function (box, data)"))
print(torchnlp.load_dataset(root="sample")[2])
print(course.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from what git knows, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("LICENSE", "README.md", "pyproject.toml", "requirements.txt", "torchnlp.py", "bert", "course"):
        source, target = ROOT / name, folder / "source" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "model.safetensors"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*build, "-w", folder, folder / "source"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return file


def test_it_requires_what_requirements_txt_lists(wheel):
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith("/METADATA"))
        required = Parser().parsestr(files.read(name).decode()).get_all("Requires-Dist")
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert sorted(required) == sorted(line.split("#")[0].strip() for line in lines if line)


def test_it_works_outside_of_the_repository(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path / "site")
    command = [sys.executable, "-c", USE]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": "site"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert said[0] == "✓ 1.1 solved" and said[1].startswith("✗ 1.3 not yet: row 0 may look at position 1")
    assert said[2] == "1" and "'World', 'Sports', 'Business', 'Sci/Tech'" in said[-2]
    assert str(tmp_path) in said[-1]
