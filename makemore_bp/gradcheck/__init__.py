"""The instrument: hand-written gradients held against autograd and against the loss itself.

batch.py                a minibatch with its network and parameters; the first step of a run
reference.py            autograd's gradients
running_error.py        how far rounding may carry a gradient
judge.py                each gradient judged, against autograd and against its own rule
check.py                all of it together: the loss first, then every gradient
finite_differences.py   a second reference, which owes nothing to autograd
words.py                the words of a check's table
cases.py                batches on which a backward pass is wrong if it is ever wrong
equations.py            the forward pass as equations, read from the heart's source
derivations.py          every gradient's derivation, read from the heart's docstrings
"""
