"""Each translation renders the English as it is now; a third language begins in English and passes the same tests."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import glossary
import translate
import translations
from course.exercises import HINTS
from course.language import SOURCE, TRANSLATIONS, WORDS
from course.notebooks import LESSONS, ROOT, SOLUTIONS, read

each_translation = pytest.mark.parametrize("language", TRANSLATIONS)


@each_translation
def test_every_text_renders_the_english_as_it_is_now(language):
    stale = [f"{language}: {text.name}\n{translations.difference(text)}" for text in translations.changed(language)]
    assert not stale, "\n".join([f"mend these, then run: python scripts/translate.py mark {language}", *stale])


@each_translation
def test_nothing_is_missing_from_a_language_that_calls_itself_complete(language):
    texts = [text for text in translations.texts(language) if text.kind in translations.KINDS]
    missing = [text.name for text in texts if text.state == "missing"]
    assert not missing or not WORDS[language]["language"]["complete"]


@each_translation
def test_a_language_is_written_in_its_letters(language):
    """For languages with letters of their own, such as Hangul."""
    letters = WORDS[language]["language"].get("letters")
    if not letters:
        pytest.skip("written in Latin letters")
    found = re.compile(f"[{letters}]")
    for lesson in LESSONS + SOLUTIONS:
        for english, translated in zip(read(SOURCE, lesson).cells, read(language, lesson).cells, strict=True):
            assert not found.search(english.source), english.id
            if translations.told(english) != translations.told(translated) and english.cell_type == "markdown":
                assert found.search(translated.source), translated.id
                assert "hint" not in english.metadata or found.search(translated.metadata["hint"]), translated.id
    for number, hints in HINTS[language].items():
        for name, text in hints.items():
            english = HINTS[SOURCE][number][name]
            assert not found.search(english) and (text == english or found.search(text)), (number, name)


@each_translation
def test_words_and_hints_have_the_gaps_of_the_english_ones_and_no_other_names(language):
    for file in translations.TABLES.values():
        english, own = (translations.read_tables(file.format(spoken)) for spoken in (SOURCE, language))
        for name, text in own.items():
            if name not in ("language/complete", "language/letters"):
                gaps = [sorted(set(re.findall(r"{\w*", said))) for said in (text, english[name])]
                assert gaps[0] == gaps[1], name


@each_translation
def test_translations_keep_to_the_glossary(language):
    assert list(glossary.other_words(language)) == []


def test_every_term_of_the_glossary_is_used():
    known, english = glossary.terms(), "\n".join(text.english for text in translations.texts(TRANSLATIONS[0]))
    assert sorted(glossary.used(english, list(known))) == sorted(known)
    assert {language for renderings in known.values() for language in renderings} <= {*TRANSLATIONS}
    assert glossary.used("Causal\nmasks of `heads`, $keys$", ["mask", "causal mask", "head", "key"]) == ["causal mask"]


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """A copy of all texts that git does not know."""
    for folder in ("notebooks", "docs", "course"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("my-bert", "__pycache__"))
    for readme in ROOT.glob("README*.md"):
        shutil.copy(readme, tmp_path)
    for module in (translate, translations):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path / "notebooks"


def edit(path, id, change):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    (cell,) = (cell for cell in notebook["cells"] if cell["id"] == id)
    cell["source"] = change("".join(cell["source"]))
    path.write_text(json.dumps(notebook), encoding="utf-8")


@each_translation
def test_a_changed_english_paragraph_is_named_until_the_translation_is_marked(notebooks, language, monkeypatch):
    edit(notebooks / SOURCE / "1-attention.ipynb", "lookup-title", lambda text: text + "\n\nOne sentence more.")
    edit(notebooks / SOURCE / "1-attention.ipynb", "lookup", lambda text: text.replace("# (size,)", "# (width,)"))
    (prose, comment) = translations.changed(language)
    assert (prose.name, prose.state, comment.name) == ("1-attention/lookup-title", "stale", "1-attention/lookup")
    assert translations.difference(prose).startswith("  ### ")  # without git there is only the new text
    old = read(SOURCE, "1-attention")
    monkeypatch.setattr(translations, "git", lambda *asked: json.dumps(old) if asked[0] == "show" else "a commit")
    assert translations.difference(prose) == "  +\n  +One sentence more."
    translate.mark(language, ["1-attention/lookup-title"])
    assert [text.name for text in translations.changed(language)] == ["1-attention/lookup"]
    translate.mark(language, [])
    assert translations.changed(language) == []


@each_translation
@pytest.mark.parametrize("kind", ["README.md", *translations.TABLES.values()])
def test_a_changed_document_or_hint_is_named_but_no_measured_table(notebooks, language, kind):
    path = notebooks.parent / kind.format(SOURCE)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Of 2026", "Of 2027"), encoding="utf-8")
    assert translations.changed(language) == []
    path.write_text(text + "\n# new\n", encoding="utf-8")
    if kind != "README.md" and len(translations.read_tables(kind.format(language))) < 4:
        pytest.skip("nothing of it is translated yet")
    (changed,) = translations.changed(language)
    assert changed.state == "stale" and f".{language}." in changed.name or f"/{language}." in changed.name
    translate.mark(language, [changed.name])
    assert translations.changed(language) == []


SHORTER = {
    "ITERATIONS = 500": "ITERATIONS = 5",
    "range(8000)": "range(300)",
    "for _ in range(4):": "for _ in range(1):",
}


@pytest.fixture(scope="module")
def german(tmp_path_factory):
    """A course that has just begun a third language: run(what Python is given) in its folder."""
    root = tmp_path_factory.mktemp("course")
    unneeded = (".git", ".venv", ".*_cache", "__pycache__", "*.egg-info", "build", "work", "my-bert")
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*unneeded, "model.safetensors"), dirs_exist_ok=True)

    def run(*command, **settings):
        environment = os.environ | {"PYTHONPATH": str(root), "TORCHNLP_DATA": "sample"} | settings
        done = subprocess.run([sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    assert "de: 0 % translated (0 of " in run("scripts/translate.py", "new", "de")
    return root, run


@pytest.mark.slow
def test_a_third_language_passes_what_the_others_pass(german):
    _, run = german
    files = [f"tests/test_{name}.py" for name in ("notebooks", "project", "translations", "support")]
    files += ["tests/test_exercises.py::test_hints_say_the_same_things_in_the_language_of_the_notebooks_folder"]
    files += ["tests/test_benchmark.py::test_the_readme_shows_the_saved_figures"]
    assert " passed" in run("-m", "pytest", "-q", "-m", "not slow and not browser", "-k", "not stored_in_order", *files)
    assert "de: 0 % translated (0 of " in run("scripts/translate.py", "status")


@pytest.mark.slow
def test_a_third_language_runs_lesson_1_and_says_that_its_prose_is_english(german):
    root, run = german
    path = root / "notebooks" / "de" / "1-attention.ipynb"
    text = path.read_text(encoding="utf-8")
    for long, short in SHORTER.items():  # trained for a moment: that it runs is asked here, not what it finds
        assert text.count(long) == 1, long
        text = text.replace(long, short)
    path.write_text(text, encoding="utf-8")
    run("scripts/execute.py", "de", "1-attention")
    page = (root / "build" / "de" / "1-attention.html").read_text(encoding="utf-8")
    assert '<html lang="de">' in page and page.count(f'<div lang="{SOURCE}">') > 40
    assert 'lang="de">de</th>' in (root / "build" / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_is_translated_counts_and_stays(german):
    root, run = german
    edit(root / "notebooks" / "de" / "4-decoder.ipynb", "title", lambda text: "# Lektion 4")
    hints = root / "course" / "exercises" / "hints" / "de.toml"
    hints.write_text(hints.read_text("utf-8").replace('# solved = "✓ {number} solved"', 'solved = "✓ {number} gelöst"'))
    assert "(1 of " in run("scripts/translate.py", "status")
    edit(root / "notebooks" / SOURCE / "4-decoder.ipynb", "next-title", lambda text: text + " And more.")
    assert "stale: 4-decoder/next-title" in run("scripts/translate.py", "status", "de")
    said = run("scripts/translate.py", "update", "de")
    assert re.search(r"de: 0 % translated \(1 of \d+ cells, 1 of \d+ hints, 0 of .*\); 0 to look at again", said)
    notebook = json.loads((root / "notebooks" / "de" / "4-decoder.ipynb").read_text(encoding="utf-8"))
    told = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}
    assert told["title"] == "# Lektion 4" and told["next-title"].endswith(" And more.")
    assert "gelöst" in hints.read_text("utf-8")
