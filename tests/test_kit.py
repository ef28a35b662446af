"""The kit: made whole or not at all, installed without a network, refused by name if anything in it is wrong."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest

import handout
import kit
from course.files import PARTIAL
from course.notebooks import ROOT
from tiny_course import MINUTE, is_set_up, make_course

WHEEL = "wheels/torch-2.0-py3-none-any.whl"
UNSHARE = ["unshare", "-rn"]  # a namespace without a network


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A tiny course in git, with a page and a student's answers in it."""
    course = make_course(tmp_path / "course")
    for name in ("build/en/1-attention.html", "build/other.txt", "work/en/answers.ipynb"):
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_text(name)
    subprocess.run(["git", "init", "-q", course], check=True)
    subprocess.run(["git", "add", "*.*", "bert"], cwd=course, check=True)
    subprocess.run(["git", "reset", "-q", "build", "work", "wheels"], cwd=course)
    for module in (kit, handout):
        monkeypatch.setattr(module, "ROOT", course)
    monkeypatch.setattr(kit, "BUILD", course / "build")
    wheels = course / "wheels"
    monkeypatch.setattr(kit, "collect_wheels", lambda to: shutil.copytree(wheels, to, dirs_exist_ok=True))
    return course


@pytest.fixture
def made(course):
    kit.make([])
    return course / "build" / "kit"


def install(made, folder):
    offline = UNSHARE if shutil.which("unshare") and not subprocess.call([*UNSHARE, "true"]) else []
    command = [*offline, sys.executable, made / "install.py", folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=3 * MINUTE)


@pytest.mark.slow
def test_it_installs_without_a_network_and_again_on_top_of_itself(made, tmp_path):
    moved = tmp_path / "a stick"
    with zipfile.ZipFile(made.parent / "kit.zip") as archive:
        archive.extractall(moved)
    shutil.rmtree(made)
    folder = tmp_path / "my course"
    done = install(moved / "kit", folder)
    assert done.returncode == 0, done.stderr
    assert "nothing to download" in done.stdout and f"The course is in {folder}" in done.stdout
    assert is_set_up(folder) and (folder / "build" / "en" / "1-attention.html").is_file()
    (folder / "work").mkdir()
    (folder / "work" / "answers.ipynb").write_text("mine")
    assert install(moved / "kit", folder).returncode == 0 and (folder / "work" / "answers.ipynb").read_text() == "mine"


def test_it_holds_what_git_knows_the_pages_and_all_checksums(made, capsys):
    files = json.loads((made / "kit.json").read_text(encoding="utf-8"))["files"]
    assert {name for name in files if "/build/" in name} == {"course/build/en/1-attention.html"}
    assert {"install.py", "course/start.py", WHEEL} <= set(files)
    assert not [name for name in files if "work" in name]
    kit.make([])  # on top of itself
    assert sorted(path.name for path in made.parent.iterdir()) == ["en", "kit", "kit.zip", "other.txt"]


def test_a_kit_for_students_holds_what_the_handout_holds(course):
    (course / "build" / "slides").mkdir()
    (course / "build" / "slides" / "a.html").write_text('<p>1</p><aside class="notes">ask the class</aside>')
    for name in ("tests/a.py", "docs/teaching.md"):
        (course / name).parent.mkdir()
        (course / name).touch()
    subprocess.run(["git", "add", "tests", "docs"], cwd=course, check=True)
    kit.make([], students=True)
    made = course / "build" / "kit" / "course"
    assert (made / "start.py").is_file() and (made / "build" / "slides" / "a.html").read_text() == "<p>1</p>"
    assert not (made / "tests").exists() and not (made / "docs").exists()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            lambda made: (made / "wheels/torch-2.0-py3-none-any.whl").unlink(),
            "wheels/torch-2.0-py3-none-any.whl is missing",
        ),
        (lambda made: (made / "course/start.py").unlink(), "course/start.py is missing"),
        (lambda made: (made / "kit.json").unlink(), "this kit is not whole: kit.json is missing"),
        (lambda made: os.truncate(made / "kit.json", 200), "kit.json is not the file that was packed"),
        (lambda made: shutil.rmtree(made / "course"), "course/start.py is missing"),
        (lambda made: change_a_byte(made / WHEEL), f"{WHEEL} is not the file that was packed"),
        (lambda made: claim_another_system(made), "the kit has packages for solaris-sparc-3.11"),
    ],
)
def test_a_kit_that_is_not_whole_is_refused_by_name(damage, says, made, tmp_path):
    damage(made)
    refused = install(made, tmp_path / "new")
    assert refused.returncode == 1 and says in refused.stderr and "Traceback" not in refused.stderr
    assert not (tmp_path / "new").exists()


def change_a_byte(file):
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)


def claim_another_system(made):
    content = json.loads((made / "kit.json").read_text(encoding="utf-8"))
    (made / "kit.json").write_text(json.dumps(content | {"for": ["solaris-sparc-3.11"]}), encoding="utf-8")


def test_a_folder_with_something_else_in_it_is_left_alone(made, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    refused = install(made, tmp_path / "photos")
    assert refused.returncode == 1 and "holds something else" in refused.stderr
    assert os.listdir(tmp_path / "photos") == ["one.jpg"]


def test_an_interrupted_kit_leaves_the_old_one(made, course, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = (made / "kit.json").read_bytes()
    monkeypatch.setattr(kit, "pack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kit.make([])
    assert (made / "kit.json").read_bytes() == before
    assert sorted(path.name for path in made.parent.iterdir()) == ["en", "kit", "kit.zip", "other.txt"]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_killed_while_it_is_packed_the_old_kit_stays_whole_and_the_next_one_is_made(made, monkeypatch):
    before = (made / "kit.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(kit, "pack", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        killed = multiprocessing.get_context("fork").Process(target=kit.make, args=([],))
        killed.start()
        killed.join(MINUTE)
    assert killed.exitcode == -signal.SIGKILL and (made / "kit.json").read_bytes() == before
    (left,) = made.parent.glob(f"{PARTIAL}*")
    os.utime(left, (0, 0))
    kit.make([])
    assert sorted(path.name for path in made.parent.iterdir()) == ["en", "kit", "kit.zip", "other.txt"]


def full_disk(mount, megabytes):
    """A disk, and a file on it which leaves room for two small files."""
    disk = mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs")

    def fill():
        (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - 8192))
        return disk / "ballast"

    return disk, fill


def test_on_a_full_disk_no_kit_is_made_and_the_old_one_stays(made, course, mount, monkeypatch):
    disk, fill = full_disk(mount, 4)
    build = shutil.copytree(course, disk / "course") / "build"
    fill()
    before = (build / "kit" / "kit.json").read_bytes()
    for module in (kit, handout):
        monkeypatch.setattr(module, "ROOT", build.parent)
    monkeypatch.setattr(kit, "BUILD", build)
    monkeypatch.setattr(sys, "argv", ["kit.py"])
    with pytest.raises(SystemExit, match="no kit was made: .*No space left"):
        kit.main()
    assert (build / "kit" / "kit.json").read_bytes() == before
    assert sorted(path.name for path in build.iterdir()) == ["en", "kit", "kit.zip", "other.txt"]


@pytest.mark.slow
def test_stopped_by_a_full_disk_the_same_command_installs(course, mount):
    program = (course / "start.py").read_text(encoding="utf-8")
    (course / "start.py").write_text(program.replace("ON_DISK, ON_DISK_CUDA = 2.2", "ON_DISK, ON_DISK_CUDA = 0"))
    kit.make([])
    disk, fill = full_disk(mount, 60)
    ballast = fill()
    stopped = install(course / "build" / "kit", disk / "new")
    assert stopped.returncode == 1 and stopped.stderr.startswith("install.py: the course could not be copied: ")
    assert "No space left" in stopped.stderr and stopped.stderr.count("\n") == 1
    ballast.unlink()
    again = install(course / "build" / "kit", disk / "new")
    assert again.returncode == 0, again.stderr
    assert is_set_up(disk / "new") and not (disk / "new" / ".install-begun").exists()


def test_what_no_kit_can_be_made_of_is_said(course, monkeypatch, tmp_path):
    with pytest.raises(kit.KitError, match="--for=amiga-3.12: expected linux"):
        kit.make(["amiga-3.12"])
    monkeypatch.setattr(handout, "ROOT", tmp_path)
    with pytest.raises(handout.NotACheckout, match="made from a git checkout"):
        kit.make([])
    assert (ROOT / "scripts" / "install.py").is_file()
