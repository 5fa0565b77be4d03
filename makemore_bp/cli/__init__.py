"""What a person types and sees: one module a command, each a thin layer over a library function.

PyTorch and everything that needs it is imported inside the commands, so that --help and --version
answer at once.
"""

from makemore_bp.cli.app import main

__all__ = ["main"]
