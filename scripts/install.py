"""Install the course from this kit, without a network: python3 install.py FOLDER

Nothing but Python is needed. Every file of the kit is compared with its checksum first. In a folder that holds the
course already, the course is brought up to date; work/ with the answers in it stays.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

KIT = Path(__file__).resolve().parent
BEGUN = ".install-begun"  # lies in the folder while the course is copied, or if that did not end


def here() -> str:
    """This system and Python, such as "linux-x86_64-3.11"."""
    machine = platform.machine().lower().replace("amd64", "x86_64").replace("aarch64", "arm64")
    return f"{sys.platform}-{machine}-{sys.version_info[0]}.{sys.version_info[1]}"


def check(content: dict) -> None:
    """Exit with the names of the files that are missing or not what they were."""
    wrong = []
    for name, (size, sha256) in content["files"].items():
        file = KIT / name
        if not file.is_file():
            wrong.append(f"{name} is missing")
        elif file.stat().st_size != size or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            wrong.append(f"{name} is not the file that was packed")
    if wrong:
        more = [f"and {len(wrong) - 10} more"] if len(wrong) > 10 else []
        sys.exit("install.py: this kit is not whole; copy it again:\n    " + "\n    ".join(wrong[:10] + more))
    if here() not in content["for"]:
        sys.exit(f"install.py: this is {here()}; the kit has packages for {', '.join(content['for'])}")


def copy_course(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        sys.exit(f"install.py: {folder} is a file; name a folder")
    known = any((folder / name).is_file() for name in ("start.py", BEGUN))
    if folder.is_dir() and any(folder.iterdir()) and not known:
        sys.exit(f"install.py: {folder} holds something else; name a new folder, or that of the course")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BEGUN).touch()
    for source in sorted((KIT / "course").rglob("*"), key=lambda path: path.name == "start.py"):  # that one comes last
        target = folder / source.relative_to(KIT / "course")
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    (folder / BEGUN).unlink()


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    if not (KIT / "kit.json").is_file():
        sys.exit("install.py: this kit is not whole: kit.json is missing; copy it again, or end making it (make kit)")
    try:
        content = json.loads((KIT / "kit.json").read_text(encoding="utf-8"))
    except ValueError:
        sys.exit("install.py: this kit is not whole: kit.json is not the file that was packed; copy it again")
    print("Checking the kit...", flush=True)
    check(content)
    folder = Path(sys.argv[1]).expanduser().resolve()
    wheels = (KIT / "wheels").as_uri()
    settings = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels, "PIP_CONFIG_FILE": os.devnull}
    try:
        copy_course(folder)
    except OSError as error:
        sys.exit(f"install.py: the course could not be copied: {error}")
    if subprocess.call([sys.executable, str(folder / "start.py"), "setup"], env=settings):
        sys.exit("install.py: the course was not set up; the lines above say why. The same command again goes on")
    print(f"The course is in {folder}. There: make lab, or: python3 start.py lab")


if __name__ == "__main__":
    main()
