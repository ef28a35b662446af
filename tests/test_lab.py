"""Working copies of the lessons; JupyterLab in a real browser: what the lessons import works in it."""

import os
import re
import socket
import subprocess
import sys
import threading

import pytest
import urllib3
from nbformat import v4, write

from course.notebooks import ROOT
from lab import copy_lessons

LESSONS = ("en/1-attention.ipynb", "ko/1-attention.ipynb", "en/solutions/1-attention.ipynb")


@pytest.fixture
def course(tmp_path):
    def publish(version, root=tmp_path / "course"):
        root.mkdir(exist_ok=True)
        for name in LESSONS:
            (root / "notebooks" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "notebooks" / name).write_text(version)
        for name in ("bert", "images", "scripts"):
            (root / name).mkdir(exist_ok=True)
        return root

    return publish


def test_copies_follow_the_course_until_they_are_changed(course, tmp_path, capsys):
    root = course("first")
    assert copy_lessons(root, tmp_path / "home") == root
    changed, other = root / "work" / LESSONS[0], root / "work" / LESSONS[1]
    changed.write_text("an answer")
    copy_lessons(root, tmp_path / "home")
    assert changed.read_text() == "an answer" and "newer" not in capsys.readouterr().out
    course("second")
    copy_lessons(root, tmp_path / "home")
    assert (changed.read_text(), other.read_text()) == ("an answer", "second")
    said = capsys.readouterr().out
    assert said.count("newer one") == 1 and f"work/{LESSONS[0]} has your changes and stays" in said
    changed.rename(root / "work" / "en" / "mine.ipynb")
    copy_lessons(root, tmp_path / "home")
    assert changed.read_text() == "second" and (root / "work" / "en" / "mine.ipynb").read_text() == "an answer"
    (root / "work" / ".copied.json").unlink()  # as after a run that was killed: nothing of it may be lost
    changed.write_text("another answer")
    copy_lessons(root, tmp_path / "home")
    assert changed.read_text() == "another answer"


def test_of_a_course_that_cannot_be_written_the_copies_lie_in_the_home_folder(course, mount, tmp_path):
    source = course("first", tmp_path / "source")
    root = mount("--bind", "-o", "ro", source)
    home = tmp_path / "home"
    for _ in range(2):
        assert copy_lessons(root, home) == home / "attention-course"
    notebook = home / "attention-course" / "work" / LESSONS[0]
    assert notebook.read_text() == "first"
    assert (notebook.parent / "../../bert").resolve() == root / "bert"
    assert sorted(path.name for path in source.iterdir()) == ["bert", "images", "notebooks", "scripts"]


CELLS = [
    "from torchnlp import device, encode, padify",
    "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass",
    "from course.plots import plot_lines\nplot_lines({'loss': ([1, 2, 3], [3, 2, 1])}, 'step', 'loss', 'Falling')",
    "import torch\nfrom course.heads import show_heads\nshow_heads(torch.eye(2)[None, None], ['the', 'wolf'])",
    "from course.exercises import check, progress\nprediction = None\ncheck('1.1', prediction)",
    "progress(1)",
]


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that serves a short lesson."""
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    write(v4.new_notebook(cells=list(map(v4.new_code_cell, CELLS)), metadata=kernel), tmp_path / "short.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, ROOT / "scripts" / "lab.py", "--edit", "--no-browser", f"--ServerApp.port={port}"]
    command += [f"--ServerApp.root_dir={tmp_path}", "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    settings = os.environ | {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    with subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            a_minute = urllib3.Retry(200, backoff_factor=0.3, backoff_max=0.3)
            urllib3.request("GET", f"http://127.0.0.1:{port}/api", retries=a_minute)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def test_a_port_that_is_taken_is_said_and_the_next_one_serves(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, ROOT / "scripts" / "lab.py", "--edit", "--no-browser", f"--port={port}"]
        command.append(f"--ServerApp.root_dir={tmp_path}")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
            deadline = threading.Timer(60, server.kill)
            deadline.start()
            said, address = "", r"http://127\.0\.0\.1:(\d+)/lab"
            while not re.search(address, said) and (line := server.stderr.readline()):
                said += line
            deadline.cancel()
            server.kill()
    assert f"The port {port} is already in use" in said and "Traceback" not in said
    assert re.search(address, said)[1] != str(port)


RESULTS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => ({
  count: cell.model.executionCount,
  outputs: cell.model.outputs.toJSON(),
}))"""


@pytest.mark.browser
def test_jupyterlab_runs_all_cells_and_shows_what_they_give(chromium, lab):
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/short.ipynb")
    page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.info")
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.context?.isReady")
    asked = page.locator(".jp-Dialog, .Toastify__toast").all_text_contents()
    assert asked == []  # JupyterLab would ask about news
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(f"() => ({RESULTS})().every((cell) => cell.count)")
    results = page.evaluate(RESULTS)
    assert [output for cell in results for output in cell["outputs"] if output["output_type"] == "error"] == []
    assert [cell["count"] for cell in results] == list(range(1, len(CELLS) + 1))
    for shown in (".jp-RenderedImage img", ".show-heads line", ".jupyter-widgets .progress-bar"):
        page.wait_for_selector(f".jp-Notebook {shown}", state="attached")
    assert "1.1" in results[-1]["outputs"][0]["text"]
