"""makemore-bp: the makemore character network, trained by backward passes written by hand.

cli/            what a person types and sees
report/         pictures of a run, and of many
experiments/    grids of runs, described by a file
learning/       a learner's own backward pass: run, judged, explained
gradcheck/      the check of hand-written gradients
sampling.py     words from a trained run; sampling_over_ranks.py, by several processes
training/       a run: its loop, its evaluation, its folder
engines/        how a chunk of steps is executed
ranks/          several processes as one run
network/        the heart: a file for each stage, forward above backward
dataset/        words become a vocabulary, examples and splits
config/         the configuration's keys, and how YAML becomes one
resources.py    the word lists and configurations that travel with the package
yaml_reading.py YAML from strangers
files.py        files that are written whole or not at all
text.py         text from strangers, made harmless for a terminal
errors.py       the ways in which the tool says no

A folder imports only from those below it.
"""

__version__ = "0.1.0"
