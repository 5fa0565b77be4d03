"""The lecture's names.txt from its public address, verified."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from makemore_bp import __version__
from makemore_bp.errors import RequestError
from makemore_bp.files import write_whole
from makemore_bp.text import visible

LECTURE_URL = "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt"
LECTURE_SHA256 = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"
LECTURE_WORDS = 32_033
MAX_BYTES = 2**20
TIMEOUT = 30.0  # seconds without an answer


def fetch(out: Path, url: str = LECTURE_URL, overwrite: bool = False) -> Path:
    """Downloads the file to ``out`` if its SHA-256 is the lecture's, and returns ``out``.

    The proxies of the environment (``https_proxy`` and the like) are used. Raises RequestError,
    leaving ``out`` as it was, if the address does not answer or what it sends is not the file.
    """
    if out.is_dir():
        out = out / "names.txt"
    if out.exists() and not overwrite:
        raise RequestError(
            f"{visible(str(out))} exists already. Replace it by --overwrite, or take another --out."
        )
    if not url.startswith(("https://", "http://")):
        raise RequestError(f"--url {visible(url)}: must begin with https:// or http://.")
    content = _download(url)
    found = hashlib.sha256(content).hexdigest()
    if found != LECTURE_SHA256:
        raise RequestError(
            f"{visible(url)} sent {len(content):,} bytes whose SHA-256 is {found[:16]}…, not the "
            f"lecture's {LECTURE_SHA256[:16]}…. Nothing was written. If the address is right, a "
            "proxy or a login page may stand between."
        )
    write_whole(out, content)
    return out


def _download(url: str) -> bytes:
    shown = visible(url)
    try:
        request = urllib.request.Request(url, headers={"User-Agent": f"makemore-bp/{__version__}"})
        # A new opener, because the shared one keeps the proxies of its first use.
        opener = urllib.request.build_opener()
        with opener.open(request, timeout=TIMEOUT) as response:
            content: bytes = response.read(MAX_BYTES + 1)
            promised = response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise RequestError(
            f"{shown} answers {error.code} {visible(str(error.reason))}. Name another address of "
            "the file by --url."
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise RequestError(
            f"{shown} could not be downloaded: {visible(str(reason))}. Check the connection and "
            "the proxy settings, or name another address by --url."
        ) from None
    if promised is not None and promised.isdecimal() and len(content) < int(promised) <= MAX_BYTES:
        raise RequestError(
            f"{shown} was cut off after {len(content):,} of {int(promised):,} bytes. Try again."
        )
    return content
