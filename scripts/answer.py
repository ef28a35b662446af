"""Run the answers of one notebook, away from what checks them: judge.py starts this in a sandbox and talks to it.

It gets code and hidden inputs over the wire, and gives back what the code returns. Neither the checks nor the
solutions are here, so nothing that an answer does to this process makes it right.
"""

import os
import re
import sys
import types
from pathlib import Path

from course.notebooks import python
from wire import ANSWER, Wire, remember

FILE_MEGABYTES = 100
# what Python reports before it does it (https://docs.python.org/3/library/audit_events.html), and is refused
REFUSED = re.compile(
    r"(os\.(remove|rename|rmdir|mkdir|link|symlink|truncate|ch(mod|own|flags)|kill|killpg|fork|forkpty|exec|spawn|"
    r"posix_spawn|system|startfile|utime|setxattr|removexattr|lockf)|resource\.setrlimit|resource\.prlimit)$|"
    r"(shutil|subprocess|pty|socket|ctypes|sqlite3|winreg|_winapi|webbrowser|ftplib|smtplib|urllib)\."
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
names: dict = {}  # what every answer begins with: the imports of the lesson


def prepare(imports: list[str], hidden: list[str], gigabytes: float) -> None:
    """Import what the lesson imports, then set the limits."""
    given = types.ModuleType("course.exercises")
    given.check = given.progress = lambda *values: None
    sys.modules["course.exercises"] = given
    names["display"] = print  # as in a notebook
    for code in imports:
        exec(compile(python(code), "imports", "exec"), names)
    try:
        import resource
    except ImportError:  # Windows: judge.py alone sees to it
        pass
    else:
        memory = int(gigabytes * 2**30)
        for kind, limit in (
            (resource.RLIMIT_DATA, memory),
            (resource.RLIMIT_FSIZE, FILE_MEGABYTES * 2**20),
            (resource.RLIMIT_CORE, 0),
        ):
            most = resource.getrlimit(kind)[1]
            limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
            resource.setrlimit(kind, (limit, limit))
    guard([Path(folder) for folder in hidden])


def guard(hidden: list[Path]) -> None:
    """From now on Python refuses to write, to delete, to start programs, to connect, and to read hidden folders."""

    def look(event: str, details: tuple) -> None:
        if event == "open" and isinstance(details[0], (str, bytes)):
            path = Path(os.path.abspath(os.fsdecode(details[0])))
            writes = details[2] & WRITES and str(path) != os.devnull
            if writes or any(path.is_relative_to(folder) for folder in hidden):
                raise PermissionError(f"an answer may not {'write' if writes else 'read'} {path.name}")
        elif REFUSED.match(event):
            raise PermissionError(f"an answer may not use {event}")

    sys.addaudithook(look)


def answer(before: str, code: str, check: str) -> list:
    """What the check of an exercise is given, after the student's code has run."""
    given, here = [], dict(names)
    here["check"] = lambda *values: given.extend(values)
    remember(code)
    for name, source in (("before", before), (ANSWER, code), ("check", check)):
        exec(compile(python(source), name, "exec"), here)
    return given


def main() -> None:
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    with open(os.devnull, "r+b") as nothing:  # what students print or ask for does not get onto the wire
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
    wire = Wire(source.readline, target.write)
    wire.functions = [prepare, answer]
    wire.serve()


if __name__ == "__main__":
    main()
