"""Set the course up and run it, on Linux, macOS and Windows, with nothing but Python 3.11 to 3.14.

python start.py            set up, run every lesson from top to bottom, leave pages in build/
python start.py lab        open working copies of the lessons in JupyterLab; they are kept in work/
python start.py edit       open the lessons themselves, to change the course
python start.py slides     every lesson, in each language, as one HTML file to project, in build/slides/; SESSION=2: the
                           slides of one session of docs/sessions.toml
python start.py check      style and the quick tests, in a minute: no notebook, no training, no browser
python start.py test       run all tests: units, parity of the languages, every notebook
python start.py bench      measure speed and memory, write the tables of the READMEs (3 hours; QUICK=1: 3 minutes)
python start.py store      run the lessons and store their outputs in the notebooks, before a commit
python start.py lock       write requirements.lock again, after a change of requirements.txt
python start.py kit        a folder and a zip file from which the course installs without a network, in build/kit
python start.py handout    the course as students get it, without solutions, in build/handout.zip
python start.py collect    check the exercises in the notebooks of a class: collect FOLDER=path/to/notebooks
python start.py links      ask for every page that the READMEs and the lessons link to
python start.py support    which systems and Pythons the course can be installed on; writes the table of the READMEs
python start.py setup      set up, nothing more

Settings follow as in make: KO=1 takes the Korean lessons (and so on for each folder of notebooks/), CPU=1 or CUDA=1
that build of PyTorch (by default the one that fits the machine). What begins with "-" goes to the program:
python start.py lab --port=9000
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
READY = VENV / ".ready"  # what was installed; UNFINISHED while that goes on
UNFINISHED = "unfinished"
INSTALLED_FROM = ("requirements.txt", "requirements.lock", "pyproject.toml")

CPU_BUILDS = "https://download.pytorch.org/whl/cpu"
CUDA_BUILDS = "https://download.pytorch.org/whl/cu130"  # for Windows; on Linux the package index has them
DOWNLOAD, DOWNLOAD_CUDA = 0.5, 3.0  # gigabytes, read off in November 2026
ON_DISK, ON_DISK_CUDA = 2.2, 7.5


class Refused(Exception):
    """What is in the way, and what to do about it, in a sentence."""


def commands(settings: dict[str, str]) -> dict[str, list[list[str]]]:
    """{name: what it runs, one after the other, each with the Python of .venv}"""
    languages = [path.name for path in sorted((ROOT / "notebooks").glob("[!.]*")) if path.is_dir()]
    language = [name for name in languages if settings.get(name.upper())][:1]
    of_class = [f"--language={name}" for name in language] + [
        settings[name] for name in ("FOLDER",) if name in settings
    ]
    style = [["-m", "ruff", "check"], ["-m", "ruff", "format", "--check"]]
    uv = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "uv==0.13.9"]
    pytest = ["-m", "pytest", "-n", "2", "--dist", "loadfile", "tests"]
    return {
        "setup": [],
        "lessons": [["scripts/execute.py", *language]],
        "lab": [["scripts/lab.py", *language]],
        "edit": [["scripts/lab.py", *language, "--edit"]],
        "slides": [["scripts/pages.py", *filter(None, [settings.get("SESSION")])]],
        "style": style,
        "check": [*style, [*pytest, "-m", "not slow and not browser"]],
        "test": [*style, [*pytest, "notebooks"]],
        "bench": [["scripts/benchmark.py", *(["--quick"] if settings.get("QUICK") else [])]],
        "store": [["scripts/execute.py", "--store", name] for name in languages],
        "kit": [uv, ["scripts/pages.py"], ["scripts/kit.py"]],
        "handout": [["scripts/handout.py"]],
        "collect": [["scripts/collect.py", *of_class]],
        "links": [["scripts/links.py"]],
        "support": [uv, ["scripts/support.py"]],
        "lock": [
            uv,
            ["-m", "uv", "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--no-annotate"]
            + ["--custom-compile-command", "make lock", "requirements.txt", "-o", "requirements.lock"],
        ],
    }


def main(words: list[str]) -> int:
    options = [word for word in words if word.startswith("-")]
    given = dict(word.split("=", 1) for word in words if "=" in word and word not in options)
    names = [word for word in words if "=" not in word and word not in options] or ["lessons"]
    settings = {**os.environ, **given}
    try:
        if {"-h", "--help"} & set(options):
            print(__doc__)
            return 0
        if len(names) > 1 or names[0] not in commands(settings):
            raise Refused(f"there is no command {' '.join(names)!r}; python start.py --help lists them")
        return run(names[0], options, settings)
    except Refused as reason:
        print(f"start.py: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(name: str, options: list[str], settings: dict[str, str]) -> int:
    environment = {**settings, "PYTHONUTF8": "1", **home(settings)}
    steps = commands(settings)[name]
    for word in (word for step in steps for word in step if word == "tests" or word.endswith(".py")):
        if not (ROOT / word).exists():
            raise Refused(f"this copy of the course has no {word}: {name} is for who teaches it")
    set_up(settings, environment)
    for step in steps:
        program = str(ROOT / step[0]) if step[0].endswith(".py") else step[0]
        code = call([str(PYTHON), program, *step[1:], *(options if step is steps[-1] else [])], ROOT, environment)
        if code:
            return code if code > 0 else 130
    return 0


def call(command: list[str], folder: Path, environment: dict[str, str], *keep_open: int) -> int:
    """Run a program to its end. After Ctrl-C too: the terminal tells it as well, and it may have to tidy up."""
    passed = {"pass_fds": keep_open} if keep_open and os.name != "nt" else {}
    with subprocess.Popen(command, cwd=folder, env=environment, **passed) as program:
        while True:
            try:
                return program.wait()
            except KeyboardInterrupt:
                continue


def home(settings: dict[str, str]) -> dict[str, str]:
    """Another home folder if this one cannot be written: Jupyter and pip keep their caches in it."""
    folder = Path(settings.get("HOME", ""))
    if os.name == "nt" or (folder.is_dir() and os.access(folder, os.W_OK)):
        return {}
    place = tempfile.mkdtemp(prefix="course-home-")
    print(f"The home folder {str(folder)!r} cannot be written: caches go to {place}")
    return {"HOME": place}


# --- set-up -----------------------------------------------------------------------------------------------------------


def set_up(settings: dict[str, str], environment: dict[str, str]) -> None:
    """Install what the course needs into .venv, unless that is done, and put the weights into bert/."""
    build = "cuda" if settings.get("CUDA") else "cpu" if settings.get("CPU") else ""
    if not is_ready(build):
        check_system()
        with locked() as lock:
            if not is_ready(build):  # another start.py may have done it meanwhile
                install(build, environment, lock)
    if call([str(PYTHON), str(ROOT / "bert" / "prepare.py")], ROOT, environment):
        raise Refused("bert/ could not be filled; the line above says why")


def is_ready(build: str) -> bool:
    """Whether .venv holds what the files ask for, and the build of PyTorch that is asked for ("" takes any)."""
    done = READY.read_text(encoding="utf-8").split() if READY.is_file() else []
    return len(done) == 2 and done[0] == fingerprint() and build in ("", done[1])


def fingerprint() -> str:
    files = b"".join((ROOT / name).read_bytes().replace(b"\r\n", b"\n") for name in INSTALLED_FROM)
    return hashlib.sha256(files).hexdigest()


def check_system() -> None:
    if not (3, 11) <= sys.version_info[:2] <= (3, 14):
        raise Refused(f"this is Python {sys.version.split()[0]}; the course needs 3.11 to 3.14")
    if (sys.platform == "darwin" and platform.machine() == "x86_64") or sysconfig.get_platform() == "win-arm64":
        raise Refused("there is no PyTorch 2.13 for Intel Macs, nor for the ARM Python of Windows")
    if not os.access(ROOT, os.W_OK):
        raise Refused(f"{ROOT} is not set up, and you cannot write there; its owner has to run: python start.py setup")


@contextmanager
def locked():
    """One set-up at a time; the system lets go of the lock when a process ends, however that happens."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / ".set-up.lock").open("a") as file:
        if not lock(file):
            print("Another set-up is going on in this folder; waiting for it.", flush=True)
            while not lock(file):
                time.sleep(0.5)
        yield file.fileno()


def lock(file) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def install(build: str, environment: dict[str, str], lock: int) -> None:
    """Fill .venv. What a run that was killed left behind, or one with another PyTorch, is deleted first."""
    before = READY.read_text(encoding="utf-8").split() if READY.is_file() else []
    if before and (len(before) < 2 or build not in ("", before[1])):
        print(
            "Making .venv anew: " + ("another build of PyTorch" if len(before) > 1 else "the last set-up did not end")
        )
        remove(VENV)
    build = build or ("cuda" if has_nvidia() else "cpu")
    gigabytes, on_disk = (DOWNLOAD_CUDA, ON_DISK_CUDA) if build == "cuda" else (DOWNLOAD, ON_DISK)
    free = shutil.disk_usage(ROOT).free / 1e9
    if not PYTHON.exists() and free < on_disk:
        raise Refused(f"set-up takes {on_disk} GB on the disk, and only {free:.1f} GB are free")
    source = "nothing to download" if "PIP_NO_INDEX" in environment else f"about {gigabytes} GB to download"
    print(f"Setting up in .venv, once: {source}, {on_disk} GB on the disk.")
    print(f"PyTorch: the {'CUDA' if build == 'cuda' else 'CPU'} build (CPU=1 or CUDA=1 overrule).", flush=True)
    try:
        VENV.mkdir(exist_ok=True)
        READY.write_text(UNFINISHED, encoding="utf-8")
        steps = [[getattr(sys, "_base_executable", sys.executable), "-m", "venv", str(VENV)]]
        pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
        if index := index_of_torch(build, environment):
            steps.append([*pip, "--no-deps", "--index-url", index, torch_requirement()])
        steps.append([*pip, "-c", "requirements.lock", "-e", "."])
        for step in steps:
            if call(step, ROOT, environment, lock):
                raise Refused("set-up did not end; the lines above say why. Run the same command again")
        READY.write_text(f"{fingerprint()} {build}", encoding="utf-8")
    except OSError as error:
        raise Refused(f"set-up did not end: {error}. Run the same command again") from None


def remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise Refused(f"{folder} cannot be deleted ({error}); close what runs from it, and try again") from None


def has_nvidia() -> bool:
    """Whether the driver of an NVIDIA GPU answers. On Windows and macOS pip's PyTorch is the CPU build anyway."""
    if not sys.platform.startswith("linux") or not shutil.which("nvidia-smi"):
        return False
    return subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout[:3] == b"GPU"


def index_of_torch(build: str, environment: dict[str, str]) -> str | None:
    """The index with this build of PyTorch; None stands for pip's own.

    That one has CUDA builds for Linux, and CPU builds for Windows and macOS.
    """
    wanted = {("linux", "cpu"): CPU_BUILDS, ("win32", "cuda"): CUDA_BUILDS}.get((sys.platform, build))
    if wanted is None or "PIP_NO_INDEX" in environment:
        return None
    try:
        urllib.request.urlopen(f"{wanted}/torch/", timeout=5).close()
    except OSError as error:
        print(f"{wanted} is out of reach ({error}): PyTorch comes from pip's own index, on most machines with CUDA.")
        return None
    return wanted


def torch_requirement() -> str:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return next(line.split("#")[0].strip() for line in lines if line.startswith("torch=="))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
