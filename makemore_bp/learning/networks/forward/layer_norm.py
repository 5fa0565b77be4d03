import torch

torch.manual_seed(3)
n, d = 8, 10
x = torch.randn(n, d, requires_grad=True)
gain = (1 + 0.1 * torch.randn(d)).requires_grad_()
bias = (0.1 * torch.randn(d)).requires_grad_()
target = torch.randn(n, d)

mean = x.mean(1, keepdim=True)
diff = x - mean
diff2 = diff**2
var = diff2.mean(1, keepdim=True)
var_inv = (var + 1e-5) ** -0.5
raw = diff * var_inv
out = gain * raw + bias
error = out - target
loss = (error**2).mean()
