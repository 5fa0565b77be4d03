import torch

torch.manual_seed(8)
n, channels, length, width, filters = 4, 3, 12, 5, 6
x = torch.randn(n, channels, length, requires_grad=True)
W = (torch.randn(channels, width, filters) / (channels * width) ** 0.5).requires_grad_()
b = torch.zeros(filters, requires_grad=True)
target = torch.randn(n, length - width + 1, filters)

windows = x.unfold(2, width, 1)
rows = windows.permute(0, 2, 1, 3)
flat = rows.reshape(n, length - width + 1, channels * width)
kernel = W.reshape(channels * width, filters)
out = flat @ kernel + b
error = out - target
loss = (error**2).mean()
