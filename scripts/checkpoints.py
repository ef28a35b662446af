"""How a script that was stopped goes on: whole files, whole checkpoints, the same settings as before."""

import json
import shutil
import zipfile
from pathlib import Path


def last_checkpoint(checkpoints: Path, processes: int = 1) -> Path | None:
    """The newest checkpoint of Trainer in a folder that was written to its end by all processes, if there is one."""
    folders = checkpoints.glob("checkpoint-*")
    newest_first = sorted(folders, key=lambda folder: -int(folder.name.split("-")[1]))
    return next((folder for folder in newest_first if _is_whole(folder, processes)), None)


def delete_other_checkpoints(last: Path | None, checkpoints: Path) -> None:
    """Delete all checkpoints but the last whole one: half-written ones, half-deleted ones."""
    for folder in checkpoints.glob("checkpoint-*"):
        if folder != last:
            shutil.rmtree(folder)


def _is_whole(folder: Path, processes: int) -> bool:
    try:
        json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))  # what the first process writes last
    except (OSError, ValueError):
        return False
    states = ["rng_state.pth"] if processes == 1 else [f"rng_state_{i}.pth" for i in range(processes)]
    return all(zipfile.is_zipfile(folder / name) for name in [*states, "optimizer.pt", "scheduler.pt"])


def other_settings(settings: dict, note: Path) -> dict:
    """What the settings noted beside the checkpoints of a stopped run have otherwise; {} if nothing, or no note."""
    if not note.is_file():
        return {}
    before = json.loads(note.read_text(encoding="utf-8"))
    return {name: before.get(name) for name in settings if before.get(name) != settings[name]}
