"""One rule an operation, each with its derivation: what a forward line hands back.

operation.py    what an operation is, and how a rule says what goes where
elementwise.py  entry by entry: multiply by the slope
reductions.py   sums, means, variances, maxima
products.py     matrix products and einsum
shapes.py       views, transposes, concatenation, windows
indexing.py     rows and entries that are picked
losses.py       softmax, cross-entropy and layer normalisation as whole formulas
"""

from makemore_bp.learning.derive.rules import (
    elementwise,
    indexing,
    losses,
    products,
    reductions,
    shapes,
)
from makemore_bp.learning.derive.rules.operation import RULES

__all__ = ["RULES", "elementwise", "indexing", "losses", "products", "reductions", "shapes"]
