"""What a person types and sees: one module a command, each a thin layer over a library function.

PyTorch and everything that needs it is imported inside the commands, so that --help and --version
answer at once.
"""

__all__ = ["main"]


def main() -> None:
    """Runs the command line."""
    try:
        from makemore_bp.cli import app
    except KeyboardInterrupt:  # loading it takes long enough for a Ctrl-C
        raise SystemExit(130) from None
    app.main()
