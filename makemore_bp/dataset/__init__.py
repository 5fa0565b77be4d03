"""Words become a vocabulary, training examples and three splits.

words.py        a file of words, read and checked line by line
packed.py       words as three arrays
vocabulary.py   characters to ids and back
examples.py     contexts and targets, as windows on one stream of ids
splits.py       the lecture's shuffle and cuts
statistics.py   what a file of words holds, as numbers
counting.py     how often each context occurs, in bounded memory
mapped.py       the encoded words as a file that several processes map
fetching.py     the lecture's names.txt from its public address
"""

from makemore_bp.dataset.examples import Examples
from makemore_bp.dataset.splits import SPLITS, Dataset, load
from makemore_bp.dataset.vocabulary import Vocabulary

__all__ = ["SPLITS", "Dataset", "Examples", "Vocabulary", "load"]
