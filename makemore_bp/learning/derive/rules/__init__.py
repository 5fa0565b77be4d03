"""One rule an operation, each with its derivation: what a forward line hands back.

operation.py    what an operation is, and how a rule says what goes where
recognition.py  which operation an expression is
elementwise.py  entry by entry: multiply by the slope
activations.py  the functions that make a layer not linear, entry by entry too
reductions.py   sums, means, variances, maxima
products.py     matrix products and einsum
shapes.py       views, transposes, concatenation, windows
indexing.py     rows and entries that are picked
losses.py       softmax, cross-entropy and layer normalisation as whole formulas
"""

from makemore_bp.learning.derive.rules import (
    activations,
    elementwise,
    indexing,
    losses,
    products,
    reductions,
    shapes,
)
from makemore_bp.learning.derive.rules.operation import RULES

__all__ = [
    "RULES",
    "activations",
    "elementwise",
    "indexing",
    "losses",
    "products",
    "reductions",
    "shapes",
]
