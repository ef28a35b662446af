"""Each translation renders the English as it is now; a third language begins in English and passes the same tests."""

import json
import re
import shutil

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
    (changed,) = translations.changed(language)
    assert changed.state == "stale" and f".{language}." in changed.name or f"/{language}." in changed.name
    translate.mark(language, [changed.name])
    assert translations.changed(language) == []
