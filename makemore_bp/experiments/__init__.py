"""Experiments: many runs described by one file, trained side by side, compared in one table.

schema.py       what an experiment's file may say
expansion.py    the file's grid, variants and seeds as runs, each with its configuration
command.py      a configuration as the command line that trains it
stored.py       what the JSON files of an experiment's folder may say
folder.py       the experiment on disk: the plan, what has become of each run, what a change redoes
worker.py       a process that trains the runs it is given, one after another
pool.py         the worker processes as their parent sees them
runner.py       plan, check, estimate, train
results.py      what a folder's runs have reached: the one reader, the one ranking
catalogue.py    every run below a folder, whoever has trained it, in a few facts
formats.py      the same as JSON, CSV, Markdown and a table

A run of an experiment is an ordinary run in a folder of its own. The parent process needs no
PyTorch: whatever computes, the checks before the start included, does so in a worker.
"""
