import torch

torch.manual_seed(2)
n, d, k, V = 16, 5, 12, 4
X = torch.randn(n, d)
y = torch.randint(0, V, (n,))
W1 = (torch.randn(d, k) * (2 / d) ** 0.5).requires_grad_()
b1 = torch.zeros(k, requires_grad=True)
W2 = (torch.randn(k, V) * (2 / k) ** 0.5).requires_grad_()
b2 = torch.zeros(V, requires_grad=True)

z = X @ W1 + b1
h = torch.relu(z)
logits = h @ W2 + b2
logprobs = torch.log_softmax(logits, 1)
loss = -logprobs[range(n), y].mean()
