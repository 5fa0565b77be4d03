"""The trained network inside a page, where the page's script draws words with it.

The parameters travel as they are in the checkpoint, base64 of little-endian floats in the run's own
precision; the script computes with them in double precision.
"""

from __future__ import annotations

import base64
from typing import Any

from torch import Tensor

from makemore_bp.engines import configured
from makemore_bp.errors import RequestError
from makemore_bp.network.batchnorm import EPS
from makemore_bp.pages.document import GENERATOR, text
from makemore_bp.report import page
from makemore_bp.report.letters import shown_characters
from makemore_bp.text import is_hidden, visible
from makemore_bp.training.checkpoint import Checkpoint

LARGEST = 2_000_000  # characters of all parameters; a page stays below 3 MB
LONGEST = 60  # characters of a word
SEED = 2_147_483_657 % 2**32  # the lecture's for sampling, in the 32 bits that the script's has
TOO_LARGE = (
    "This network is too large to stand in a page. 'makemore-bp sample' draws words with it."
)
_SECTION = f"""<noscript><p>The network draws words with JavaScript, which is switched off here.</p>
</noscript>
<div class="playing" hidden>
<div class="controls">
<label>Begin with <input name="prefix" type="text" maxlength="{LONGEST}" autocomplete="off"
autocapitalize="none" spellcheck="false" dir="auto"></label>
<label><span>Temperature <output data-part="degrees"></output></span>
<input name="temperature" type="range" min="0.1" max="2" step="0.05" value="1"></label>
<label>Seed <input name="seed" type="number" min="0" max="{2**32 - 1}" step="1" value="{SEED}">
</label>
<button type="button" data-part="fresh">New words</button>
</div>
<p class="unknown" data-part="unknown" role="status" hidden></p>
<div><h3>The next character <span data-part="what"></span></h3>
<ul class="bars" data-part="bars"></ul><p data-part="rest" hidden></p></div>
<div><h3>Words</h3><ul class="words" data-part="words"></ul></div>
</div>
"""
_EXPLANATION = (
    "The network is in this page, and draws words as you change the prefix, the temperature or the "
    "seed. A temperature below 1 gives likelier words, one above 1 wilder ones. A click on a "
    "character appends it."
)


def section(network: dict[str, Any] | None) -> str:
    """The HTML of the part of a page in which the network stands, or why it does not."""
    return page.paragraph(_EXPLANATION if network else TOO_LARGE) + (_SECTION if network else "")


def network(saved: Checkpoint) -> dict[str, Any] | None:
    """The network of a run as plain values; None where it would make the page too large."""
    model, characters = saved.config.model, saved.vocabulary.characters
    statistics = {"bnmean": saved.statistics.bnmean, "bnvar": saved.statistics.bnvar}
    parameters = {name: _encoded(p) for name, p in {**saved.parameters, **statistics}.items()}
    if sum(map(len, parameters.values())) > LARGEST:
        return None
    return {
        "activation": configured.network(saved.config).kind("activation"),
        "block_size": model.block_size,
        "n_embd": model.n_embd,
        "eps": EPS,
        "longest": LONGEST,
        "characters": list(characters),
        "labels": shown_characters(saved.vocabulary),
        "escapes": {id: visible(c) for id, c in enumerate(characters, 1) if is_hidden(c)},
        "dtype": saved.config.dtype,
        "parameters": parameters,
    }


def network_page(saved: Checkpoint, title: str, maker: str = "makemore-bp") -> str:
    """A page that holds nothing but the network of a run, to be put on a web site.

    maker: see ``document``. Raises RequestError for a network that would make the page too large.
    """
    found = network(saved)
    if found is None:
        raise RequestError(
            f"{TOO_LARGE} It would be more than {LARGEST:,} characters; take another --format."
        )
    body = (
        f"<header><h1>{text(title)}</h1></header>\n<main>\n{section(found)}</main>\n"
        f"<footer>{GENERATOR}</footer>\n"
    )
    return page.with_script(title, body, {}, found, maker=maker)


def _encoded(parameter: Tensor) -> str:
    array = parameter.detach().cpu().numpy()
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
