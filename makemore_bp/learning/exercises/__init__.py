"""The lecture's exercises as files, and how far a learner has come with them.

templates.py    the files' texts
writing.py      writes them
checking.py     how far a learner has come
training.py     exercise 4: our loop, the learner's gradients
"""
