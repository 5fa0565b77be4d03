"""Runs the command line as ``python -m makemore_bp``."""

from makemore_bp.cli import main

if __name__ == "__main__":
    main()
