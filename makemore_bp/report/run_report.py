"""The page of a run."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from makemore_bp.experiments import command
from makemore_bp.gradcheck.words import HEADINGS
from makemore_bp.report import facts, page, playing
from makemore_bp.report.drawing import Picture, Rendered, render
from makemore_bp.report.expectations import Expectations, Surprise
from makemore_bp.report.layer_pictures import layer_pictures, output_pictures
from makemore_bp.report.loss_pictures import loss_pictures
from makemore_bp.report.observations import Observations, saturated
from makemore_bp.report.page import Section
from makemore_bp.report.parameter_pictures import gradient_histogram, parameter_pictures
from makemore_bp.text import letter
from makemore_bp.training import run_folder

SPLITS = {"train": "train", "val": "validation", "test": "test"}
NO_SIZES = (
    "This run recorded no sizes of gradients: it was trained by an earlier version, or has not "
    "evaluated yet."
)


def run_report(seen: Observations) -> tuple[str, list[Rendered]]:
    """The HTML of a run's page, and its pictures."""
    rendered: list[Rendered] = []

    def drawn(pictures: list[Picture]) -> str:
        fresh = [render(picture) for picture in pictures]
        rendered.extend(fresh)
        return page.pictures(fresh)

    parameters = parameter_pictures(seen.history)
    network = playing.network(seen.saved)
    sections = [
        Section("loss", "Loss", _losses(seen) + drawn(loss_pictures(seen.history, seen.losses))),
        Section("network", "The network", playing.section(network)),
        Section("layer", "The hidden layer", _activations(seen) + drawn(layer_pictures(seen))),
        Section(
            "gradients",
            "Gradients and updates",
            drawn([*parameters, gradient_histogram(seen.gradients)])
            + (_sizes(seen) if parameters else page.paragraph(NO_SIZES)),
        ),
        Section("outputs", "Embedding and outputs", drawn(output_pictures(seen))),
        Section("names", "Fresh words", _names(seen)),
        Section("surprises", "The least likely words", _surprises(seen.expected)),
        Section("gradcheck", "Gradients against autograd", _gradcheck(seen)),
        Section("configuration", "Configuration", _configuration(seen)),
    ]
    title = f"Run {seen.folder.resolve().name}"
    lead = _lead(seen) + facts.table(seen.folder)
    return page.page(title, lead, sections, rendered, network), rendered


def _lead(seen: Observations) -> str:
    saved = seen.saved
    count = sum(parameter.numel() for parameter in saved.parameters.values())
    steps = saved.config.train.steps
    done = f"{saved.step:,}" if saved.step == steps else f"{saved.step:,} of {steps:,}"
    return page.paragraph(
        f"A network of {count:,} parameters over {len(saved.vocabulary)} characters (the boundary "
        f"included), trained for {done} steps on {seen.train_examples:,} examples with the "
        f"{saved.engine} engine. What is shown of its inside is one minibatch of "
        f"{seen.now['n']} examples, the one it would train on next."
    )


def _losses(seen: Observations) -> str:
    losses = seen.losses
    both = losses["baselines"]
    rows = [
        (name, *map(_four, (losses[f"{split}_loss"], both["bigram"][split], both["uniform"])))
        for split, name in SPLITS.items()
    ]
    return page.table("Nats per character", ("split", "network", "bigram", "uniform"), rows) + (
        page.paragraph(
            "Bigram counts which character follows which, uniform knows nothing: a network that "
            "does not beat the first has learned no more than pairs."
        )
    )


def _activations(seen: Observations) -> str:
    rows = []
    for moment, record in (("at the start", seen.start), ("now", seen.now)):
        cells = [f"{_mean_std(record[name])}" for name in ("hprebn", "hpreact", "h")]
        flat = saturated(seen, record)
        rows.append(
            (moment, *cells, f"{float(flat.double().mean()):.1%}", f"{int(flat.all(0).sum()):,}")
        )
    return page.table(
        "Mean and standard deviation over the minibatch",
        ("", "hprebn", "hpreact", "h", "saturated", "units saturated throughout"),
        rows,
    ) + page.paragraph(
        "Batchnorm turns hprebn into hpreact. Standard deviations near 1 before a tanh keep most "
        "of its outputs out of the flat ends."
    )


def _sizes(seen: Observations) -> str:
    kinds = seen.history.sizes
    rows = []
    for name in kinds["weight"]:
        ratios = kinds["update_ratio"][name]
        ends = (ratios.values[0], ratios.last) if len(ratios) else (None, None)
        weight, gradient = kinds["weight"][name].last, kinds["gradient"][name].last
        rows.append((name, _small(weight), _small(gradient), *map(_two, ends)))
    return page.table(
        "Standard deviations at the last evaluation, and log10 of update to weight",
        ("parameter", "weight", "gradient", "first ratio", "last ratio"),
        rows,
    )


def _names(seen: Observations) -> str:
    names = seen.names
    said = (
        f"Of {names.drawn:,} words drawn, {names.new:,} are not in the data file. Many known ones "
        "mean a network that learned its list by heart; unreadable new ones, a network that has "
        "not learned enough."
    )
    shown = [(word or "(nothing)", new) for word, new in names.shown]
    return page.paragraph(said) + page.names(shown)


def _surprises(expected: Expectations) -> str:
    said = (
        f"Of {expected.words:,} words of the data file, those that the network would be the last "
        "to write, by their loss per character: often typing mistakes, other languages, or rare "
        "letters. A network that has learned little finds all words much alike."
    )
    rows = [
        (one.word, f"{one.loss:.2f}", _expected_least(one), f"{one.probability:.2%}")
        for one in expected.surprises
    ]
    columns = ("word", "nats per character", "least expected", "its probability")
    return page.paragraph(said) + page.table("The least likely first", columns, rows)


def _expected_least(one: Surprise) -> str:
    if one.place == len(one.word):
        return "its end"
    character = letter(one.word[one.place])
    if one.place == 0:
        return f"{character} at the beginning"
    return f"{character} after {letter(one.word[one.place - 1])}"


def _gradcheck(seen: Observations) -> str:
    reports = seen.check.tensors
    right = sum(report.passed for report in reports)
    exact = sum(report.exact for report in reports)
    rows = [
        (
            report.name,
            " x ".join(map(str, report.shape)),
            report.status,
            "-" if report.max_abs_diff is None else f"{report.max_abs_diff:.1e}",
        )
        for report in reports
    ]
    switches = seen.saved.config.backward
    return page.paragraph(
        f"{right} of {len(rows)} gradients of the trained parameters agree with autograd, {exact} "
        f"of them to the last bit (cross-entropy {switches.cross_entropy}, batchnorm "
        f"{switches.batchnorm}). 'exact' is equal in every bit, 'close' within rounding; 'wrong' "
        "is where a mistake starts, 'inherits' what lies downstream of it."
    ) + page.table(
        "In the order of the backward pass",
        HEADINGS[:4],
        rows,
    )


def _configuration(seen: Observations) -> str:
    config = seen.saved.config
    rows = [(key, _shown(value)) for key, value in run_folder.flat(config).items()]
    return (
        page.paragraph("The same run again, to the bit where the machine and PyTorch are the same:")
        + page.code(command.shell(command.training(config)))
        + page.table("The resolved configuration", ("key", "value"), rows, numbers=False)
        + page.paragraph(
            f"PyTorch {seen.saved.torch_version}. SHA-256 of the data file: "
            f"{seen.saved.data_sha256}."
        )
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{rate:g} from step {step:,}" for step, rate in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _mean_std(tensor: Tensor) -> str:
    values = tensor.double()
    return f"{_fixed(float(values.mean()), 2)} ± {_fixed(float(values.std()), 2)}"


def _four(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else _fixed(value, 4)


def _fixed(value: float, digits: int) -> str:
    """A number with so many digits behind its point; one that has gone wild, with three in all."""
    return f"{value:z.{digits}f}" if abs(value) < 1e4 else f"{value:.3g}"


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"
