"""How a chunk of training steps is executed.

engine.py           what an engine is, and what it is asked to run
torch_engine.py     the heart's own passes and the update: every size and device
graph_engine.py     the same on a GPU, many steps in one launch
triton_engine.py    on a GPU too, in ten launches a step: fused passes only, within rounding
triton_step.py      those launches
triton_kernels.py   what they compute between the matrix products, and why it is the heart's
cuda_graphs.py      how work on a GPU is captured and replayed
native_engine.py    the same step as one C kernel: float32 on the CPU, several times faster
native/             that kernel
masks.py            dropout's masks, the same for all
fixed_order.py      one order for every sum that PyTorch takes
configured.py       what a configuration asks of a network and an engine
choice.py           the engines there are, which of them runs, and why

One loop trains with any of them. An engine owns the parameters while it runs, and knows nothing of
files, evaluation or schedules.
"""
