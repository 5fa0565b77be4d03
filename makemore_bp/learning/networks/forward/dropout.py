import torch

torch.manual_seed(9)
n, d, k, p = 16, 5, 12, 0.25
X = torch.randn(n, d)
y = torch.randn(n)
W1 = (torch.randn(d, k) / d**0.5).requires_grad_()
w2 = (torch.randn(k) / k**0.5).requires_grad_()
mask = (torch.rand(n, k) >= p) / (1 - p)

z = X @ W1
h = torch.tanh(z)
hdrop = h * mask
out = hdrop @ w2
error = out - y
loss = (error**2).mean()
