"""start.py, which `make` runs: a course of two packages is set up for real, without a network, and things go wrong."""

import os
import signal
import subprocess
import sys
import time

import pytest

import start
from course.notebooks import ROOT
from tiny_course import MINUTE, command, is_set_up, make_course, run


@pytest.fixture
def course(tmp_path):
    return make_course(tmp_path / "a course")


@pytest.mark.slow
def test_sets_up_once_and_anew_when_what_is_needed_or_asked_for_changes(course):
    (wheel,) = (course / "wheels").iterdir()
    wheel.rename(course / "elsewhere.whl")
    failed = run(course, "setup")
    assert failed.returncode == 1 and "torch==2.0" in failed.stdout + failed.stderr
    assert "set-up did not end; the lines above say why" in failed.stderr and "Traceback" not in failed.stderr
    (course / "elsewhere.whl").rename(wheel)
    first = run(course, "setup")
    assert first.returncode == 0, first.stderr
    assert "once: nothing to download, 2.2 GB on the disk" in first.stdout and "the CPU build" in first.stdout
    assert is_set_up(course)
    assert run(course, "setup").stdout == "weights are in place\n"
    (course / "requirements.lock").write_text("torch==2.0\nother==1\n")
    assert "Setting up" in run(course, "setup").stdout
    assert run(course, "setup", "CPU=1").stdout == "weights are in place\n"
    assert "Making .venv anew: another build of PyTorch" in run(course, "setup", "CUDA=1").stdout
    assert is_set_up(course)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_killed_at_any_moment_the_same_command_sets_up(course):
    ready = course / ".venv" / ".ready"
    for seconds, kill in [(0, os.killpg), (0.5, os.killpg), (1, os.kill)]:  # the last one leaves its programs alive
        with subprocess.Popen(**command(course, "setup"), start_new_session=True) as killed:
            while not ready.exists() and killed.poll() is None:
                time.sleep(0.02)
            time.sleep(seconds)
            kill(killed.pid, signal.SIGKILL)
    assert ready.read_text() == start.UNFINISHED
    again = run(course, "setup")
    assert again.returncode == 0, again.stderr
    assert "Making .venv anew: the last set-up did not end" in again.stdout and is_set_up(course)


@pytest.mark.slow
def test_of_two_at_once_one_sets_up_and_the_other_waits(course):
    with subprocess.Popen(**command(course, "setup")) as one, subprocess.Popen(**command(course, "setup")) as other:
        said = [process.communicate(timeout=3 * MINUTE)[0] for process in (one, other)]
    assert one.returncode == other.returncode == 0
    assert sorted(text.count("Setting up") for text in said) == [0, 1]
    assert sorted(text.count("waiting for it") for text in said) == [0, 1] and is_set_up(course)


@pytest.mark.slow
def test_a_full_disk_is_said_before_and_while_it_is_written(mount):
    course = make_course(mount("-t", "tmpfs", "-o", "size=60m", "tmpfs") / "course")
    refused = run(course, "setup")
    assert refused.returncode == 1 and not (course / ".venv").exists()
    assert refused.stderr == "start.py: set-up takes 2.2 GB on the disk, and only 0.1 GB are free\n"
    program = (course / "start.py").read_text(encoding="utf-8")
    (course / "start.py").write_text(program.replace("ON_DISK, ON_DISK_CUDA = 2.2", "ON_DISK, ON_DISK_CUDA = 0"))
    ballast = course / "ballast"
    ballast.write_bytes(bytes(55_000_000))
    failed = run(course, "setup")
    assert failed.returncode == 1 and "set-up did not end" in failed.stderr.splitlines()[-1]
    ballast.unlink()
    assert run(course, "setup").returncode == 0 and is_set_up(course)


def test_what_cannot_work_is_said_in_one_sentence(monkeypatch, tmp_path, capsys):
    def said(*words):
        assert start.main(list(words)) == 1
        return capsys.readouterr().err

    assert "there is no command 'lap'; python start.py --help lists them" in said("lap")
    monkeypatch.setattr(start, "READY", tmp_path / "none")
    with monkeypatch.context() as other:
        other.setattr(start.sys, "version_info", (3, 10, 1))
        assert "the course needs 3.11 to 3.14" in said("setup")
    with monkeypatch.context() as other:
        other.setattr(start.sys, "platform", "darwin")
        other.setattr(start.platform, "machine", lambda: "x86_64")
        assert "no PyTorch 2.13 for Intel Macs" in said("setup")
    with monkeypatch.context() as other:
        other.setattr(start.os, "access", lambda path, mode: path != start.ROOT)
        assert "its owner has to run: python start.py setup" in said("setup")


@pytest.mark.parametrize(
    ("system", "build", "index"),
    [
        ("linux", "cpu", start.CPU_BUILDS),
        ("linux", "cuda", None),
        ("win32", "cpu", None),
        ("win32", "cuda", start.CUDA_BUILDS),
        ("darwin", "cpu", None),
    ],
)
def test_where_pytorch_comes_from(system, build, index, monkeypatch, capsys):
    monkeypatch.setattr(start.sys, "platform", system)
    asked = []
    monkeypatch.setattr(start.urllib.request, "urlopen", lambda url, timeout: asked.append(url) or open(os.devnull))
    assert start.index_of_torch(build, {}) == index
    assert asked == ([f"{index}/torch/"] if index else [])
    assert start.index_of_torch(build, {"PIP_NO_INDEX": "1"}) is None

    def unreachable(url, timeout):
        raise OSError("no network")

    monkeypatch.setattr(start.urllib.request, "urlopen", unreachable)
    assert start.index_of_torch(build, {}) is None
    assert capsys.readouterr().out.count("\n") == (1 if index else 0)


def test_nothing_of_cuda_is_installed_without_a_gpu():
    if start.has_nvidia():
        pytest.skip("there is an NVIDIA GPU")
    pip = [sys.executable, "-m", "pip", "list", "--format=freeze"]
    installed = subprocess.run(pip, capture_output=True, text=True, timeout=MINUTE).stdout
    assert "torch==" in installed
    assert [line for line in installed.splitlines() if line.startswith(("nvidia", "cuda", "triton"))] == []


def test_a_home_that_cannot_be_written_is_replaced(monkeypatch, capsys):
    if os.name == "nt":
        pytest.skip("Windows keeps caches elsewhere")
    replaced = start.home({"HOME": "/proc/none"})["HOME"]
    assert "'/proc/none' cannot be written" in capsys.readouterr().out and os.access(replaced, os.W_OK)
    os.rmdir(replaced)
    assert start.home({"HOME": str(ROOT)}) == {}


def test_a_session_is_handed_to_the_slides():
    assert start.commands({})["slides"] == [["scripts/pages.py"]]
    assert start.commands({"SESSION": "2"})["slides"] == [["scripts/pages.py", "2"]]
