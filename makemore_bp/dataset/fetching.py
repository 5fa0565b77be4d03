"""The lecture's names.txt from its public address, verified."""

from __future__ import annotations

import base64
import hashlib
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from makemore_bp import __version__
from makemore_bp.errors import RequestError
from makemore_bp.files import write_whole

LECTURE_URL = "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt"
LECTURE_SHA256 = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"
LECTURE_WORDS = 32_033
MAX_BYTES = 2**20
TIMEOUT = 30.0  # seconds without an answer
PATIENCE = 120.0  # seconds for the whole file


def fetch(out: Path, url: str = LECTURE_URL, overwrite: bool = False) -> Path:
    """Downloads the file to ``out`` if its SHA-256 is the lecture's, and returns ``out``.

    The proxies of the environment (``https_proxy`` and the like) are used. Raises RequestError,
    leaving ``out`` as it was, if the address does not answer or what it sends is not the file.
    """
    if out.is_dir():
        out = out / "names.txt"
    if out.exists() and not overwrite:
        raise RequestError(
            "{out} exists already. Replace it by --overwrite, or take another --out.", out=out
        )
    url, login = _apart(url)
    if not url.startswith(("https://", "http://")):
        raise RequestError("--url {url}: must begin with https:// or http://.", url=_shown(url))
    content = _download(url, login)
    found = hashlib.sha256(content).hexdigest()
    if found != LECTURE_SHA256:
        raise RequestError(
            "{url} sent {length:,} bytes whose SHA-256 is {found}…, not the lecture's {expected}…. "
            "Nothing was written. If the address is right, a proxy or a login page may stand "
            "between.",
            url=_shown(url),
            length=len(content),
            found=found[:16],
            expected=LECTURE_SHA256[:16],
        )
    write_whole(out, content)
    return out


def _apart(url: str) -> tuple[str, str]:
    """The address without the ``name:password@`` that may stand in it, and that."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    login, _, host = host.rpartition("@")
    return f"{scheme}{separator}{host}{slash}{path}", login


def _download(url: str, login: str) -> bytes:
    try:
        request = urllib.request.Request(url, headers={"User-Agent": f"makemore-bp/{__version__}"})
        if login:  # not for a server that this one sends us on to
            basic = base64.b64encode(urllib.parse.unquote(login).encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {basic}")
        # A new opener, because the shared one keeps the proxies of its first use.
        opener = urllib.request.build_opener()
        with opener.open(request, timeout=TIMEOUT) as response:
            content = _read(response, url)
            promised = response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise RequestError(
            "{url} answers {code} {reason}. Name another address of the file by --url.",
            url=_shown(url),
            code=error.code,
            reason=error.reason,
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise RequestError(
            "{url} could not be downloaded: {reason}. Check the connection and the proxy settings, "
            "or name another address by --url.",
            url=_shown(url),
            reason=reason,
        ) from None
    if promised is not None and promised.isdecimal() and len(content) < int(promised) <= MAX_BYTES:
        raise RequestError(
            "{url} was cut off after {got:,} of {promised:,} bytes. Try again.",
            url=_shown(url),
            got=len(content),
            promised=int(promised),
        )
    return content


def _read(response: http.client.HTTPResponse, url: str) -> bytes:
    """The body, as far as it may be long; it has to come within ``PATIENCE``, drop by drop or not.

    Raises RequestError if it does not.
    """
    until, content = time.monotonic() + PATIENCE, b""
    while len(content) <= MAX_BYTES and (piece := response.read1(MAX_BYTES)):
        content += piece
        if time.monotonic() > until:
            raise RequestError(
                "{url} has sent {got:,} bytes in {seconds:.0f} s, which is too slow. Try again "
                "later, or name another address by --url.",
                url=_shown(url),
                got=len(content),
                seconds=PATIENCE,
            )
    return content


def _shown(url: str) -> str:
    """The address without what follows its ``?``, where a secret may stand."""
    return url.partition("?")[0]
