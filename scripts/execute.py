"""Execute the notebooks of one language from top to bottom.

python scripts/execute.py en            executed copies and HTML pages go to build/en/
python scripts/execute.py --store en    the outputs are stored in notebooks/en/ instead, solutions too, for a commit
"""

import argparse
import os
import sys
import time
from pathlib import Path
from textwrap import indent

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

import pages

ROOT = Path(__file__).resolve().parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> tuple[nbformat.NotebookNode, Exception | None]:
    """Run a notebook in its own folder, with a progress bar; give back the copy with outputs, and the error if any."""
    notebook = nbformat.read(path, as_version=4)
    with tqdm(total=len(notebook.cells), desc=path.stem, unit="cell", bar_format="{l_bar}{bar:20}{r_bar}") as bar:

        def done(cell, cell_index):
            bar.n = cell_index + 1
            bar.set_postfix_str(cell.id)

        client = NotebookClient(
            notebook,
            timeout=1200,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
            store_widget_state=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            on_cell_complete=done,
        )
        try:
            client.execute()
            error = None
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as failed:
            error = failed
    for cell in notebook.cells:
        if cell.cell_type == "code":  # a progress bar that has ended says nothing on a page
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook, error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", choices=["en", "ko"])
    parser.add_argument("lessons", nargs="*", help="such as 3-bert or solutions/3-bert; by default all lessons")
    parser.add_argument("--store", action="store_true", help="store the outputs in the notebooks themselves")
    options = parser.parse_args()
    if options.store and os.environ.get("TORCHNLP_DATA", "sample") == "sample":
        parser.error("stored outputs come from a run on AG News: set TORCHNLP_DATA to the folder with its files")

    source = ROOT / "notebooks" / options.language
    target = source if options.store else ROOT / "build" / options.language
    found = [*sorted(source.glob("*.ipynb")), *(sorted(source.glob("solutions/*.ipynb")) if options.store else [])]
    paths = [source / f"{name}.ipynb" for name in options.lessons] or found
    for path in paths:
        if not path.is_file():
            parser.error(f"there is no lesson {path.stem} in notebooks/{options.language}/")
    for path in paths:
        result = target / path.relative_to(source)
        result.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        notebook, error = execute(path)
        seconds = time.perf_counter() - start
        if not options.store:
            notebook.metadata["seconds"] = round(seconds, 1)
        if not (error and options.store):  # a failed run must not overwrite stored outputs
            nbformat.write(notebook, result)
        if error:
            if not options.store:
                result.with_suffix(".html").unlink(missing_ok=True)  # of an earlier run
            print(error, file=sys.stderr)
            print(f"{path.stem} stopped at the error above", file=sys.stderr)
            return 1
        print(f"{path.stem}: {seconds:.0f} s", end="")
        if options.store:
            print(f", outputs stored in {result.relative_to(ROOT)}")
        else:
            page = result.with_suffix(".html")
            page.write_text(pages.page(notebook, path.stem, options.language), encoding="utf-8")
            print(f", page: {page.relative_to(ROOT)}")
            print(indent(pages.results_of(notebook), "    "))
    if not options.store:
        pages.write_start_page()
        print("start page: build/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
