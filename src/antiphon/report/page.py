"""The report: `write_report(run)` writes `report.html` into the run's folder, one file that loads nothing else.

A page about speech may also show pictures and play sounds that are written into it.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from antiphon import __version__
from antiphon.errors import AntiphonError
from antiphon.prediction.loading import load
from antiphon.prediction.predictor import Predictor
from antiphon.report.attention import attention_section
from antiphon.report.curves import learning_curves
from antiphon.report.data_view import data_section
from antiphon.report.document import document, write_page
from antiphon.report.examples import examples_section
from antiphon.report.forecasts import forecasts_section
from antiphon.report.heading import heading
from antiphon.report.items import score_items
from antiphon.report.lags import lags_section
from antiphon.report.making import making_section
from antiphon.report.markup import Markup, code, element
from antiphon.report.quantities import moment
from antiphon.report.run_record import RunRecord, read_run
from antiphon.report.scores import evaluation_sections
from antiphon.report.series_view import series_section
from antiphon.report.speech import speech_section
from antiphon.runs.evaluate import evaluate

REPORT = "report.html"

_CONTENTS = ("Training", "Data", "Scores", "Examples", "Attention", "Recipe")
_CONTENTS_OF_SPEECH = ("Training", "Data", "Scores", "Speech", "Examples", "Attention", "Recipe")
_CONTENTS_OF_SERIES = ("Training", "Data", "Scores", "Forecasts", "Attention", "Recipe")


def write_report(run: Path | str, *, data: Any = None, trust_code: bool = False) -> Path:
    """Write the report of a run; returns the path of the page.

    data   a file or records to evaluate on first, as `antiphon.evaluate` takes them; None shows the evaluations that there are

    trust_code   whether code outside Antiphon that the run names may be imported

    What is missing (no evaluation, no audit, no checkpoint) is said in the page, with the command that adds it. Raises CheckpointError
    when `run` is no run, or the page cannot be written, and what `antiphon.evaluate` raises when `data` is given.
    """
    run = Path(run)
    read_run(run)  # a folder that is no run is refused before anything takes time
    if data is not None:
        evaluate(run, data, trust_code=trust_code)
    record = read_run(run)
    page = _page(record, _load(record, trust_code), data)
    path = run / REPORT
    write_page(path, page)
    return path


def _page(record: RunRecord, predictor: Predictor | str, data: Any) -> Markup:
    scored = score_items(record.evaluations[0]) if record.evaluations and not record.of_series else None
    parameters = None if isinstance(predictor, str) else sum(parameter.numel() for parameter in predictor.model.parameters())
    body = element(
        "main",
        None,
        heading(record, parameters),
        _contents(_CONTENTS_OF_SERIES if record.of_series else _CONTENTS_OF_SPEECH if record.of_speech else _CONTENTS),
        learning_curves(record),
        series_section(record) if record.of_series else data_section(record),
        evaluation_sections(record),
        speech_section(record, predictor, data) if record.of_speech else None,
        forecasts_section(record) if record.of_series else examples_section(record, scored),
        lags_section(record, predictor, data) if record.of_series else attention_section(record, predictor, scored, data),
        making_section(record),
        element("footer", None, f"Written by antiphon {__version__}, {moment(time.time())}: ", code(f"antiphon report {record.folder}")),
    )
    return document(f"{record.folder.resolve().name}: Antiphon report", body, media=record.of_speech)


def _contents(titles: Sequence[str]) -> Markup:
    links = (element("a", {"href": f"#{title.lower()}"}, title) for title in titles)
    return element("nav", {"aria-label": "Contents"}, *links)


def _load(record: RunRecord, trust_code: bool) -> Predictor | str:
    """The run's model, or a sentence why there is none."""
    if not record.header:
        return f"There is no checkpoint to look into yet: antiphon train ... --out {record.folder} writes one."
    try:
        return load(record.folder, trust_code=trust_code)
    except AntiphonError as error:
        return f"The model cannot be loaded: {error}"
