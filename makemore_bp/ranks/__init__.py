"""Several processes as one run: who started them, and how they speak with each other.

launch.py           what torchrun says about this process; needs no PyTorch
meeting.py          how the ranks of one attempt find each other
process_group.py    sums, gathers and agreements over torch.distributed
shares.py           which rows of a batch, which examples of a split are whose
"""
