"""The check in a process that goes on: PyTorch is there already, and the answer is at once.

saves.py       which of some files was saved
session.py     what ``exercise watch`` knows and does, apart from the terminal
present.py     a namespace judged as it is
history.py     the cells that made its gradients
verdict.py     the answer, as HTML and as text
magic.py       ``%gradcheck``, ``%%gradcheck``, and the function behind them
"""
