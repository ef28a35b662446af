"""A process that is killed, and a full disk, wherever files are written: old files stay whole, the next run works."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import pages
from bert import prepare
from course.files import PARTIAL, atomic_write, write_json
from course.notebooks import ROOT
from lab import copy_lessons

WRITE_HALF = """
import sys, time
from course.files import atomic_write
with atomic_write(sys.argv[1]) as folder:
    (folder / "lesson.ipynb").write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_a_writer_that_is_killed_leaves_the_old_file_whole_and_the_next_one_tidies_up(tmp_path):
    old = tmp_path / "lesson.ipynb"
    old.write_text("whole")
    command = [sys.executable, "-c", WRITE_HALF, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "writing\n"
        writer.send_signal(signal.SIGKILL)
    (left,) = tmp_path.glob(f"{PARTIAL}*")
    assert old.read_text() == "whole"
    os.utime(left, (0, 0))
    write_json(tmp_path / "other.json", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lesson.ipynb", "other.json"]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
@pytest.mark.slow
def test_prepare_killed_at_any_moment_fills_the_folder_the_next_time(tmp_path):
    shutil.copy(ROOT / "bert" / "prepare.py", tmp_path)
    command = [sys.executable, tmp_path / "prepare.py"]
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as killed:
            end = time.monotonic() + 60
            while not list(tmp_path.glob(f"{PARTIAL}*/model.safetensors")) and time.monotonic() < end:
                time.sleep(0.001)
            killed.send_signal(signal.SIGKILL)
        assert not (tmp_path / "model.safetensors").exists()
    for left in tmp_path.glob(f"{PARTIAL}*"):
        os.utime(left, (0, 0))
    assert subprocess.run(command, timeout=60).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*prepare.SHA256, "prepare.py"])


def small_disk(mount, size="2m"):
    return mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs")


def test_a_full_disk_leaves_no_half_of_bert_and_is_said_in_a_line(mount):
    disk = small_disk(mount)
    shutil.copy(ROOT / "bert" / "prepare.py", disk)
    done = subprocess.run([sys.executable, disk / "prepare.py"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("bert/prepare.py: ") and done.stderr.count("\n") == 1
    assert "No space left" in done.stderr and os.listdir(disk) == ["prepare.py"]


@pytest.mark.slow  # a whole deck is made
def test_a_full_disk_keeps_old_pages_notebooks_and_copies(mount, monkeypatch):
    disk = small_disk(mount)
    names = ("notebooks/en/1-attention.ipynb", "build/en/page.html", "build/slides/x.html")
    for name in names:
        (disk / name).parent.mkdir(parents=True, exist_ok=True)
        (disk / name).write_text("old")
    (disk / "ballast").write_bytes(bytes(2_000_000))
    for name in names:
        with pytest.raises(OSError, match="No space left"), atomic_write((disk / name).parent) as folder:
            (folder / (disk / name).name).write_text("new" * 100_000)
        assert (disk / name).read_text() == "old" and len(os.listdir((disk / name).parent)) == 1
    (disk / names[0]).write_text("x" * 20)
    monkeypatch.setattr(pages, "BUILD", disk / "build")
    with pytest.raises(OSError, match="No space left"):
        pages.main()
    assert os.listdir(disk / "build" / "slides") == ["x.html"]
    (disk / "ballast").unlink()
    copy_lessons(disk, disk)
    assert (disk / "work" / "en" / "1-attention.ipynb").read_text() == "x" * 20
