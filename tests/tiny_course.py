"""A course as start.py sees it, of two tiny packages that install without a network."""

import os
import shutil
import subprocess
import sys
import zipfile

import start
from course.notebooks import ROOT

MINUTE = 60
BACKEND = """
import base64, zipfile
def build_editable(folder, *rest):
    with zipfile.ZipFile(f"{folder}/tiny-1-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
    return "tiny-1-py3-none-any.whl"
"""


def files_of(package, version, needs=()):
    info = f"{package}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {f"{package}.py": "", f"{info}/METADATA": metadata}
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    return files


def make_course(folder):
    """start.py beside the least that it installs: a package torch, and a course that needs it."""
    (folder / "wheels").mkdir(parents=True)
    (folder / "bert").mkdir()
    with zipfile.ZipFile(folder / "wheels" / "torch-2.0-py3-none-any.whl", "w") as wheel:
        for name, text in files_of("torch", "2.0").items():
            wheel.writestr(name, text)
    shutil.copy(ROOT / "start.py", folder)
    (folder / "bert" / "prepare.py").write_text("print('weights are in place')")
    (folder / "requirements.txt").write_text("torch==2.0  # a reason\n")
    (folder / "requirements.lock").write_text("torch==2.0\n")
    backend = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "pyproject.toml").write_text(backend + '[project]\nname = "tiny"\nversion = "1"\n')
    (folder / "backend.py").write_text(f"FILES = {files_of('tiny', '1', ['torch==2.0'])!r}\n{BACKEND}")
    return folder


def command(course, *words):
    pip = {"NO_INDEX": "1", "FIND_LINKS": (course / "wheels").as_uri(), "NO_CACHE_DIR": "1", "CONFIG_FILE": os.devnull}
    return {
        "args": [sys.executable, course / "start.py", *words],
        "env": os.environ | {f"PIP_{name}": value for name, value in pip.items()},
        "text": True,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }


def run(course, *words):
    return subprocess.run(**command(course, *words), timeout=3 * MINUTE)


def is_set_up(course):
    python = course / ".venv" / start.PYTHON.relative_to(start.VENV)
    return subprocess.run([python, "-c", "import torch, tiny"], timeout=MINUTE).returncode == 0
