import torch

torch.manual_seed(1)
n, d = 16, 5
X = torch.randn(n, d)
y = (torch.rand(n) < 0.5).float()
w = torch.randn(d, requires_grad=True)
b = torch.zeros(1, requires_grad=True)

z = X @ w + b
p = torch.sigmoid(z)
right = y * p + (1 - y) * (1 - p)
logright = right.log()
loss = -logright.mean()
