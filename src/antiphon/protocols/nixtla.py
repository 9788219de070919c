"""The protocol of Nixtla's forecasting service (nixtlaverse.nixtla.io), for its client `nixtla` with a `base_url`.

A model that forecasts answers forecasts, cross-validation, forecasts of the past and anomalies in it; what needs training on the way
(fine-tuning) or explanations is refused. Intervals are the model's own: a head of a distribution knows all levels, one of quantiles its
own, and one of points none but those that were calibrated (`task.intervals`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service

if TYPE_CHECKING:
    from antiphon.contracts.series import SeriesFacts
    from antiphon.serving.pool import Pool
    from antiphon.serving.series_requests import GivenSeries, Window

_INPUT_SIZE = 10**9  # clients cut what is longer, and a scale may be that of a whole series
_ROWS = 20_000  # of one table: memory is needed for these only, however many windows there are
_MOST_ROWS = 2_000_000  # of all windows
_MOST_LEVELS = 40
_REFUSED = ("finetune", "finetuned_models", "simulate", "explain", "online_anomaly_detection")


class _Wanted(NamedTuple):
    """A forecasting request, and the model that it is for."""

    pool: "Pool"
    facts: "SeriesFacts"
    given: "GivenSeries"
    steps: int
    levels: list[float]


def routes(service: Service) -> Any:
    """The routes of Nixtla."""
    from fastapi import APIRouter, Request
    from fastapi.responses import Response

    from antiphon.serving.answering import PlainJSONResponse, answered
    from antiphon.serving.bodies import fields
    from antiphon.serving.series_requests import check_frequency

    router = APIRouter(tags=["nixtla"])

    @router.get("/validate_api_key")
    async def validate() -> Response:
        """Check the key; requests with a wrong key are rejected before they get here."""
        return PlainJSONResponse({"detail": "The key is valid.", "support": ""})

    @router.get("/v2/models")
    async def models() -> Response:
        """The models that forecast."""
        return PlainJSONResponse({"models": [{"name": name} for name, card in service.cards().items() if card.series is not None]})

    @router.get("/model_params")
    async def parameters(model: str | None = None, freq: str | None = None) -> Response:
        """The longest input of a `model`, and the length of its forecasts."""
        _, facts = _model(service, model)
        check_frequency(facts, freq)
        return PlainJSONResponse({"detail": {"input_size": _INPUT_SIZE, "horizon": facts.horizon}})

    @router.post("/v2/forecast")
    async def forecast(request: Request) -> Response:
        """Forecast `h` steps of each of `series`."""
        wanted = _wanted(service, await fields(request))
        return await answered(request, _forecast(service, wanted))

    @router.post("/v2/cross_validation")
    async def cross_validation(request: Request) -> Response:
        """Forecasts from `n_windows` origins that lie `step_size` steps apart, or with `full_history` from all origins that do not
        overlap."""
        body = await fields(request)
        full = body.get("full_history") is True
        wanted = _wanted(service, {**body, "h": None} if full else body)
        windows = _all_windows(wanted) if full else _last_windows(wanted, body)
        return await answered(request, _backtest(service, wanted, windows))

    @router.post("/v2/anomaly_detection")
    async def anomalies(request: Request) -> Response:
        """Forecasts of the past, and which of its values lie outside of the interval of `level`."""
        body = await fields(request)
        wanted = _wanted(service, {**body, "h": None, "level": 99 if body.get("level") is None else body["level"]})
        return await answered(request, _anomalies(service, wanted))

    for call in _REFUSED:
        router.add_api_route(f"/v2/{call}", _refused, methods=["GET", "POST"], include_in_schema=False)
    return router


async def _refused() -> None:
    raise RefusedError(400, "This service does not train: models are trained by `antiphon train`, and then served. Use /v2/forecast.")


def _model(service: Service, name: object) -> tuple["Pool", "SeriesFacts"]:
    """The model with this name, or the first forecasting model for one of Nixtla's names. Raises RefusedError when there is none."""
    found = {pool.served.name: pool for pool in service.pools.values() if pool.card is not None and pool.card.series is not None}
    if not found:
        raise RefusedError(404, "No model here forecasts. Serve a run of the task `forecasting`.")
    if name in (None, "", "azureai") or (str(name).startswith("timegpt") and name not in service.pools):
        name = next(iter(found))
    if name not in found:
        service.named(str(name))
        raise RefusedError(404, f"The model `{name}` does not forecast; these do: {', '.join(found)}.")
    pool = found[str(name)]
    assert pool.card is not None and pool.card.series is not None, "looked for"  # noqa: PT018
    return pool, pool.card.series


def _wanted(service: Service, body: Mapping[str, Any]) -> _Wanted:
    """The request in a body. Raises RefusedError when it is invalid, or not supported here."""
    from antiphon.serving.bodies import whole_of
    from antiphon.serving.series_requests import check_frequency, series_of

    for name, value in body.items():
        if name in ("finetune_steps", "finetuned_model_id", "feature_contributions", "multivariate", "model_parameters") and value:
            raise RefusedError(400, f"`{name}` is not supported here. Leave it out.")
    pool, facts = _model(service, body.get("model"))
    check_frequency(facts, body.get("freq"))
    steps = whole_of(body, "h", facts.horizon)
    if steps > facts.horizon:
        raise RefusedError(400, f"`h` must be at most {facts.horizon}, which this model forecasts, but is {steps}.")
    return _Wanted(pool, facts, series_of(body, facts, steps), steps, _levels(body.get("level")))


def _levels(given: Any) -> list[float]:
    """Interval levels in percent, without duplicates."""
    levels = [] if given is None else list(given) if isinstance(given, list) else [given]
    if len(levels) > _MOST_LEVELS:
        raise RefusedError(400, f"`level` may have {_MOST_LEVELS} levels, but has {len(levels)}.")
    if any(isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one < 100 for one in levels):
        raise RefusedError(400, "`level` must be percentages from 0 to below 100, such as [80, 95].")
    return list(dict.fromkeys(map(float, levels)))


def _last_windows(wanted: _Wanted, body: Mapping[str, Any]) -> list["Window"]:
    """The last origins of each series. Raises RefusedError for a series that is too short."""
    from antiphon.serving.bodies import whole_of
    from antiphon.serving.series_requests import Window

    count, step = whole_of(body, "n_windows", 1), whole_of(body, "step_size", wanted.steps)
    needed = wanted.steps + (count - 1) * step + wanted.facts.shortest
    short = next((series for series in range(len(wanted.given)) if wanted.given.size(series) < needed), None)
    if short is not None:
        raise RefusedError(
            400, f"Series {short + 1} must have {needed} values for {count} windows, but has {wanted.given.size(short)}. Ask for fewer."
        )
    before = [wanted.steps + number * step for number in reversed(range(count))]
    return [Window(series, wanted.given.size(series) - steps) for series in range(len(wanted.given)) for steps in before]


def _all_windows(wanted: _Wanted) -> list["Window"]:
    """As many origins of each series as fit, so that windows follow each other. Raises RefusedError for a series without any."""
    from antiphon.serving.series_requests import Window

    found, facts = list[Window](), wanted.facts
    for series in range(len(wanted.given)):
        size = wanted.given.size(series)
        if size < facts.shortest + facts.horizon:
            raise RefusedError(400, f"Series {series + 1} must have {facts.shortest + facts.horizon} values, but has {size}.")
        first = size - (size - facts.shortest) // facts.horizon * facts.horizon
        found += [Window(series, origin) for origin in range(first, size, facts.horizon)]
    return found


async def _forecast(service: Service, wanted: _Wanted) -> dict[str, Any]:
    from antiphon.serving.series_requests import Window

    windows = [Window(series, wanted.given.size(series)) for series in range(len(wanted.given))]
    said = await _said(service, wanted, windows)
    return {**_forecasts(wanted, said), "weights_x": None, "feature_contributions": None}


async def _backtest(service: Service, wanted: _Wanted, windows: Sequence["Window"]) -> dict[str, Any]:
    """Forecasts of windows, the position of each among all values, and the number for each series."""
    said = await _said(service, wanted, windows)
    starts, steps = wanted.given.starts, wanted.steps
    sizes = [0] * len(wanted.given)
    for window in windows:
        sizes[window.series] += steps
    places = [starts[window.series] + window.origin + step for window in windows for step in range(steps)]
    return {**_forecasts(wanted, said), "idxs": places, "sizes": sizes, "weights_x": None, "feature_contributions": None}


async def _anomalies(service: Service, wanted: _Wanted) -> dict[str, Any]:
    found = await _backtest(service, wanted, _all_windows(wanted))
    level = wanted.levels[0]
    low, high = found["intervals"][f"lo-{level:g}"], found["intervals"][f"hi-{level:g}"]
    values = [wanted.given.values[place] for place in found["idxs"]]
    outside = [value is not None and not lower <= value <= upper for value, lower, upper in zip(values, low, high, strict=True)]
    return {**found, "anomaly": outside}


async def _said(service: Service, wanted: _Wanted, windows: Sequence["Window"]) -> list[list[dict[str, Any]]]:
    """The rows of the forecast for each window. Raises RefusedError."""
    if len(windows) > service.settings.max_records:
        raise RefusedError(413, f"A request may have {service.settings.max_records} forecasts, but this one has {len(windows)}.")
    if sum(window.origin for window in windows) > _MOST_ROWS:
        raise RefusedError(413, f"All windows together may have {_MOST_ROWS:,} values, but have more. Ask for fewer.")
    search, said = _search(wanted), list[list[dict[str, Any]]]()
    for rows in _tables(wanted, windows):
        for prediction in await service.predict(wanted.pool.served.name, rows, search):
            if "error" in prediction:
                raise RefusedError(400, f"{prediction['error']}")
            said.append(prediction["prediction"][: wanted.steps])
    if len(said) != len(windows) or any(len(rows) != wanted.steps for rows in said):
        raise RefusedError(400, "A forecast is missing: series must have values up to their ends.")
    return said


def _tables(wanted: _Wanted, windows: Sequence["Window"]) -> Iterator[list[dict[str, Any]]]:
    """The windows as tables of rows, as many in a table as allowed; one per table if rows do not identify their series."""
    from antiphon.serving.series_requests import rows_of

    table = list[dict[str, Any]]()
    for name, window in enumerate(windows, 1):
        if table and (wanted.facts.id is None or len(table) + window.origin > _ROWS):
            yield table
            table = []
        table += rows_of(wanted.given, wanted.facts, window, name)
    yield table


def _search(wanted: _Wanted) -> dict[str, Any]:
    """The search settings needed for quantiles that are not among the default outputs: distributions can give any."""
    assert wanted.pool.card is not None, "asked before"
    own = wanted.pool.card.search.get("levels")
    if own is None:
        return {}
    needed = {round(0.5 + side * level / 200, 6) for level in wanted.levels for side in (-1, 1)}
    return {} if needed <= set(own) else {"levels": sorted({*own, *needed})}


def _forecasts(wanted: _Wanted, said: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Points and intervals of all windows concatenated. Raises RefusedError for an interval that the model does not support."""
    rows, target = [row for window in said for row in window], wanted.facts.targets[0]
    intervals = dict[str, list[Any]]()
    for level in wanted.levels:
        low, high = _columns(target, level)
        if low not in rows[0] and level == 0:  # the point stands for it
            continue
        if low not in rows[0]:
            raise _unknown_level(level, target, list(rows[0]))
        intervals |= {f"lo-{level:g}": [row[low] for row in rows], f"hi-{level:g}": [row[high] for row in rows]}
    return {"mean": [row[target] for row in rows], "intervals": intervals if wanted.levels else None}


def _columns(target: str, level: float) -> tuple[str, str]:
    """The columns of a forecast with the bounds of an interval; both are the median at level 0."""
    low = round((1 - level / 100) / 2, 6)
    return (f"{target}-median",) * 2 if level == 0 else tuple(f"{target}-{side}-{round(100 - 200 * low, 4):g}" for side in ("lo", "hi"))  # type: ignore[return-value]


def _unknown_level(level: float, target: str, columns: Sequence[str]) -> RefusedError:
    known = [column.removeprefix(f"{target}-lo-") for column in columns if column.startswith(f"{target}-lo-")]
    if not known:
        return RefusedError(
            400, "This model forecasts only points, so leave `level` out. `task.intervals`, or a head of quantiles, would give intervals."
        )
    return RefusedError(
        400, f"`level` {level:g} is not available from this model, but {', '.join(known)} {'is' if len(known) == 1 else 'are'}."
    )


plugin = ProtocolPlugin("nixtla", "forecasts as Nixtla's client asks for them", routes)
