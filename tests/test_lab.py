"""JupyterLab in a real browser: what the lessons import works in it."""

import os
import socket
import subprocess
import sys

import pytest
import urllib3
from nbformat import v4, write

pytestmark = pytest.mark.browser
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
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += [f"--ServerApp.root_dir={tmp_path}", "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    settings = os.environ | {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    with subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            a_minute = urllib3.Retry(200, backoff_factor=0.3, backoff_max=0.3)
            urllib3.request("GET", f"http://127.0.0.1:{port}/api", retries=a_minute)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


RESULTS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => ({
  count: cell.model.executionCount,
  outputs: cell.model.outputs.toJSON(),
}))"""


def test_jupyterlab_runs_all_cells_and_shows_what_they_give(chromium, lab):
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/short.ipynb")
    page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.info")
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.context?.isReady")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(f"() => ({RESULTS})().every((cell) => cell.count)")
    results = page.evaluate(RESULTS)
    assert [output for cell in results for output in cell["outputs"] if output["output_type"] == "error"] == []
    assert [cell["count"] for cell in results] == list(range(1, len(CELLS) + 1))
    for shown in (".jp-RenderedImage img", ".show-heads line", ".jupyter-widgets .progress-bar"):
        page.wait_for_selector(f".jp-Notebook {shown}", state="attached")
    assert "1.1" in results[-1]["outputs"][0]["text"]
