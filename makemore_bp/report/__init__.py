"""Pictures of what happened in a run, and of several runs side by side.

history.py              metrics.jsonl as series of numbers
observations.py         what a run's latest state does with a minibatch
drawing.py              how a picture looks; as SVG for the page, as PNG beside it
fonts.py                fonts for characters that matplotlib's own does not have
loss_pictures.py        the loss over the steps of a run
layer_pictures.py       the hidden layer, the embedding and the logits
parameter_pictures.py   gradients and updates of each parameter
experiment_pictures.py  many runs, in the order in which experiments.results ranks them
page.py                 one self-contained HTML file
style.py                its style sheet
run_report.py           the page of a run
comparison.py           the page of an experiment
output.py               where the files go
tensorboard.py          the same series for TensorBoard

Only drawing.py, fonts.py and the four modules of pictures need matplotlib.
"""
