import torch

torch.manual_seed(7)
n, d, k = 6, 5, 7
x = torch.randn(n, d)
h = torch.randn(n, k, requires_grad=True)
Wr = (torch.randn(d + k, k) / (d + k) ** 0.5).requires_grad_()
br = torch.zeros(k, requires_grad=True)
Wz = (torch.randn(d + k, k) / (d + k) ** 0.5).requires_grad_()
bz = torch.zeros(k, requires_grad=True)
Wc = (torch.randn(d + k, k) / (d + k) ** 0.5).requires_grad_()
bc = torch.zeros(k, requires_grad=True)
target = torch.randn(n, k)

xh = torch.cat([x, h], 1)
rpre = xh @ Wr + br
r = torch.sigmoid(rpre)
zpre = xh @ Wz + bz
z = torch.sigmoid(zpre)
rh = r * h
xrh = torch.cat([x, rh], 1)
cpre = xrh @ Wc + bc
c = torch.tanh(cpre)
keep = (1 - z) * h
new = z * c
out = keep + new
error = out - target
loss = (error**2).mean()
