"""Working copies of the lessons, and JupyterLab on them.

python scripts/lab.py en           copy the lessons to work/, and open the English ones
python scripts/lab.py en --edit    open the lessons themselves, to change the course
python scripts/lab.py --copy       only copy

A copy that nobody changed follows the course; one with answers in it stays as it is, so that an update never meets
them. Where the course cannot be written, as on a class server, work/ lies in attention-course/ in the home folder.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from course.files import atomic_write, write_json
from course.language import LANGUAGES, SOURCE

ROOT = Path(__file__).resolve().parent.parent
OPENED_BY_LESSONS = ("bert", "images", "scripts")


def copy_lessons(root: Path, home: Path) -> Path:
    """Bring the working copies up to date, and return the folder in which work/ lies."""
    folder = root
    if not os.access(root, os.W_OK):
        folder = home / "attention-course"
        folder.mkdir(parents=True, exist_ok=True)
        for name in OPENED_BY_LESSONS:
            link(folder / name, root / name)
    record = folder / "work" / ".copied.json"  # {copy: SHA-256 of what was copied}
    copied = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    print(f"The lessons to open and change: {folder / 'work'}")
    for source in sorted((root / "notebooks").glob("*/**/*.ipynb")):
        name = source.relative_to(root / "notebooks").as_posix()
        copy, new = folder / "work" / name, source.read_bytes()
        old = copy.read_bytes() if copy.is_file() else None
        if old is None or digest(old) == copied.get(name):
            if old != new:
                with atomic_write(copy.parent) as partial:
                    (partial / copy.name).write_bytes(new)
            copied[name] = digest(new)
        elif new != old and digest(new) != copied.get(name):
            print(f"work/{name} has your changes and stays. The course has a newer one: rename yours to get it too")
    write_json(record, copied)
    return folder


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def link(place: Path, target: Path) -> None:
    """A symbolic link, or a copy where the system has none (Windows)."""
    if place.is_symlink() and not place.exists():
        place.unlink()  # the course has moved
    if not place.exists():
        try:
            place.symlink_to(target, target_is_directory=True)
        except OSError:
            shutil.copytree(target, place)


def open_lab(folder: Path, start: str, options: list[str]) -> None:
    """JupyterLab until it is stopped, without its question about news: scripts/jupyter/ answers it."""
    settings = [str(ROOT / "scripts" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, settings))
    from jupyterlab.labapp import main as jupyter_lab  # it reads the environment

    options = [f"--LabApp.default_url=/lab/tree/{start}", *options]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # JupyterLab refuses root, which is the rule in a container
        options += ["--allow-root", "--no-browser"]
        print("As root (in a container?): open the address below. To reach it from outside: make lab IP=0.0.0.0")
    if ip := os.environ.get("IP"):
        options.append(f"--ip={ip}")
    os.chdir(folder)
    jupyter_lab(options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", nargs="?", choices=LANGUAGES, default=SOURCE)
    parser.add_argument("--edit", action="store_true", help="open the lessons themselves")
    parser.add_argument("--copy", action="store_true", help="only copy")
    options, of_jupyter = parser.parse_known_args()
    try:
        folder = ROOT if options.edit else copy_lessons(ROOT, Path.home())
    except OSError as error:
        sys.exit(f"scripts/lab.py: the lessons cannot be copied: {error}")
    if not options.copy:
        open_lab(folder, f"{'notebooks' if options.edit else 'work'}/{options.language}", of_jupyter)


if __name__ == "__main__":
    main()
