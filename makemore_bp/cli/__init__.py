"""What a person types and sees: one module a command, each a thin layer over a library function.

app.py              the commands together, and how an error reaches the person
train.py            sample.py       evaluate.py     gradcheck.py    exercise.py     experiment.py
run.py              report.py       config.py       data.py         derive.py       export.py
                    one command each
watch.py            picture.py      what of gradcheck and exercise stays on the screen
options.py          the options that several commands share, and the run that is meant without one
bundled.py          what comes with the program: listed, and copied
progress.py         experiment_progress.py          what is shown while a run or experiment goes on
bars.py             what the two share
tables.py           gradcheck_tables.py             learner_tables.py       run_tables.py
curve.py            report_text.py  the report in characters
streams.py          standard streams that are closed, full or broken
interrupts.py       Ctrl-C, however often it is pressed

PyTorch and everything that needs it is imported inside the commands, so that --help and --version
answer at once.
"""

from makemore_bp.cli import interrupts

__all__ = ["main"]


def main() -> None:
    """Runs the command line."""
    with interrupts.once():
        try:
            from makemore_bp.cli import app
        except KeyboardInterrupt:  # loading it takes long enough for a Ctrl-C
            raise SystemExit(130) from None
        app.main()
