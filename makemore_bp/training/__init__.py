"""A run: its loop, its evaluation, and what it keeps on disk.

loop.py          the training loop
evaluation.py    batchnorm's statistics and the loss of a split
baselines.py     two losses to compare with
checkpoint.py    the complete state as one file
run_folder.py    the folder of a run: who may write there, and what stands in it
metrics.py       metrics.jsonl
parameter_statistics.py     how large parameters, gradients and updates are
"""
