"""makemore-bp: the makemore character network, trained by backward passes written by hand."""

__version__ = "0.1.0"


def load_ipython_extension(shell: object) -> None:
    """Called by ``%load_ext makemore_bp`` in a notebook."""
    from makemore_bp.learning.live.magic import load

    load(shell)
