"""Where the course can be installed: python scripts/support.py

uv resolves requirements.txt with requirements.lock for each system and Python, taking ready-made packages only. The
table is printed and written into the READMEs; where it says that the tests run, they run on that machine (CI).
"""

import datetime
import os
import platform
import re
import subprocess
import sys

from course.files import atomic_write
from course.language import LANGUAGES, WORDS, document
from course.notebooks import ROOT

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
SYSTEMS = {  # {name: (what uv calls it, sys.platform and platform.machine() there)}
    "Linux, x86-64": ("x86_64-manylinux_2_28", "linux x86_64"),
    "Linux, ARM": ("aarch64-manylinux_2_28", "linux aarch64"),
    "Windows, x86-64": ("x86_64-pc-windows-msvc", "win32 AMD64"),
    "Windows, ARM": ("aarch64-pc-windows-msvc", "win32 ARM64"),
    "macOS 14, Apple silicon": ("aarch64-apple-darwin", "darwin arm64"),
    "macOS, Intel": ("x86_64-apple-darwin", "darwin x86_64"),
}
MARKS = "<!-- make support -->", "<!-- end of make support -->"


def resolves(system: str, python: str) -> bool:
    """Whether there is a package for everything. Raises RuntimeError if the index cannot be reached."""
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "-q",
        "--only-binary",
        ":all:",
        "--python-platform",
        system,
    ]
    command += ["--python-version", python, "-c", "requirements.lock", "requirements.txt"]
    settings = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=600)
    if done.returncode and "No solution found" not in done.stderr:
        raise RuntimeError(done.stderr.strip())
    return done.returncode == 0


def measure() -> dict[str, list[str]]:
    """{system: "run", "resolves" or "no" for each Python}"""
    here = f"{sys.platform} {platform.machine()}", ".".join(platform.python_version_tuple()[:2])
    table = {}
    for name, (system, machine) in SYSTEMS.items():
        table[name] = []
        for python in PYTHONS:
            print(f"{name}, Python {python}", file=sys.stderr)
            found = resolves(system, python)
            table[name].append("run" if found and (machine, python) == here else "resolves" if found else "no")
    return table


def write(table: dict[str, list[str]], language: str) -> str:
    """The table in a language, written into its README."""
    words, readme = WORDS[language]["support"], document("README", language)
    torch = re.search(r"^torch==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]
    lines = [words["date"].format(date=datetime.date.today(), torch=torch), ""]
    lines += [words["head"].format(" | ".join(PYTHONS)), "| --- |" + " --- |" * len(PYTHONS)]
    lines += [f"| {name} | {' | '.join(words[cell] for cell in cells)} |" for name, cells in table.items()]
    text = (ROOT / readme).read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    with atomic_write(ROOT) as folder:
        new = "\n".join([before + MARKS[0], *lines, MARKS[1] + rest.split(MARKS[1])[1]])
        (folder / readme).write_text(new, encoding="utf-8")
    return "\n".join(lines)


def main() -> None:
    try:
        table = measure()
        print([write(table, language) for language in LANGUAGES][0])
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        sys.exit(f"scripts/support.py: uv could not ask the package index:\n{error}")
    except OSError as error:
        sys.exit(f"scripts/support.py: {error}; the tables are as before")


if __name__ == "__main__":
    main()
