"""A run: its loop, its evaluation, and what it keeps on disk.

start.py                    how a run begins: new or resumed, in one process or over ranks
loop.py                     the training loop
evaluation.py               batchnorm's statistics and the loss of a split
run_evaluation.py           the losses of a run that is on disk
baselines.py                two losses to compare with
checkpoint.py               the complete state as one file
checkpoint_header.py        what that file says about itself
run_folder.py               the folder of a run: who may write there, and what stands in it
about.py                    what a run is called, when, how and where it was trained
metrics.py                  metrics.jsonl
smoothing.py                the loss that a person is shown: a running mean
parameter_statistics.py     how large parameters, gradients and updates are
memory.py                   whether a run would fit in this machine's memory
probe.py                    how long steps and evaluations take, measured on a few
"""
