"""Forecasting: predicts the future of a series from its past.

Records are rows; what is predicted one by one are windows made of many of them: one per series, or with `scored` one per origin of the
backtest. Everything fitted is small: scales of covariates, categories, the frequency. Scales of the targets are measured anew on each
window or series, so a series that training never saw is forecast like any other.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record, Records, RecordSource
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request
from antiphon.contracts.series import SeriesFacts
from antiphon.contracts.specs import ValueSpec
from antiphon.contracts.task import Task
from antiphon.data.records import SourceRecords
from antiphon.data.series import Series, SeriesReader
from antiphon.data.series_audit import SeriesAudit, audit_series
from antiphon.data.series_table import SeriesTable
from antiphon.data.windows import Plan, WindowCorpus, build_windows, check_windows
from antiphon.errors import ConfigError, DataError
from antiphon.features.scaling import POWERS, Scale, ScalingConfig, measure, power_likelihoods
from antiphon.metrics.forecasts import Actual, Forecast, insample_errors
from antiphon.store import checkpoint
from antiphon.tasks.forecasting import own_season
from antiphon.tasks.forecasting.baselines import baseline_forecasts
from antiphon.tasks.forecasting.checks import check_horizon, check_values, fewer_windows, scored_origins, too_few_held_out, unused_rows
from antiphon.tasks.forecasting.combining import check_combination, combined
from antiphon.tasks.forecasting.config import ForecastingConfig
from antiphon.tasks.forecasting.conformal import CALIBRATION, Calibration, calibrate, load_calibration
from antiphon.tasks.forecasting.covariates import Covariates
from antiphon.tasks.forecasting.details import forecast_details
from antiphon.tasks.forecasting.possible import possible
from antiphon.tasks.forecasting.rows import forecast_rows
from antiphon.tasks.forecasting.series_rows import SeriesRecords, joined_files, open_table
from antiphon.tasks.forecasting.series_split import WithoutEnd
from antiphon.tasks.forecasting.windows import WindowContext, WindowEncoder, as_plain, from_plain, item_of

_READING = 2  # goes up when the same rows become other series, so that what was stored is not taken for them
_LOOKED_AT = 2000  # series that a frequency is inferred from


@final
class Forecasting(Task):
    """Series of real numbers."""

    name = "forecasting"
    not_encoded = frozenset({"backtest", "baselines", "combine", "intervals", "stride", "weighting", "decoding"})  # which change no window

    def __init__(self, settings: ForecastingConfig):
        self.settings: ForecastingConfig = settings
        self._season: dict[str, Any] = {}  # that was found, to be stored
        self.covariates = Covariates(settings)
        self.context = settings.context_length or 2 * settings.horizon
        self.horizon = settings.horizon
        self.overall: Scale | None = None
        self.power = 1.0
        self.calibration: Calibration | None = None
        self._notes: tuple[str, ...] = ()

    # ------------------------------------------------------------------------------------------------------ what it is

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that training rows must have: time and targets first."""
        columns = self.settings.series_columns
        if columns.wide:
            return (columns.time, *columns.known)
        return (columns.time, *columns.numbers, *((columns.id,) if columns.id else ()), *columns.static)

    @property
    def source_columns(self) -> tuple[str, ...]:
        """The same columns: forecasts are made from the target's past."""
        return self.columns

    @property
    def season(self) -> int:
        """The number of steps in a season."""
        return self.settings.season or self.covariates.frequency.season

    @property
    def source_spec(self) -> ValueSpec:
        """Channels of the past: targets, marks of observed values, covariates, static channels."""
        targets, settings = len(self.settings.targets), self.settings
        marks = targets if settings.observed_mask else 0
        return ValueSpec(targets + marks + self.covariates.width, length=self.context, marks=marks)

    @property
    def target_spec(self) -> ValueSpec:
        """Targets, and the channels that are known in advance."""
        return ValueSpec(len(self.settings.targets), self.covariates.known + self.settings.sizes, self.horizon, sizes=self.settings.sizes)

    @property
    def learned(self) -> dict[str, Any]:
        """The frequency, scales and categories."""
        found = {**self.covariates.to_plain(), "context": self.context, "power": self.power, "scale": as_plain(self.overall)}
        return {**found, "scaling": self.settings.scaled.name} if self.settings.sizes else found

    def series_facts(self) -> SeriesFacts:
        """What series must look like, and the horizon."""
        return self.covariates.facts(self.horizon, self.settings.shortest_context or self.context)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found and repaired in the training data."""
        return self._notes

    def about(self) -> dict[str, Any]:
        """The horizon, and the roles of columns."""
        return {**self.settings.roles, "horizon": self.horizon, "context_length": self.context, "season": self.season}

    @property
    def encoder(self) -> WindowEncoder:
        """Cuts and scales windows."""
        settings = self.settings
        return WindowEncoder(
            settings.scaled,
            settings.transform,
            self.power,
            self.overall,
            settings.missing,
            observed_mask=settings.observed_mask,
            context=self.context,
            horizon=self.horizon,
            past=len(settings.past),
        )

    # ---------------------------------------------------------------------------------------------------------- fitting

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the frequency, the scales of covariates, the categories and, if requested, the overall scale and the power of the
        transform."""
        table = open_table(records, self.settings.series_columns, self.columns)
        looked_at = {str(name): np.unique(table.times[table.own(index)]) for index, name in enumerate(table.names[:_LOOKED_AT])}
        self.covariates.fit_clock(table.style, looked_at)
        self.context = self.settings.context_length or max(2 * self.horizon, 2 * self.season)
        self._learn(reader := self._reader(table))
        self.settings, self._season, self._notes = own_season.found(self.settings, reader, self.covariates.frequency, self._notes)
        if self.settings.scaled.over == "all":
            encoder = self.encoder
            values = np.concatenate([encoder.transformed(series.targets) for series in reader])
            self.overall = measure(self.settings.scaled.name, values)

    def _learn(self, reader: SeriesReader) -> None:
        """One pass over the series."""
        likelihoods, constant, first, count, steps = np.zeros(len(POWERS)), 0, "", 0, 0
        wants_power = self.settings.transform.name == "box_cox" and self.settings.transform.power is None
        for series in reader:
            check_values(series, self.settings, self.covariates.shown)
            count, steps = count + 1, steps + len(series)
            self.covariates.observe(series)
            if (np.nanmax(series.targets, axis=0) == np.nanmin(series.targets, axis=0)).any():
                constant, first = constant + 1, first or str(series.unique_id)
            if wants_power:
                likelihoods += sum(power_likelihoods(column) for column in series.targets.T)
        self.covariates.finish()
        self.power = float(POWERS[np.argmax(likelihoods)]) if wants_power else self.settings.transform.power or 0.0
        step, way = self.covariates.frequency.words, "set" if self.settings.frequency else "inferred"
        sizes = f"season {self.season}, context {self.context}, horizon {self.horizon}"
        notes = [f"{count:,} series, {steps:,} steps of one {step} ({way}); {sizes}."]
        if wants_power:
            notes.append(f"The most likely power of Box and Cox is {self.power:g}.")
        if constant:
            notes.append(f"{constant:,} series are constant (first `{first}`): there is nothing to learn from them but that.")
        self._notes = (*notes, *reader.mended.sentences())

    # ---------------------------------------------------------------------------------------------------------- corpora

    def build_corpus(
        self,
        records: RecordSource,
        folder: Path,
        *,
        limits: Limits,
        keep_records: bool,
        progress: Callable[[int], None] | None = None,
    ) -> WindowCorpus:
        """Store the series; its windows are those for training, or with `keep_records` those that the backtest scores."""
        if limits != Limits():
            raise ConfigError("`data.limits` has no effect on series: set `task.context_length` and `task.horizon` instead.")
        opened = records if isinstance(records, Records) else SourceRecords(records)
        identity = hashlib.sha256(f"{opened.signature()}|{self.fingerprint}|{keep_records}|{_READING}".encode()).hexdigest()
        readers: list[SeriesReader] = []

        def series() -> Iterator[tuple[Series, np.ndarray]]:
            readers.append(self._reader(open_table(opened, self.settings.series_columns, self.columns, progress)))
            encoder, whole = self.encoder, self.settings.scaled.over == "series" and not keep_records
            for one in readers[0]:
                check_values(one, self.settings, self.covariates.shown)
                self.covariates.static_of(one)
                scale = encoder.measured(one.targets) if whole else None
                yield replace(one, scale=scale), self.covariates.channels(one, len(one))

        def facts() -> dict[str, Any]:
            return {"mended": readers[0].mended.sentences()}

        build_windows(series(), folder, identity, facts, (len(self.settings.targets), self.covariates.known + len(self.settings.past)))
        shortest = self.settings.shortest_context or self.context
        stride, last = (self.settings.origin_step, self.settings.backtest.windows) if keep_records else (self.settings.stride, None)
        plan = Plan(self.context, shortest, self.horizon, stride, last)
        weighting = "windows" if keep_records else self.settings.weighting
        corpus = WindowCorpus(folder, plan, self._window, item_of, weighting=weighting)
        check_windows(corpus, getattr(records, "steps", 0))
        return corpus

    def hold_out(self, records: Records, wanted: int) -> tuple[Records, Records, str]:
        """Train on all but the last `wanted` steps of each series; score forecasts of these."""
        whole = records if isinstance(records, SeriesRecords) else SeriesRecords([records], self.settings.series_columns, self.columns)
        if wanted < self.settings.held_out:
            raise too_few_held_out(whole, wanted, self.settings)
        return WithoutEnd(whole, wanted), whole, f"The last {wanted} steps of each series are held out for validation."

    def joined_files(self, parts: Sequence[tuple[Records, float]]) -> Sequence[tuple[Records, float]]:
        """Files of equal weight joined into one: a series may continue in the next file."""
        return joined_files(parts, self.settings.series_columns, self.columns)

    def _window(self, series: Series, covariates: np.ndarray, origin: int, number: int) -> Example:
        return self.encoder.example(
            series, covariates, self.covariates.static_of(series), origin, number, series.times[origin : origin + self.horizon]
        )

    def audit_series(self, corpora: Mapping[str, Sequence[StoredCorpus]]) -> dict[str, SeriesAudit]:
        """The series of each split, and whether scored steps were used in training."""
        windows = {name: [corpus for corpus in found if isinstance(corpus, WindowCorpus)] for name, found in corpora.items()}
        return audit_series(windows, self.settings.targets, self.covariates.style.write, self.covariates.beside)

    def items(self, records: Iterable[Any], *, scored: bool = False) -> Iterator[Record]:
        """One item for each series, after its last value; with `scored` one for each origin of the backtest.

        An item of a series that cannot be used says so when it is encoded. Raises DataError where rows cannot even be told apart.
        """
        table = open_table(records, self.settings.series_columns, self.columns)
        reader = self._reader(table)
        for index, name in enumerate(table.names):
            try:
                series = reader.series(index)
                check_values(series, self.settings, self.covariates.shown)
                origins = scored_origins(series, self.settings, self.context) if scored else [len(series)]
            except DataError as error:
                yield {"unique_id": name, "error": str(error)}
                continue
            yield from ({"unique_id": name, "series": series, "origin": origin} for origin in origins)

    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """An item as arrays; with a target when the series continues after its origin. Raises DataError naming the series."""
        series, origin = self._opened(record)
        shortest = self.settings.shortest_context or 1
        if origin < shortest:
            raise DataError(f"Series `{series.unique_id}` must have at least {shortest} steps of history, but has {origin}.")
        times = self.covariates.times(series, origin + self.horizon)[origin:]
        example = self.encoder.example(series, self._covariates_for(record), self.covariates.static_of(series), origin, index, times)
        return replace(example, context=replace(example.context, past=(series, origin))) if self.settings.combine else example

    def request(self, record: Record) -> Request:
        """The covariates known in advance over the horizon. Raises DataError when one is missing in a part of it."""
        series, origin = self._opened(record)
        encoder = self.encoder
        covariates, scale = self._covariates_for(record), encoder.scale_of(series, origin)
        source = encoder.source(series, covariates, self.covariates.static_of(series), origin, scale)
        return Request(known=encoder.known(source, covariates, scale, origin, self.horizon))

    def log_slopes(self, example: Example) -> np.ndarray:
        """For each value of a target (T, C), the logarithm of the derivative of its scaling."""
        return self.encoder.log_slopes(example)

    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction:
        """The best hypothesis as a `Forecast` in the units of the data."""
        context: WindowContext = example.context
        encoder, best = self.encoder, hypotheses[0]
        quantiles, samples = best.quantiles, best.samples
        forecast = Forecast(
            context.unique_id,
            (context.style or self.covariates.style).write(context.times),
            encoder.restore(best.elements, context.scale),
            None if quantiles is None else encoder.restore_quantiles(np.asarray(quantiles.values), context.scale),
            () if quantiles is None else quantiles.levels,
            None if samples is None else encoder.restore(samples, context.scale),
        )
        forecast = combined(forecast, context.past, self.settings.combine, self.settings.missing, self.season)
        if self.calibration is not None:
            forecast = self.calibration.apply(forecast, encoder.unit(context.scale))
        details = {"remark": unused_rows(context.unused, self.horizon)} if context.unused else {}
        return Prediction(possible(forecast, self.settings), best, details=details)

    def source_of(self, record: Record) -> str:
        """The series and the time of its last known value, formatted for display."""
        if "error" in record:
            return f"series {record['unique_id']}"
        series, origin = self._opened(record)
        return f"series {series.unique_id} up to {(series.style or self.covariates.style).write(series.times[origin - 1 : origin])[0]}"

    def reference(self, record: Record) -> Actual:
        """The actual values, and the errors of the seasonal naive forecast within the history."""
        series, origin = self._opened(record)
        mae, mse = insample_errors(series.targets[:origin], self.season)
        return Actual(series.targets[origin : origin + self.horizon], mae, mse)

    @property
    def calibrates(self) -> bool:
        """Whether the recipe asks for calibrated intervals."""
        return bool(self.settings.intervals)

    def calibrate(self, items: Sequence[Record], predictions: Sequence[Prediction], folder: Path) -> Sequence[str]:
        """Learn how far to widen the intervals, and write it beside the weights."""
        encoder = self.encoder
        scales = [encoder.unit(encoder.scale_of(*self._opened(item))) for item in items]
        forecasts, actuals = [prediction.value for prediction in predictions], [self.reference(item) for item in items]
        found = calibrate(forecasts, actuals, scales, self.settings.intervals)
        replace(found, combine=self.settings.combine).save(folder / CALIBRATION)
        shown = ", ".join(f"{percent:g} %" for percent in self.settings.intervals)
        return [f"Intervals of {shown} are calibrated on {len(items):,} validation windows."]

    def load_calibration(self, folder: Path) -> None:
        """Read how far to widen intervals, if the recipe still asks for them. Raises ConfigError for another `task.combine`."""
        path = folder / CALIBRATION
        self.calibration = load_calibration(path) if self.calibrates and path.is_file() else None
        check_combination(self.calibration, self.settings.combine)

    def save_calibration(self, folder: Path) -> None:
        """Write how far to widen intervals, if it is known."""
        if self.calibration is not None:
            self.calibration.save(folder / CALIBRATION)

    def baselines(self, items: Sequence[Record]) -> dict[str, list[Forecast]]:
        """Forecasts of the recipe's baselines for items; they learn only from the steps before the first origin of each series."""
        settings, opened = self.settings, [self._opened(item) for item in items]
        return baseline_forecasts(opened, settings.baselines, settings.missing, self.horizon, self.season)

    def details(
        self,
        items: Sequence[Record],
        predictions: Sequence[Prediction],
        references: Sequence[Sequence[Actual]],
        baselines: Mapping[str, Sequence[Forecast]],
    ) -> dict[str, Any]:
        """Errors by step and by series, coverage, and forecasts to plot."""
        windows, said = [self._opened(item) for item in items], [prediction.value for prediction in predictions]
        actuals, channels = [actual for actual, *_ in references], self.settings.targets
        write = (windows[0][0].style or self.covariates.style).write
        return forecast_details(windows, said, actuals, baselines, channels=channels, season=self.season, write=write)

    def remarks(self, items: Sequence[Record]) -> Sequence[str]:
        """Which series have fewer windows than the backtest asks for."""
        return fewer_windows(items, self.settings)

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """A forecast as rows of a long table."""
        if not isinstance(prediction.value, Forecast):
            return []  # a series that could not be used
        columns = self.settings.series_columns
        return forecast_rows(prediction.value, "unique_id" if columns.wide else columns.id, columns.time, columns.targets)

    def shown(self, value: Any) -> str:
        """Forecasts and actual values as numbers, step after step."""
        values = value.point if isinstance(value, Forecast) else value.values
        return " ".join(",".join(f"{number:.4g}" for number in step) for step in values)

    def pieces(self, side: Literal["source", "target"], array: np.ndarray) -> list[str]:
        """The target channels at each step."""
        return [",".join(f"{number:.3g}" for number in step[: len(self.settings.targets)]) for step in array]

    def save(self, folder: Path) -> None:
        """Write what was fitted."""
        checkpoint.write_json(folder / "task.json", {**self.learned, **self._season, "horizon": self.horizon, "notes": list(self._notes)})

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. Raises ConfigError when the horizon is longer than a model that decodes all at once has learned."""
        saved = checkpoint.read_json(folder / "task.json")
        if self.settings.counts and self.settings.scaling == ScalingConfig() and "scaling" not in saved:  # counts were left as they are
            self.settings = replace(self.settings, scaling=ScalingConfig(name="none"))
        self.settings, self._season = own_season.restored(self.settings, saved)
        check_horizon(self.settings, self.horizon, saved["horizon"])
        self.covariates.restore(saved)
        self.context, self.power, self.overall = saved["context"], saved["power"], from_plain(saved["scale"])
        self._notes = tuple(saved["notes"])

    def _reader(self, table: SeriesTable) -> SeriesReader:
        return SeriesReader(table, self.covariates.clock(table.style), self.settings.missing, self.settings.duplicates)

    def _opened(self, record: Record) -> tuple[Series, int]:
        if "error" in record:
            raise DataError(str(record["error"]))
        if "series" not in record:
            raise DataError("a row alone cannot be forecast. Give all rows of a series: a list of them, a file or a data frame.")
        return record["series"], record["origin"]

    def _covariates_for(self, item: Record) -> np.ndarray:
        """The covariates of an item up to the end of its horizon."""
        known: np.ndarray | None = item.get("covariates")
        return self.covariates.channels(item["series"], item["origin"] + self.horizon) if known is None else known
