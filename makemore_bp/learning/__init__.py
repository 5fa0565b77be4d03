"""A learner's own backward pass: run, judged, explained.

What a person's command talks to, without PyTorch:

    reading.py      the text of a file, or why there is none
    checkers.py     has files checked, in processes of their own
    supervised.py   a script that ends its own process, and a second try up to there
    answer.py       what an answer says
    grading.py      many hand-ins at once

What runs in the file's process:

    worker.py       imports PyTorch once, and forks a process for each file
    job.py          one request: a check, or a training
    check.py        all of it together: run, judge, say what is wrong and what is next
    script.py       one file, run as a plain script would be, and watched
    limits.py       how far it may go
    namespace.py    the names that it finds
    failure.py      why it did not come to its end
    trace.py        what it had at each of its statements
    blocks.py       its statements in a row, and where each gradient is made
    places.py       where it keeps its gradients, by whatever name
    source.py       what can be read off it without running it
    values.py       what a name holds, as a gradient
    scope.py        which gradients a file owes
    truth.py        what a pass is held to, whatever network it belongs to
    lecture.py      the lecture's network as such a truth
    diagnosis/      from a wrong gradient to the mistake in the learner's line
    exercises/      the lecture's exercises as files, and how far a learner has come
"""
