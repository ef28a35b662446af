"""The AG News download against a server of our own: whole or not at all, and never a long wait."""

import hashlib
import http.server
import multiprocessing
import socket
import threading
import time

import pytest

import torchnlp

FILES = {"train.csv": b'"1","peace talks"\n"2","late goal"\n' * 5000, "test.csv": b'"3","shares rise"\n'}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server, body = self.server, FILES[self.path.strip("/")]
        if server.mode == "hang":
            server.release.wait(20)
            return
        if server.mode == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            server.downloads.append(self.path)
            if server.mode == "cut":
                body = body[: len(body) // 2]
            elif server.mode == "altered":
                body = body.replace(b"goal", b"gaol").replace(b"rise", b"sink")
            elif server.mode == "stall":
                self.wfile.write(body[: len(body) // 2])
                server.release.wait(20)
                return
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.mode, server.downloads, server.release = "ok", [], threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.delenv("TORCHNLP_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torchnlp, "AG_NEWS_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(torchnlp, "AG_NEWS_MD5", {name: hashlib.md5(body).hexdigest() for name, body in FILES.items()})
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "torchnlp"


def is_sample(rows):
    return len(rows[0]) + len(rows[1]) == 1740


def notice(capsys):
    return " ".join(capsys.readouterr().out.split("Loading dataset...")[0].split())


def test_downloads_once_and_then_reads_the_cache(server, cache, capsys):
    train, test, _, _ = torchnlp.load_dataset()
    assert (len(train), test) == (10000, [(3, "shares rise")])
    assert notice(capsys) == "Data: AG News, the official files (downloaded, checksum verified)"
    assert sorted(path.name for path in cache.iterdir()) == ["test.csv", "train.csv"]
    torchnlp.load_dataset()
    assert "cached copy" in notice(capsys)
    assert len(server.downloads) == 2


def test_the_progress_bar_is_shown_and_no_path(server, tmp_path, capsys):
    torchnlp.load_dataset()
    shown = "".join(capsys.readouterr())
    assert "AG News train.csv: 100%" in shown
    assert str(tmp_path) not in shown


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("hang", "no answer within 0.5 seconds"),
        ("missing", "the server answered 404"),
        ("cut", "the connection broke off during the download"),
        ("stall", "the download stalled for 0.5 seconds"),
        ("altered", "not the official file (wrong checksum)"),
    ],
)
def test_a_failing_server_means_the_sample_a_notice_and_no_file(server, cache, monkeypatch, capsys, mode, says):
    monkeypatch.setattr(torchnlp, "TIMEOUT", 0.5)  # seconds
    server.mode = mode
    start = time.perf_counter()
    assert is_sample(torchnlp.load_dataset())
    assert time.perf_counter() - start < 3  # gives up after half a second, then reads the sample
    told = notice(capsys)
    assert "THIS IS NOT AG NEWS" in told and says in told and "TORCHNLP_DATA" in told
    assert not cache.exists() or list(cache.iterdir()) == []


def test_a_refused_connection(server, monkeypatch, capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setattr(torchnlp, "AG_NEWS_URL", f"http://127.0.0.1:{unused.getsockname()[1]}/")
        assert is_sample(torchnlp.load_dataset())
    assert "no connection to the server" in notice(capsys)


def test_a_corrupted_cache_is_downloaded_again(server, cache, capsys):
    torchnlp.load_dataset()
    (cache / "test.csv").write_bytes(b'"3","shares ri')
    assert torchnlp.load_dataset()[1] == [(3, "shares rise")]
    assert server.downloads == ["/train.csv", "/test.csv", "/test.csv"]


def test_a_corrupted_cache_without_network_is_not_read(server, cache, capsys):
    torchnlp.load_dataset()
    (cache / "test.csv").write_bytes(b'"3","shares ri')
    server.mode = "missing"
    capsys.readouterr()
    assert is_sample(torchnlp.load_dataset())
    assert "the cached copy is damaged" in notice(capsys)


def test_a_cache_folder_that_cannot_be_written(server, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert is_sample(torchnlp.load_dataset())
    told = notice(capsys)
    assert "cache folder cannot be written" in told and str(tmp_path) not in told


def _load(results):
    results.put(len(torchnlp.load_dataset()[0]))


def test_two_processes_download_at_once(server, cache):
    context = multiprocessing.get_context("fork")  # the children inherit the address of the test server
    results = context.Queue()
    children = [context.Process(target=_load, args=(results,)) for _ in range(2)]
    for child in children:
        child.start()
    assert [results.get(timeout=60) for _ in children] == [10000, 10000]
    for child in children:
        child.join(timeout=60)
    assert sorted(path.name for path in cache.iterdir()) == ["test.csv", "train.csv"]
    assert all((cache / name).read_bytes() == body for name, body in FILES.items())
