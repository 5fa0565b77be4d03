"""Several processes as one run: all that concerns them. One process never needs to open it.

group.py            what ranks can say to each other, and ``ALONE``, the one that says it to itself
launch.py           what torchrun says about this process; needs no PyTorch
meeting.py          how the ranks of one attempt find each other
pulse.py            whether the other ranks still live
process_group.py    a group over torch.distributed
shares.py           which rows of a batch, which examples of a split are whose
batchnorm.py        the stages that look across a batch, with their messages, one operation a line
batchnorm_fused.py  the same in one line
cross_entropy.py    the loss of a batch whose rows lie with several ranks, both ways
network.py          a network made of them
engine.py           training steps: every rank takes its rows of each minibatch
data.py             the encoded words, mapped by every rank
sampling.py         fresh words drawn by all ranks
"""
