import torch

torch.manual_seed(4)
n, d = 8, 10
x = torch.randn(n, d, requires_grad=True)
gain = (1 + 0.1 * torch.randn(d)).requires_grad_()
target = torch.randn(n, d)

x2 = x**2
ms = x2.mean(1, keepdim=True)
rms_inv = (ms + 1e-5) ** -0.5
raw = x * rms_inv
out = gain * raw
error = out - target
loss = (error**2).mean()
