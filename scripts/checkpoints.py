"""The output folder of a training: one run at a time, whole checkpoints, the same settings as before."""

import atexit
import json
import shutil
import zipfile
from pathlib import Path

import filelock

from course.files import PARTIAL, delete_partial, write_json


def check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def checkpoints_in(folder: Path) -> list[Path]:
    """What Trainer saved in a folder, the oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def last_checkpoint(folder: Path, world_size: int = 1) -> Path | None:
    """The newest checkpoint of Trainer that all processes have written to the end, or None."""
    states = ["rng_state.pth"] if world_size == 1 else [f"rng_state_{rank}.pth" for rank in range(world_size)]
    names = ["optimizer.pt", "scheduler.pt", *states]
    for checkpoint in reversed(checkpoints_in(folder)):
        state = checkpoint / "trainer_state.json"  # the main process writes it last
        is_whole = state.is_file() and state.read_text(encoding="utf-8").endswith("}\n")
        if is_whole and all(zipfile.is_zipfile(checkpoint / name) for name in names):
            return checkpoint
    return None


def delete_other_checkpoints(last: Path | None, folder: Path) -> None:
    """Delete all checkpoints in a folder except `last`. What a kill leaves of one does not look whole."""
    for checkpoint in checkpoints_in(folder):
        if checkpoint != last:
            (checkpoint / "trainer_state.json").unlink(missing_ok=True)
            shutil.rmtree(checkpoint)


def other_settings(settings: dict, file: Path) -> dict:
    """The values in a file of settings that differ from these; {} if none differs or there is no file."""
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else settings
    return {name: before.get(name) for name in settings if before.get(name) != settings[name]}


def check_space(folder: Path, model, kept: int) -> None:
    """Raise ValueError if the disk of `folder` is too full for the model and so many checkpoints of it, one more while
    it is written: weights, and for each number that learns the two that AdamW keeps. What lies there counts as free."""
    numbers = [(p.numel(), p.requires_grad) for p in model.parameters()]
    weights, learning = sum(size for size, _ in numbers), sum(size for size, learns in numbers if learns)
    needed = 4 * weights + ((kept + 1) * (4 * weights + 8 * learning) if kept else 0)
    free = shutil.disk_usage(folder).free + sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    message = f"--output-dir {folder.name} needs room for {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free: "
    check(needed <= free, message + "make room, name another folder, or save less often (--save-strategy no)")


def start_run(file: Path, settings: dict, overwrite: bool) -> None:
    """Lock the folder of `file` and write the settings of a new run there, or check that its run had the same settings.

    Raises ValueError if the run cannot be resumed. To overwrite it, the files that it wrote are deleted, no others.
    """
    output, metrics, run = file.parent, file.parent / "metrics.json", f"the run in {file.parent.name}/"
    others = [path for path in output.glob("*") if path.name != ".lock" and not path.name.startswith(PARTIAL)]
    check(not others or file.is_file(), f"--output-dir {output.name} is not empty and not from an earlier run")
    output.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(output / ".lock", is_singleton=True)
    try:
        lock.acquire(timeout=5)  # processes whose torchrun was killed need a moment to end
    except filelock.Timeout:
        raise ValueError(f"{run} is still running; wait for it, or end it") from None
    atexit.register(lock.release)
    delete_partial(output)
    if file.is_file() and not overwrite:
        other = other_settings(settings, file)
        check(not other, f"{run} had other settings: {other}. Repeat them, or use --overwrite-output-dir")
        check(not metrics.is_file(), f"{run} is finished, see {metrics.name}. To repeat it, use --overwrite-output-dir")
    elif file.is_file():
        metrics.unlink(missing_ok=True)
        delete_other_checkpoints(None, output)
        for name in json.loads(file.read_text(encoding="utf-8")).get("files", []):
            (output / Path(name).name).unlink(missing_ok=True)
    if overwrite or not file.is_file():
        write_json(file, settings | {"files": []})
