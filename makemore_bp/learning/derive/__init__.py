"""Any forward pass: read from a file that runs, differentiated line by line, and judged.

instrument.py    rewrites a file so that its run can be watched
recorder.py      the run, and which tensors it made from which
tracker.py       what one statement did to them
moments.py       what the names led to before each statement
ledger.py        which tensor is which of them, and its names
flatten.py       an expression of the file over the run's tensors
program.py       the result: one tensor a line, loops unrolled, functions inlined
naming.py        the tensors' names in it
conventions.py   which is the loss, which gradient belongs to which tensor
reading.py       all of it from a path, with an answer for every file
local_truth.py   the true gradients, line by line, with what rounding may do
named_truth.py   the same by the tensors' names, as blame and repair ask for it
rules/           one rule an operation, with its derivation
derivation.py    the backward pass from the rules
statements.py    its terms as statements
writing.py       the derivation as a file that runs
explaining.py    one gradient of it in words
checking.py      a learner's gradients held against the truth
replay.py        a gradient's statements, run again with true gradients flowing in
suspicion.py     what is wrong with it
bench.py         its statements with one thing changed, for diagnosis.repair
own_network.py   the check of a file, in a process of its own
process.py       that process
"""
