"""How nbval runs the lessons: which data each language reads, and what no output may contain."""

import os
import re
from pathlib import Path

import pytest

from course.language import SOURCE, language_of

# A warning, a path of the machine, or control characters (colours), in an output that a student sees.
NOISE = re.compile(r"Warning\b|/(?:home|root|tmp|Users|work|opt)/|\x1b\[")
ROOT = Path(__file__).parent

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # before torch is imported: workers that share cores slow each other down
    threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))


@pytest.fixture(scope="session")
def noise():
    return NOISE


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """English on the data that TORCHNLP_DATA names, the translations on the offline sample: both paths run end to end.

    What a lesson claims must hold in both (see course/claims.py).
    """
    with pytest.MonkeyPatch.context() as environment:
        if item.path.suffix == ".ipynb":
            environment.setenv("COURSE_CLAIMS", "strict")
            if language_of(item.path.parent) != SOURCE:
                environment.setenv("TORCHNLP_DATA", "sample")
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    for output in getattr(item, "test_outputs", None) or []:
        texts = [output.get("text", ""), *output.get("data", {}).values()]
        found = NOISE.search("\n".join(text for text in texts if isinstance(text, str)))
        if found:
            pytest.fail(f"the output contains {found.group()!r}:\n{texts}")
    return result
