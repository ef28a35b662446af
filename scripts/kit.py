"""A kit from which the course installs without a network: build/kit/ for a USB stick or a LAN, and build/kit.zip.

python scripts/kit.py                       packages for this system and this Python
python scripts/kit.py --for=windows-3.12    for others too: linux-3.12, linux-arm-3.12, windows-3.12, macos-3.13 ...
python scripts/kit.py --students            without what handout.py leaves out: solutions, notes for instructors, tests

It holds the files of the repository, the pages and slides that were made before, every package of requirements.lock
(the weights and the offline sample are among them), and install.py. It is there whole or not at all.
"""

import argparse
import datetime
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import handout
from course.files import PARTIAL, delete_partial, sha256
from course.language import LANGUAGES
from course.notebooks import ROOT

BUILD = ROOT / "build"
SCRIPTS = ROOT / "scripts"
OTHERS = {  # {system: (as uv calls it, as pip calls it, as install.py calls it)}
    "linux": (
        "x86_64-manylinux_2_28",
        ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64"],
        "linux-x86_64",
    ),
    "linux-arm": (
        "aarch64-manylinux_2_28",
        ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"],
        "linux-arm64",
    ),
    "windows": ("x86_64-pc-windows-msvc", ["win_amd64"], "win32-x86_64"),
    "macos": ("aarch64-apple-darwin", ["macosx_14_0_arm64"], "darwin-arm64"),
}
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


class KitError(Exception):
    """What keeps the kit from being made, in a sentence."""


def copy_course(target: Path, students: bool) -> None:
    """The files that git knows, as they are now, and what was built from them; for students what the handout holds."""
    names = handout.for_students() if students else handout.tracked()
    built = re.compile(rf"({'|'.join([*LANGUAGES, 'slides'])})/[^/]+|index\.html")
    pages = [path for path in BUILD.rglob("*") if built.fullmatch(relative(path, BUILD))]
    for name in names + [relative(path, ROOT) for path in pages if path.is_file()]:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(handout.as_students_get_it(name) if students else (ROOT / name).read_bytes())
    print(f"{len(names)} files of the repository, {len(pages)} pages and slides")


def relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def pip(*arguments: str) -> None:
    if subprocess.call([*PIP, *arguments], cwd=ROOT):
        raise KitError("pip could not get every package; its lines above say which")


def collect_wheels(target: Path) -> None:
    """Packages for this system and Python: PyTorch as start.py takes it, the others built if need be."""
    start = runpy.run_path(str(ROOT / "start.py"))
    index = start["index_of_torch"]("cuda" if start["has_nvidia"]() else "cpu", dict(os.environ))
    if index:
        pip("download", "-q", "--no-deps", "--index-url", index, "-d", str(target), start["torch_requirement"]())
    pip("wheel", "-q", "--find-links", target.as_uri(), "-c", "requirements.lock", "-r", "requirements.txt",
        "setuptools", "-w", str(target))  # fmt: skip


def collect_others(target: Path, system: str, python: str) -> None:
    """Packages for another system or Python, as uv resolves them for it."""
    uv_name, tags, _ = OTHERS[system]
    resolve = [sys.executable, "-m", "uv", "pip", "compile", "-q", "--no-header", "--no-annotate"]
    resolve += ["--python-platform", uv_name, "--python-version", python, "-c", "requirements.lock", "requirements.txt"]
    settings = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
    done = subprocess.run(resolve, cwd=ROOT, env=settings, capture_output=True, text=True)
    if done.returncode:
        raise KitError(f"there are no packages for {system}, Python {python}: {done.stderr.strip()}")
    download = ["download", "-q", "--no-deps", "--only-binary", ":all:", "--python-version", python, "-d", str(target)]
    for tag in tags:
        download += ["--platform", tag]
    packages = done.stdout.split()
    if system.startswith("linux"):  # pip's own index has CUDA builds for it
        packages = [name for name in packages if not re.match("torch==|nvidia-|cuda-|triton==", name)]
        torch = next(name for name in done.stdout.split() if name.startswith("torch=="))
        pip(*download, "--index-url", runpy.run_path(str(ROOT / "start.py"))["CPU_BUILDS"], torch)
    pip(*download, *packages)


def seal(kit: Path, systems: list[str]) -> float:
    """Write kit.json, the list of all files with their checksums, and return the size in megabytes."""
    files = {
        relative(path, kit): [path.stat().st_size, sha256(path)] for path in sorted(kit.rglob("*")) if path.is_file()
    }
    content = {"made": f"{datetime.date.today()}", "for": systems, "files": files}
    (kit / "kit.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    return sum(size for size, _ in files.values()) / 1e6


def pack(kit: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:  # not compressed: most of it is
        for path in sorted(kit.rglob("*")):
            archive.write(path, Path("kit") / path.relative_to(kit))


def make(others: list[str], students: bool = False) -> None:
    wanted = [re.fullmatch(r"(.+)-(3\.\d+)", name) for name in others]
    if unknown := [name for name, found in zip(others, wanted, strict=True) if not found or found[1] not in OTHERS]:
        raise KitError(f"--for={unknown[0]}: expected {', '.join(OTHERS)}, then a Python, such as windows-3.12")
    BUILD.mkdir(exist_ok=True)
    delete_partial(BUILD, older_than=3600)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix=PARTIAL) as name:
        kit = Path(name) / "kit"
        copy_course(kit / "course", students)
        (kit / "wheels").mkdir()
        print("Collecting packages, 0.5 GB for each system...", flush=True)
        collect_wheels(kit / "wheels")
        for found in wanted:
            collect_others(kit / "wheels", *found.groups())
        shutil.copyfile(SCRIPTS / "install.py", kit / "install.py")
        here = runpy.run_path(str(SCRIPTS / "install.py"))["here"]()
        megabytes = seal(kit, [here, *(f"{OTHERS[found[1]][2]}-{found[2]}" for found in wanted)])
        pack(kit, Path(name) / "kit.zip")
        if (BUILD / "kit").exists():
            os.replace(BUILD / "kit", Path(name) / "old")
        os.replace(kit, BUILD / "kit")
        os.replace(Path(name) / "kit.zip", BUILD / "kit.zip")
    print(f"The kit: {megabytes:.0f} MB in build/kit/, and the same in build/kit.zip")
    print("To install from it: python3 build/kit/install.py FOLDER")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="others", action="append", default=[], metavar="SYSTEM-PYTHON")
    parser.add_argument("--students", action="store_true", help="without solutions and notes for instructors")
    options = parser.parse_args()
    try:
        make(options.others, options.students)
    except (KitError, handout.NotACheckout, OSError) as error:
        sys.exit(f"scripts/kit.py: no kit was made: {error}")


if __name__ == "__main__":
    main()
