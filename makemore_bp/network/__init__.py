"""The heart: the makemore character MLP, forward and backward, written by hand.

Read it in this order; each file is one stage, its forward function above its backward rules.

    embedding.py             C[Xb], and the rows side by side
    linear.py                embcat @ W1 + b1, and h @ W2 + b2
    batchnorm.py             one operation a line      batchnorm_fused.py       in one line
    tanh.py
    dropout.py               h * mask, where it is asked for
    cross_entropy.py         one operation a line      cross_entropy_fused.py   in one line
    passes.py                all of them in a row
    inference.py             the network as it is used after training
    parameters.py            what is learned, and where it starts
    stage.py                 how a rule finds what it reads

A batch whose rows lie with several processes: ranks.py says how their sums become one, and
batchnorm_distributed.py, batchnorm_fused_distributed.py and cross_entropy_distributed.py take the
place of the stages that look across the batch.

Only functions of tensors: nothing here reads a file, a setting or a clock, and nothing calls
autograd. ``dx`` is always the derivative of the loss with respect to ``x``, of the shape of ``x``.
"""
