"""A learner's own backward pass: run, judged, explained.

script.py       one file, run in a process of its own, and what it left behind
child.py        how that process is started and stopped
process.py      the process itself
namespace.py    the names that a script finds
watch.py        what each statement made or changed
source.py       what can be read off a script without running it
failure.py      why a script did not come to its end
scope.py        which gradients a file owes
check.py        all of it together: run, judge, say what is wrong and what is next
derive/         any forward pass: its backward pass derived, a learner's own judged
networks/       exercises beyond the lecture
diagnosis/      from a wrong gradient to the kind of mistake
exercises/      the lecture's exercises as files, and how far a learner has come
"""
