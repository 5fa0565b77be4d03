"""makemore-bp: the makemore character network, trained by backward passes written by hand."""

__version__ = "0.1.0"
