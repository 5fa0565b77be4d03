"""A trained network as a file for use elsewhere.

writing.py       the formats by name, and writing one
trained.py       what every format holds: the tensors, and the facts about them
html_file.py     a web page in which the network draws words
onnx_file.py     a graph that onnxruntime opens
torch_file.py    a module of plain PyTorch, with its weights beside it
json_file.py     every number as text

Each format is a module with one ``FORMAT``. None of them states the network: they write down the
equations that the stages themselves consist of (``gradcheck.equations.trained``). Only the page has
the script of reports, which tests hold against the network.
"""
