"""Pictures of what happened in a run, and of several runs side by side.

history.py              metrics.jsonl as series of numbers
observations.py         what a run's latest state does with a minibatch
drawing.py              how a picture looks; as SVG for the page, as PNG beside it
fonts.py                fonts for characters that matplotlib's own does not have
loss_pictures.py        the loss over the steps of a run
layer_pictures.py       the hidden layer, the embedding and the logits
parameter_pictures.py   gradients and updates of each parameter
experiment_pictures.py  many runs, in the order in which experiments.results ranks them
numbers.py              the numbers of a picture, read from its axes, for the page's script
letters.py              characters as labels, and which are vowels
expectations.py         what the network expects: next characters, and the least likely words
facts.py                when, where and how fast a run was trained
playing.py              the network inside a page, where it draws words
page.py                 the parts of a page, with report.css and the scripts below
run_report.py           the page of a run
comparison.py           the page of an experiment
output.py               where the files go
tensorboard.py          the same series for TensorBoard

Only drawing.py, fonts.py, numbers.py and the four modules of pictures need matplotlib.

The scripts, in the order in which each uses what stands before it:

script/drawing.js   SVG elements, scales, ticks, numbers as text
script/frame.js     a picture with two axes, its view, and pointer, touch and keyboard
script/lines.js     lines with a legend
script/points.js    points with names: the embedding
script/cells.js     pictures of cells, whose numbers are read one by one
script/network.js   the forward pass, the generator, words
script/playing.js   the network in the hands of whoever reads the page
script/start.js     brings the page to life

They use no library. uPlot (50 kB) was weighed: it draws on a canvas, which is not sharp on paper
and takes no colours from a style sheet, and it has neither keyboard nor touch. What it would save
is ticks and paths, about a hundred lines.
"""
