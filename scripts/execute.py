"""Execute the notebooks of one language from top to bottom.

python scripts/execute.py en            executed copies and HTML pages go to build/en/
python scripts/execute.py --store en    the outputs are stored in notebooks/en/ instead, of all notebooks, for a commit
"""

import argparse
import atexit
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import indent

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.filters import strip_ansi
from tqdm import tqdm

import pages
from course.files import atomic_write
from course.language import LANGUAGES, SOURCE
from course.notebooks import ASSIGNMENT, LESSONS, NOTEBOOKS, ROOT, SOLUTIONS

BESIDE = [*SOLUTIONS, ASSIGNMENT]  # the lessons: outputs are stored in these too
CELL_TIMEOUT = 1200  # seconds
START_TIMEOUT = 120
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(notebook: nbformat.NotebookNode, path: Path) -> tuple[nbformat.NotebookNode, str]:
    """Run a notebook in the folder of its file, with a progress bar.

    Returns:
        The notebook with its outputs, up to the cell that failed if one did, and what went wrong ("" if nothing did).
    """
    failure = ""
    with tqdm(total=len(notebook.cells), desc=path.stem, unit="cell", bar_format="{l_bar}{bar:20}{r_bar}") as bar:

        def show_cell(cell, cell_index):
            bar.n = cell_index + 1
            bar.set_postfix_str(cell.id)

        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            startup_timeout=START_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
            store_widget_state=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            on_cell_start=show_cell,
        )
        try:
            run_in_a_thread(client)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{path.stem} stopped in the cell {bar.postfix}") from None
        except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
            atexit.unregister(client._cleanup_kernel)  # it would complain of a kernel that never started
            where = f"in the cell {bar.postfix}" if bar.postfix else "before its first cell"
            failure = f"stopped {where}\n{indent(describe(error), '    ')}"
    for cell in notebook.cells:
        if cell.cell_type == "code":  # a progress bar that has ended says nothing on a page
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return notebook, failure


def run_in_a_thread(client: NotebookClient) -> None:
    """Execute a notebook so that Ctrl-C ends its kernel; in the main thread nbclient would take the signal itself."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(client.execute)
        try:
            running.result()
        except KeyboardInterrupt:
            kernel = getattr(client.km, "provisioner", None)
            if kernel and kernel.process:
                kernel.process.kill()
            raise


def describe(error: Exception) -> str:
    """The line of the cell and its error, without colours, the frames below it, or the paths of this machine."""
    if isinstance(error, CellTimeoutError):
        return f"it ran for more than {CELL_TIMEOUT} seconds"
    if isinstance(error, DeadKernelError):
        return "its kernel died; most often the memory was used up"
    if isinstance(error, RuntimeError):  # as nbclient tells it
        return f"its kernel did not start, on a machine with much else to do perhaps: {error}"
    line = re.search(r"^-+> \d+ .*\n", strip_ansi(error.traceback), re.MULTILINE)  # the first is that of the cell
    message = "\n".join(strip_ansi(f"{error.ename}: {error.evalue}").splitlines()[:5])
    return (line.group() if line else "") + message.replace(f"{ROOT}/", "").replace(str(Path.home()), "~")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", nargs="?", choices=LANGUAGES, default=SOURCE)
    parser.add_argument("lessons", nargs="*", help="such as 3-bert or solutions/3-bert; by default all lessons")
    parser.add_argument("--store", action="store_true", help="store the outputs in the notebooks themselves")
    options = parser.parse_args(arguments)
    if options.store and os.environ.get("TORCHNLP_DATA", "sample") == "sample":
        parser.error("stored outputs come from a run on AG News: set TORCHNLP_DATA to the folder with its files")
    if unknown := set(options.lessons) - {*LESSONS, *BESIDE}:
        parser.error(f"there is no lesson {', '.join(unknown)}; expected one of {', '.join(LESSONS + BESIDE)}")

    target = (NOTEBOOKS if options.store else pages.BUILD) / options.language
    for lesson in options.lessons or (LESSONS + BESIDE if options.store else LESSONS):
        start = time.perf_counter()
        path = NOTEBOOKS / options.language / f"{lesson}.ipynb"
        notebook, failure = execute(nbformat.read(path, as_version=4), path)
        seconds = time.perf_counter() - start
        result, page = target / f"{lesson}.ipynb", target / f"{lesson}.html"
        if failure:
            print(f"{lesson} {failure}", file=sys.stderr)
            if not options.store:  # stored outputs stay, a page of an earlier run does not
                page.unlink(missing_ok=True)
                with atomic_write(result.parent) as folder:
                    nbformat.write(notebook, folder / result.name)
                print(f"the run up to there: {result.relative_to(ROOT)}", file=sys.stderr)
            return 1
        with atomic_write(result.parent) as folder:
            if not options.store:
                notebook.metadata["seconds"] = round(seconds, 1)
                html = pages.export("page", notebook, options.language)
                (folder / page.name).write_text(html, encoding="utf-8")
            nbformat.write(notebook, folder / result.name)
        place = f"outputs stored in {result.relative_to(ROOT)}" if options.store else f"page: {page.relative_to(ROOT)}"
        print(f"{lesson}: {seconds:.0f} s, {place}\n{indent(pages.results_of(notebook), '    ')}")
        if not options.store:
            pages.write_start_page()
    if not options.store:
        print("start page: build/index.html")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt as stop:
        print(f"{stop}; what was finished before is kept", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        sys.exit(f"scripts/execute.py: {error}; what was finished before is kept")
