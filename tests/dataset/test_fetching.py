"""The download, against a server on the loopback address."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from makemore_bp.dataset import fetching
from makemore_bp.errors import RequestError

CONTENT = b"emma\nolivia\nava\n"
LOGIN = "Basic " + base64.b64encode(b"user:pa ss").decode()


class Handler(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if "private" in self.path and self.headers["Authorization"] != LOGIN:
            self.send_error(401)
            return
        if "missing.txt" in self.path:
            self.send_error(404)
            return
        body = b"<html>log in</html>" if "wrong.txt" in self.path else CONTENT
        promised = len(body) + (100 if self.path.endswith("cut.txt") else 0)
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the tests' output clean."""


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def address(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    handler = type("Recording", (Handler,), {"asked": asked})
    monkeypatch.setattr(fetching, "LECTURE_SHA256", hashlib.sha256(CONTENT).hexdigest())
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_right_file_is_written_whole(address: str, tmp_path: Path) -> None:
    out = tmp_path / "names.txt"
    assert fetching.fetch(out, f"{address}/names.txt") == out
    assert out.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("file", "message"),
    [("wrong.txt", "SHA-256"), ("cut.txt", "cut off"), ("missing.txt", "404")],
)
def test_anything_else_is_refused_and_nothing_is_written(
    address: str, tmp_path: Path, file: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        fetching.fetch(tmp_path / "names.txt", f"{address}/{file}")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_drips_is_not_waited_for_for_ever(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "PATIENCE", -1.0)  # it is over after the first piece
    with pytest.raises(RequestError, match="too slow"):
        fetching.fetch(tmp_path / "names.txt", f"{address}/names.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["names.txt", "missing.txt", "wrong.txt"])
def test_a_password_in_the_address_reaches_the_server_and_no_message(
    address: str, asked: list[str], tmp_path: Path, file: str
) -> None:
    url = address.replace("//", "//user:pa%20ss@") + f"/private/{file}?token=secret"
    told = ""
    try:
        fetching.fetch(tmp_path / "names.txt", url)
    except RequestError as error:
        told = str(error)
    assert bool(told) == (file != "names.txt")
    assert not any(secret in told for secret in ("user", "pa%20ss", "pa ss", "secret"))


@pytest.mark.parametrize("url", ["ftp://me:pw@host/x", "http://me:pw@127.0.0.1:1/x", "x://me:pw@"])
def test_an_address_that_cannot_be_fetched_is_told_without_its_password(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as refused:
        fetching.fetch(tmp_path / "names.txt", url)
    assert "pw" not in str(refused.value)


def test_a_wrong_file_does_not_replace_an_old_one(address: str, tmp_path: Path) -> None:
    out = tmp_path / "names.txt"
    out.write_text("mine\n")
    with pytest.raises(RequestError, match="exists already"):
        fetching.fetch(out, f"{address}/names.txt")
    with pytest.raises(RequestError, match="SHA-256"):
        fetching.fetch(out, f"{address}/wrong.txt", overwrite=True)
    assert out.read_text() == "mine\n"


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="could not be downloaded"):
        fetching.fetch(tmp_path / "names.txt", "http://127.0.0.1:1/names.txt")


def test_the_proxy_of_the_environment_is_asked(
    address: str, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    fetching.fetch(tmp_path / "names.txt", "http://names.invalid/names.txt")
    assert asked == ["http://names.invalid/names.txt"]


def test_only_web_addresses_are_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    with pytest.raises(RequestError, match="https"):
        fetching.fetch(tmp_path / "names.txt", f"file://{secret}")
