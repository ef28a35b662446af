"""What several test files share: pages and decks that are built once, and a browser without a network."""

import shutil
import subprocess
from functools import cache

import pytest
from playwright.sync_api import sync_playwright

import pages
import play
from course.notebooks import read

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def built():
    """The HTML of a lesson, built once for all tests: built("page", "ko", "3-bert"), or "slides"."""

    @cache
    def build(kind, language, lesson):
        return pages.export(kind, read(language, lesson), language)

    return build


@pytest.fixture(scope="session")
def play_pages(tmp_path_factory):
    """A folder with the pages to play with, as `make` leaves them in build/."""
    folder = tmp_path_factory.mktemp("build")
    play.build(folder)
    return folder


@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM) as browser:
        yield browser


@pytest.fixture
def tab(chromium):
    """A tab of a slide's size without a network. Errors and requests that would leave the machine fail the test."""
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    page.context.set_offline(True)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or complaints.append(asked.url))
    page.set_default_timeout(60_000)
    yield page
    page.close()
    assert not complaints


@pytest.fixture
def show(tab, tmp_path):
    """A function that opens HTML in the tab; `query` is added to its address."""

    def open_html(html, query=""):
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        tab.goto(file.as_uri() + query)
        return tab

    return open_html


@pytest.fixture
def mount(tmp_path):
    """A function that mounts a disk and gives its folder: mount("-t", "tmpfs", "-o", "size=8m", "tmpfs")."""
    place, mounted = tmp_path / "disk", []
    place.mkdir()

    def mount_disk(*options):
        if not shutil.which("mount") or subprocess.run(["mount", *options, place], capture_output=True).returncode:
            pytest.skip("mounting a disk is not permitted here")
        mounted.append(place)
        return place

    yield mount_disk
    for disk in mounted:
        subprocess.run(["umount", "-l", disk], check=True)
