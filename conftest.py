"""How nbval runs the lessons: which data each language reads, and what no output may contain."""

import os
import re
from pathlib import Path

import pytest

# A warning, a path of the machine, or control characters (colours), in an output that a student sees.
NOISE = re.compile(r"Warning\b|/(?:home|root|tmp|Users|work|opt)/|\x1b\[")


ROOT = Path(__file__).parent
ENGLISH_DATA = pytest.StashKey()


@pytest.fixture(scope="session")
def noise():
    return NOISE


def pytest_configure(config):
    # English on the data that TORCHNLP_DATA names, Korean on the offline sample: both paths run end to end.
    config.stash[ENGLISH_DATA] = os.environ.get("TORCHNLP_DATA")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.path.suffix == ".ipynb":
        data = "sample" if "ko" in item.path.relative_to(ROOT).parts else item.config.stash[ENGLISH_DATA]
        os.environ.pop("TORCHNLP_DATA", None)
        if data:
            os.environ["TORCHNLP_DATA"] = data


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    for output in getattr(item, "test_outputs", None) or []:
        texts = [output.get("text", ""), *output.get("data", {}).values()]
        found = NOISE.search("\n".join(text for text in texts if isinstance(text, str)))
        if found:
            pytest.fail(f"the output contains {found.group()!r}:\n{texts}")
    return result
