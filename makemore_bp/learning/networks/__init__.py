"""Exercises beyond the lecture: small networks, each with something new in it.

exercises.py   the list, the file to fill in, the solution, and how far a learner has come
facts.toml     name, title and what is new, one entry an exercise
forward/       the forward pass of each, a script that runs
"""
