"""Files that are there whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial-"  # begins the name of a folder whose files are not yet whole


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(folder: str | Path) -> Iterator[Path]:
    """An empty temporary folder to write files into; on leaving it without an error they are moved to `folder`.

    Each file replaces the old one at once, so that nobody ever reads half a file, even after a SIGKILL.

    Raises:
        OSError: the folder cannot be written. The files that were there before stay as they were.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    delete_partial(folder, older_than=86_400)  # of a run that was killed
    with tempfile.TemporaryDirectory(dir=folder, prefix=PARTIAL) as name:
        temporary = Path(name)
        yield temporary
        for file in temporary.iterdir():
            file.chmod(0o644)
            os.replace(file, folder / file.name)


def delete_partial(folder: str | Path, older_than: float = 0) -> None:
    """Delete what `atomic_write` left in a folder when it was killed, if it is older than so many seconds."""
    for leftover in Path(folder).glob(f"{PARTIAL}*"):
        if time.time() - leftover.stat().st_mtime >= older_than:
            shutil.rmtree(leftover, ignore_errors=True)


def write_json(path: str | Path, content: object) -> None:
    """Write a JSON file whole or not at all; see `atomic_write`."""
    path = Path(path)
    with atomic_write(path.parent) as folder:
        (folder / path.name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
