"""The check in a process that goes on: PyTorch is there already, and the answer is at once.

saves.py       which of some files was saved
session.py     what ``exercise watch`` knows and does, apart from the terminal
"""
