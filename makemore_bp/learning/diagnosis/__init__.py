"""From a wrong gradient to the mistake in the learner's own line.

    kinds.py        the kinds of mistakes, and what a diagnosis is
    world.py        the worlds in which statements are run again, and when a value is true there
    replay.py       a gradient's statements, run again in a world where all else is right
    running.py      how they are run: bounded, in a namespace of their own
    walk.py         every expression of a statement, with a function that exchanges it
    edits.py        every change of one thing in a statement,
    operations.py   ... in an expression,
    missing.py      ... something put around an expression,
    calls.py        ... in a call,
    indices.py      ... in brackets,
    slopes.py       ... in a slope,
    parentheses.py  ... in how an expression is grouped
    shapes.py       what an expression is
    repair.py       the change that makes the gradient true
    mistake.py      a repair, or what the value shows: for the lecture's network and any other
    named.py        mistakes known by the value that they leave behind
    forms.py        a gradient as a sum of branches
    blame.py        all of these together: what is wrong with one gradient
    numbers.py      names for the factors by which a gradient may be off
    compare.py      when two tensors agree, when one is a multiple of another
    rounding.py     why a gradient that is right is not exact
    examination.py  all gradients of a script, from the loss downwards

A hypothesis counts only if it gives the true numbers, in float64. If none does, the kind is
``unknown``.
"""
