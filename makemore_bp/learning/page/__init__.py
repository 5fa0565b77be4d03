"""A backward pass as a picture: one self-contained HTML page.

model.py      what the page shows, as plain values
lecture.py    the lecture's network as such values
learner.py    a learner's pass through it
layout.py     where each tensor stands
graph.py      the network from the loss down
panel.py      what is said of one tensor
numbers.py    the tensors for the page's script
document.py   the whole file, with page.css and page.js

Nothing here knows where a verdict comes from.
"""
