import torch

torch.manual_seed(10)
n, d, V, s = 12, 6, 5, 0.1
X = torch.randn(n, d)
y = torch.randint(0, V, (n,))
W = (torch.randn(d, V) / d**0.5).requires_grad_()
b = torch.zeros(V, requires_grad=True)

logits = X @ W + b
logprobs = torch.log_softmax(logits, 1)
right = logprobs[range(n), y]
average = logprobs.mean(1)
smooth = (1 - s) * right + s * average
loss = -smooth.mean()
