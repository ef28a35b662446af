"""The AG News download against a server of our own: whole or not at all, and never a long wait."""

import hashlib
import http.server
import multiprocessing
import threading
import time

import pytest

import torchnlp

FILES = {"train.csv": b'"1","peace talks"\n"2","late goal"\n' * 5000, "test.csv": b'"3","shares rise"\n'}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, body = self.server, FILES[self.path.strip("/")]
        if server.mode == "hang":
            server.release.wait(20)  # seconds, or until the test has ended
        elif server.mode == "missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                server.downloads.append(self.path)
                half, altered = body[: len(body) // 2], body.replace(b"goal", b"gaol").replace(b"rise", b"sink")
                self.wfile.write({"cut": half, "stall": half, "altered": altered}.get(server.mode, body))
                if server.mode == "stall":
                    server.release.wait(20)

    do_HEAD = do_GET

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


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("torchnlp/*")}


def sample_notice(capsys):
    """What is said when the offline sample takes the place of AG News."""
    train, test, _, _ = torchnlp.load_dataset()
    assert len(train) + len(test) == 1740
    told = " ".join(capsys.readouterr().out.split())
    assert "THIS IS NOT AG NEWS" in told and "TORCHNLP_DATA" in told
    return told


def test_downloads_once_with_a_bar_and_then_reads_the_cache(server, tmp_path, capsys):
    train, test, _, _ = torchnlp.load_dataset()
    assert (len(train), test) == (10000, [(3, "shares rise")])
    out, err = capsys.readouterr()
    assert out.startswith("Data: AG News, the official files (downloaded, checksum verified)")
    assert "AG News train.csv: 100%" in err and str(tmp_path) not in out + err
    assert contents(tmp_path) == FILES
    torchnlp.load_dataset()
    assert "cached copy" in capsys.readouterr().out
    assert len(server.downloads) == 2


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("refused", "no connection to the server"),
        ("hang", "no answer within 0.5 seconds"),
        ("missing", "the server answered 404"),
        ("cut", "the connection broke off during the download"),
        ("stall", "the download stalled for 0.5 seconds"),
        ("altered", "not the official file (wrong checksum)"),
        ("unwritable", "the cache folder cannot be written"),
    ],
)
def test_a_failing_server_means_the_sample_a_notice_and_no_file(server, tmp_path, monkeypatch, capsys, mode, says):
    monkeypatch.setattr(torchnlp, "TIMEOUT", 0.5)  # seconds
    server.mode = mode
    if mode == "refused":
        server.shutdown()
        server.server_close()
    if mode == "unwritable":
        (tmp_path / "torchnlp").write_text("a file where the folder should be")
    start = time.perf_counter()
    told = sample_notice(capsys)
    assert says in told and str(tmp_path) not in told
    assert time.perf_counter() - start < 3  # gives up after half a second, then reads the sample
    assert contents(tmp_path) == {}


def test_a_corrupted_cache_is_downloaded_again_or_not_read(server, tmp_path, capsys):
    torchnlp.load_dataset()
    (tmp_path / "torchnlp" / "test.csv").write_bytes(b'"3","shares ri')
    assert torchnlp.load_dataset()[1] == [(3, "shares rise")]
    assert server.downloads == ["/train.csv", "/test.csv", "/test.csv"]
    (tmp_path / "torchnlp" / "test.csv").write_bytes(b'"3","shares ri')
    server.mode = "missing"
    capsys.readouterr()
    assert "the cached copy is damaged" in sample_notice(capsys)


def test_two_processes_download_at_once(server, tmp_path):
    with multiprocessing.get_context("fork").Pool(2) as pool:  # forked: they inherit the address of the server
        loads = [pool.apply_async(torchnlp.load_dataset) for _ in range(2)]
        assert [len(load.get(timeout=60)[0]) for load in loads] == [10000, 10000]
    assert contents(tmp_path) == FILES
