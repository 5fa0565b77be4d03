"""The instrument: every gradient of a backward pass against two references.

check.py                one check of a whole pass: run it, judge it, say whether it passed
judge.py                each gradient against autograd, and against its own rule
reference.py            autograd's gradients
finite_differences.py   the second reference: the loss a little to either side
running_error.py        how far rounding may carry a gradient
cases.py                batches on which a backward pass is wrong if it is ever wrong
setting.py              the parameters and the minibatch of a configuration
engine_gradients.py     the gradients that the native engine computes
distributed_check.py    every rank's gradients against the single process's
derivations.py          every gradient's derivation and its line of code
equations.py            the forward pass as a list of equations
"""
