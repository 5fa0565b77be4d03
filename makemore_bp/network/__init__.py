"""The heart: the makemore character MLP, forward and backward, written by hand.

Read it in this order; each file is one stage, its forward function above its backward rules.

    embedding.py             C[Xb], and the rows side by side
    linear.py                embcat @ W1 + b1, and h @ W2 + b2
    batchnorm.py             one operation a line      batchnorm_fused.py       in one line
    tanh.py                  the lecture's activation  relu.py                  another one
    dropout.py               h * mask, where it is asked for, and the output layer that reads it
    cross_entropy.py         one operation a line      cross_entropy_fused.py   in one line
    passes.py                all of them in a row: the network as a value
    parameters.py            what is learned, and where it starts
    stage.py                 what a stage is, and how a rule finds what it reads

Only functions of tensors: nothing here reads a file, a setting or a clock, and nothing calls
autograd. ``dx`` is always the derivative of the loss with respect to ``x``, of the shape of ``x``.
"""
