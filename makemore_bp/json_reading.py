"""JSON from strangers: a file that another version, another program or an editor may have written.

What is not understood is answered with a paragraph that names the file and the key. Keys that a
model does not know are passed over: a later version may have added them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read


class Stored(BaseModel):
    """What a file says, as it says it."""

    model_config = ConfigDict(strict=True, frozen=True)


Kind = TypeVar("Kind", bound=Stored)


def read(path: Path, kind: type[Kind], fix: str) -> Kind | None:
    """What a JSON file says, or None where there is no such file.

    Raises RequestError, which names the file and the key and ends in ``fix``, for all else.
    """
    try:
        if path.is_file():
            return kind.model_validate(json.loads(path.read_bytes()))
        if not path.exists() and not path.is_symlink():
            return None
    except OSError as error:
        raise cannot_read(path, error) from None
    except ValidationError as error:
        raise _refused(path, error, fix) from None
    except (ValueError, RecursionError) as error:
        raise RequestError(
            "{path} is not JSON: {reason}. {fix}", path=path, reason=error, fix=fix
        ) from None
    raise RequestError("{path} is not a regular file. {fix}", path=path, fix=fix)


def _refused(path: Path, error: ValidationError, fix: str) -> RequestError:
    """The first mistake that pydantic found, in one sentence with its place."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "missing":
        said = "{path}: the key '{key}' is missing. {fix}"
        return RequestError(said, path=path, key=key, fix=fix)
    told = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
    where = "{path}: {key} {told}" if key else "{path} {told}"
    return RequestError(
        f"{where}, and it is {{got}}. {{fix}}",
        path=path,
        key=key,
        told=told,
        got=repr(first["input"])[:60],
        fix=fix,
    )
