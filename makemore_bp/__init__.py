"""makemore-bp: the makemore character network, trained by backward passes written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from makemore_bp.learning.live.verdict import Verdict

__version__ = "0.1.0"


def check(names: Mapping[str, Any], picture: bool = False) -> Verdict:
    """The verdict on the gradients in a namespace: ``check(globals())`` in a notebook.

    Raises RequestError if it holds no forward pass to judge by.
    """
    from makemore_bp.learning.live.magic import check as judged

    return judged(names, picture)


def load_ipython_extension(shell: object) -> None:
    """Called by ``%load_ext makemore_bp`` in a notebook."""
    from makemore_bp.learning.live.magic import load

    load(shell)
