"""The lecture's exercises as files, and how far a learner has come with them.

templates.py            what stands in the files
writing.py              the files, written into a folder
checking.py             how far a learner has come
training.py             exercise 4: our loop, the learner's gradients
training_process.py     the process in which the learner's function runs
"""
