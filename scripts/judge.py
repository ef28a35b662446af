"""Check the answers of one notebook: they run in a sandbox (answer.py), the checks and their hidden inputs stay here.

Where bubblewrap works, the sandbox has no network, sees no solutions, no checks and no other student's work, and can
write nowhere but in a temporary folder. Everywhere it has limits of time and memory, and answer.py refuses to write.
"""

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from pathlib import Path
from typing import NoReturn

import psutil

from course.exercises import examine, hint_text
from course.exercises.answers import Mistake, one_line
from course.language import SOURCE, WORDS
from course.notebooks import ROOT, sources
from wire import LONGEST, InputsChanged, RemoteError, Wire

START_SECONDS = 120  # for a sandbox to import what the lessons import
PROCESSES = 20  # more than bubblewrap and Python need
PREPARE, ANSWER = 0, 1  # the functions of answer.py
KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "SYSTEMROOT")  # of the environment: there may be passwords in it


class Ended(BaseException):
    """The sandbox was stopped, or stopped itself: a result and the name of the reason. No check may catch it."""


class CannotStart(Exception):
    """No sandbox starts on this machine, whatever the notebook."""


def bubblewrap(folder: str, hidden: list[str]) -> list[str]:
    """The command that runs a program in a sandbox, to be followed by the program."""
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--ro-bind", "/", "/", "--dev", "/dev", "--remount-ro", "/dev", "--proc", "/proc"]
    for place in hidden:
        command += ["--tmpfs", place]
    command += ["--bind", folder, folder, "--chdir", folder]
    return command + [word for place in hidden for word in ("--remount-ro", place)]


def tell(options: Namespace, reason: str, **values) -> str:
    """A reason in the language of the instructor."""
    limits = {"seconds": f"{options.seconds:g}", "gigabytes": f"{options.gigabytes:g}", "processes": PROCESSES}
    return WORDS[options.language]["class"]["reasons"][reason].format(**limits, **values)


def why_no_sandbox() -> str:
    """Empty if bubblewrap works on this machine, else the reason why it does not. It is tried."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            tried = subprocess.run([*bubblewrap(folder, []), "true"], capture_output=True, text=True, timeout=60)
        except OSError:
            return "bubblewrap is not installed"
        except subprocess.TimeoutExpired:
            return "bubblewrap does not answer"
    return f"bubblewrap does not work: {tried.stderr.strip()[:200]}" if tried.returncode else ""


def hidden_folders(students: Path) -> list[str]:
    """What no answer needs to see: solutions, checks, results, the work of others."""
    ours = [ROOT / name for name in (".git", "notebooks", "course/exercises", "tests", "build", "work")]
    needed = [ROOT, Path(sys.prefix), Path(sys.base_prefix)]
    return [
        str(place)
        for place in [*ours, students.resolve()]
        if place.is_dir() and not any(one.resolve().is_relative_to(place) for one in needed)
    ]


class Sandbox(Wire):
    """A process for the answers of one notebook.

    Raises:
        CannotStart: it does not come as far as the answers.
    """

    def __init__(self, lesson: str, options: Namespace):
        super().__init__(self.next_line, self.send)
        self.lesson, self.options, self.ours = lesson, options, sources(SOURCE, f"solutions/{lesson}")
        self.folder = tempfile.TemporaryDirectory(dir=options.place, ignore_cleanup_errors=True)
        place = os.path.realpath(self.folder.name)
        command = [sys.executable, "-B", str(ROOT / "scripts" / "answer.py")]
        if options.bubblewrap:
            command = [*bubblewrap(place, options.hidden), *command]
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= dict.fromkeys(
            ["HOME", "TMPDIR", "TEMP", "TMP", "MPLCONFIGDIR", "IPYTHONDIR"], place
        )  # all that is written
        environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "agg", "PYTHONUTF8": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, cwd=place, env=environment, **pipes)
        self.lines: queue.Queue[bytes] = queue.Queue(maxsize=4)
        threading.Thread(target=self.listen, daemon=True).start()
        self.give(START_SECONDS)
        try:
            imports = [sources(SOURCE, lesson)["imports"], self.ours["imports"]]
            super().call(PREPARE, imports, options.hidden, options.gigabytes)
        except (Ended, RemoteError) as error:
            self.close()
            raise CannotStart(f"the answers cannot be run on this machine: {error.args[-1]}") from None

    def give(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    def check(self, number: str, code: str) -> tuple[str, str]:
        """The result of an exercise and the hint that the student would read, or the error that stopped the answer."""
        self.give(self.options.seconds)
        dashed = number.replace(".", "-")
        try:
            before, check = self.ours.get(f"before-{dashed}", ""), self.ours[f"check-{dashed}"]
            _, *values = super().call(ANSWER, before, code, check)
            mark, hint, filled = examine(number, *values, seed=self.options.seed)
            return mark, hint_text(self.options.language, number, hint, filled) if hint else ""
        except RemoteError as error:
            return "error", one_line(error)
        except Exception as error:  # what it sent is no answer
            return "error", tell(self.options, "unreadable", error=one_line(error))

    def call(self, number: int, *inputs):
        """A student's function. What is wrong with it is a Mistake, as in the student's own notebook."""
        try:
            return super().call(number, *inputs)
        except InputsChanged:
            raise Mistake("changes_input") from None
        except RemoteError as error:
            line = f" (`{error.line}`)" if error.line else ""
            raise Mistake("stops", line=line, reason=one_line(error)) from None

    def fail(self, reason: str) -> NoReturn:
        raise Ended("error", "wrote")

    def send(self, line: bytes) -> None:
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except OSError:
            raise Ended("error", "ended") from None

    def listen(self) -> None:
        """Hand on what the sandbox writes, in a thread; an empty line is the end."""
        line = b"..."
        while line:
            line = self.process.stdout.readline(LONGEST)
            self.lines.put(line)

    def next_line(self) -> bytes:
        """The next line of the sandbox; Ended if there is none, or a limit is passed."""
        while True:
            try:
                line = self.lines.get(timeout=0.2)
            except queue.Empty:
                self.look_after()
                continue
            if time.monotonic() > self.deadline:
                raise Ended("timeout", "seconds")
            if not line:
                raise Ended("error", "ended")
            if not line.endswith(b"\n"):
                raise Ended("error", "large")
            return line

    def look_after(self) -> None:
        """The limits that hold on every system."""
        if time.monotonic() > self.deadline:
            raise Ended("timeout", "seconds")
        family, memory = family_of(self.process.pid), 0
        for process in family:
            try:
                memory += process.memory_info().rss
            except psutil.Error:  # it has ended meanwhile
                pass
        if memory > self.options.gigabytes * 2**30:
            raise Ended("error", "memory")
        if len(family) > PROCESSES:
            raise Ended("error", "processes")

    def close(self) -> None:
        kill(self.process.pid)
        self.process.wait()
        self.folder.cleanup()


def family_of(pid: int) -> list[psutil.Process]:
    """A process and all that it started, as far as they are still there."""
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.Error:
        return []


def kill(*pids: int) -> None:
    """End processes with all that they started."""
    for process in [process for pid in pids for process in family_of(pid)]:
        try:
            process.kill()
        except psutil.Error:
            pass


def check_answers(lesson: str, codes: list[tuple[str, str]], options: Namespace) -> list[tuple[str, str]]:
    """`(result, hint)` of each `(number, code)`. An answer that ends its sandbox costs its own row only."""
    results, sandbox = [], None
    try:
        for number, code in codes:
            sandbox = sandbox or Sandbox(lesson, options)
            try:
                results.append(sandbox.check(number, code))
            except Ended as end:
                result, reason = end.args
                results.append((result, tell(options, reason)))
                sandbox.close()
                sandbox = None
    finally:
        if sandbox:
            sandbox.close()
    return results
