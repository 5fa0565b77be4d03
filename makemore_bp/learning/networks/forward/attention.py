import torch

torch.manual_seed(6)
n, T, d, h = 3, 5, 8, 4
x = torch.randn(n, T, d, requires_grad=True)
Wq = (torch.randn(d, h) / d**0.5).requires_grad_()
Wk = (torch.randn(d, h) / d**0.5).requires_grad_()
Wv = (torch.randn(d, h) / d**0.5).requires_grad_()
target = torch.randn(n, T, h)
future = torch.triu(torch.ones(T, T), 1).bool()

q = x @ Wq
k = x @ Wk
v = x @ Wv
scores = q @ k.transpose(1, 2)
scaled = scores * h**-0.5
masked = scaled.masked_fill(future, float("-inf"))
weights = torch.softmax(masked, 2)
out = weights @ v
error = out - target
loss = (error**2).mean()
