"""Pictures of what happened in a run, and of several runs side by side.

history.py          metrics.jsonl as series of numbers
observations.py     what a run's latest state does with a minibatch
reproduce.py        the command line that gives the same run again
drawing.py          how a picture looks; as SVG for the page, as PNG beside it
style.py            how the page looks
loss_pictures.py    layer_pictures.py    parameter_pictures.py
page.py             one self-contained HTML file
run_report.py       the page of a run
experiment_folder.py    comparison.py       the page of an experiment's runs
output.py           where the files go
tensorboard.py      the same series for TensorBoard

Only drawing.py and the three files of pictures need matplotlib.
"""
