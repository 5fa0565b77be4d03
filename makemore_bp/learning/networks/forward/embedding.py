import torch

torch.manual_seed(5)
n, T, V, d = 4, 6, 9, 8
X = torch.randint(0, V, (n, T))
y = torch.randint(0, V, (n, T))
table = torch.randn(V, d, requires_grad=True)
places = (0.1 * torch.randn(T, d)).requires_grad_()
W = (torch.randn(d, V) / d**0.5).requires_grad_()

emb = table[X]
x = emb + places
logits = x @ W
logprobs = torch.log_softmax(logits, 2)
picked = logprobs.gather(2, y[:, :, None])
loss = -picked.mean()
