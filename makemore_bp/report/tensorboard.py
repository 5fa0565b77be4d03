"""metrics.jsonl as event files, which TensorBoard shows."""

from __future__ import annotations

from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.report.history import History, Series
from makemore_bp.text import visible


def export(history: History, folder: Path) -> None:
    """Writes every series of ``history`` into a new event file in ``folder``, which is made.

    Raises RequestError if tensorboardX is missing, or if the folder holds event files already, for
    TensorBoard would show both as one.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise RequestError(
            "--tensorboard needs the package tensorboardX, which is not installed. Install it with "
            "pip install 'makemore-bp[tensorboard]', or pip install tensorboardX."
        ) from None
    if folder.is_dir() and any(folder.glob("events.out.tfevents.*")):
        raise RequestError(
            f"{visible(str(folder))} holds an export already, and TensorBoard would show both as "
            "one. Remove it, or name another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with SummaryWriter(logdir=str(folder)) as writer:
        for tag, series in _tagged(history).items():
            for step, value in zip(series.steps, series.values, strict=True):
                writer.add_scalar(tag, float(value), int(step))


def _tagged(history: History) -> dict[str, Series]:
    """The series by the name under which TensorBoard lists them; a slash makes a group."""
    tags = {
        "loss/minibatch": history.loss,
        "loss/train": history.train,
        "loss/val": history.val,
        "learning_rate": history.lr,
    }
    for kind, of_parameters in history.sizes.items():
        tags |= {f"{kind}/{name}": series for name, series in of_parameters.items()}
    return tags
