"""Nixtla's client is answered as it needs it: series by position, intervals, forecasts of the past; and what is not there is refused."""

import gzip
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import zstandard

import antiphon
from antiphon.contracts.series import SeriesFacts
from antiphon.serving.worker import Answer, Asked, Card, answers, card_of
from tests.toy_worker import Toy
from tests.unit.serving.asking import run

RUN = Path(__file__).parents[2] / "checkpoints" / "forecasting"
LEVELS = [0.1, 0.5, 0.9]
FACTS = SeriesFacts("unique_id", "ds", ("y",), (), (), (), False, 3, 2, "1i", None, False)
DAILY = replace(FACTS, frequency="1d")
PRICED = replace(DAILY, known=("price",), past=("visitors",))
ASKED = {"h": 2, "series": {"y": [1, 2, 3, 10, 20], "sizes": [3, 2]}, "model": "timegpt-2.1", "freq": "MS"}


def card(facts: SeriesFacts = FACTS, **search: Any) -> Card:
    return Card("forecasting", ("ds", "y", "unique_id"), True, False, None, {"levels": LEVELS, **search}, series=facts)


class SeriesToy(Toy):
    """Goes on from the last value of each series in steps of 1, with intervals as wide as they are in percent."""

    async def ask(self, asked: list[Asked]) -> list[Answer]:
        self.asked.extend(asked)
        return [self._said(one) for one in asked]

    def _said(self, asked: Asked) -> list[dict[str, Any]]:
        last: dict[Any, float] = {}
        for row in asked.records:
            if row["y"] is not None:
                last[row.get("unique_id")] = row["y"]
        return [{"prediction": [self._row(value + step + 1, asked.search) for step in range(3)]} for value in last.values()]

    def _row(self, value: float, search: Mapping[str, Any]) -> dict[str, Any]:
        row = {"y": value}
        for level in search.get("levels", Toy.known.search["levels"]):
            percent = f"{round(abs(100 - 200 * level), 4):g}"
            row["y-median" if level == 0.5 else f"y-{'lo' if level < 0.5 else 'hi'}-{percent}"] = value + math.copysign(
                float(percent), level - 0.5
            )
        return row


def asking(body: Any, facts: SeriesFacts = FACTS, **settings: Any) -> None:
    run(body, card(facts), make=SeriesToy, **settings)


def rows() -> list[Any]:
    return [record for worker in Toy.made for one in worker.asked for record in one.records]


def test_series_are_forecast_in_their_order() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        assert (await client.get("/model_params?model=timegpt-1&freq=MS")).json() == {"detail": {"input_size": 10**9, "horizon": 3}}
        answer = await client.post("/v2/forecast", json={**ASKED, "level": [80, 0, 80]})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["mean"] == [4, 5, 21, 22]
        assert found["intervals"] == {
            "lo-80": [-76, -75, -59, -58], "hi-80": [84, 85, 101, 102], "lo-0": [4, 5, 21, 22], "hi-0": [4, 5, 21, 22]
        }  # fmt: skip
        assert found["weights_x"] is None
        assert rows()[3:] == [{"unique_id": 2, "ds": 0, "y": 10.0}, {"unique_id": 2, "ds": 1, "y": 20.0}]
        assert (await client.post("/v2/forecast", json=ASKED)).json()["intervals"] is None
        assert (await client.get("/v2/models")).json() == {"models": [{"name": "one"}, {"name": "two"}]}
        assert (await client.get("/validate_api_key")).json()["detail"]

    asking(body)


def test_a_distribution_is_asked_for_other_levels() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        found = (await client.post("/v2/forecast", json={**ASKED, "level": [80, 99.5]})).json()
        assert found["intervals"]["lo-99.5"][0] == 4 - 99.5
        assert [one.search for one in Toy.made[0].asked] == [{"levels": [0.0025, 0.1, 0.5, 0.9, 0.9975]}]

    asking(body)


def test_times_are_counted_at_the_frequency_of_the_run() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        series = {**ASKED["series"], "start_datetime": ["2024-02-28", "2024-12-31T00:00"]}  # type: ignore[dict-item]
        answer = await client.post("/v2/forecast", json={**ASKED, "freq": "D", "series": series})
        assert answer.status_code == 200, answer.text
        assert [row["ds"] for row in rows()] == ["2024-02-28", "2024-02-29", "2024-03-01", "2024-12-31T00:00", "2025-01-01T00:00"]
        wrong = await client.post("/v2/forecast", json={**ASKED, "freq": "D", "series": {**series, "start_datetime": ["soon", ""]}})
        assert wrong.json()["message"] == (
            "Series 1 must start at a date such as 2024-01-31T00:00, at a frequency of 1d, but starts at 'soon'."
        )

    asking(body, DAILY)


def test_days_are_local_where_the_recipe_names_a_zone() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        series = {"y": [1, 2], "sizes": [2], "start_datetime": ["2024-03-31T00:00+01:00"]}
        await client.post("/v2/forecast", json={"h": 1, "series": series, "freq": "D"})
        assert [row["ds"] for row in rows()] == ["2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00"]

    asking(body, replace(DAILY, zone="Europe/Berlin"))


def test_further_columns_are_those_of_the_recipe_in_its_order() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        series = {"y": [1, 2], "sizes": [2], "X": [[5, 6], [70, None]], "X_future": [[7, 8, 9]]}
        answer = await client.post("/v2/forecast", json={"h": 3, "series": series, "freq": "1d"})
        assert answer.status_code == 200, answer.text
        assert [(row["y"], row["price"], row["visitors"]) for row in rows()] == [
            *((1, 5, 70), (2, 6, None)),
            *((None, 7, None), (None, 8, None), (None, 9, None)),
        ]
        backtest = {"h": 3, "series": {"y": [1, 2, 3, 4, 5], "sizes": [5], "X": [[*range(5)], [9] * 5]}, "hist_exog": [1]}
        Toy.made[0].asked.clear()
        answer = await client.post("/v2/cross_validation", json=backtest)
        assert answer.status_code == 200, answer.text
        assert [(row["y"], row["price"], row["visitors"]) for row in rows()] == [
            *((1, 0, 9), (2, 1, 9)),
            *((None, 2, None), (None, 3, None), (None, 4, None)),
        ]
        short = await client.post("/v2/forecast", json={"h": 1, "series": {**series, "X_future": [[7]]}})
        assert short.json()["message"].startswith(
            "This model reads 1 column (price) for all 3 steps of its horizon, but the request has 1."
        )
        other = await client.post("/v2/forecast", json={"h": 3, "series": {"y": [1], "sizes": [1]}})
        assert other.json()["message"] == (
            "This model reads 1 column (price) known in advance and 1 column (visitors) known for the past only, in this order, but the"
            " request has 0 of the first kind and 0 of the second."
        )

    asking(body, PRICED)


def test_forecasts_of_the_past() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        series = {"y": [1, 2, 3, 4, 5, 6, 70, 8, 1, 2, 3, 4, 5], "sizes": [8, 5]}
        asked = {"series": series, "h": 2, "n_windows": 2, "step_size": 1}
        found = (await client.post("/v2/cross_validation", json=asked)).json()
        assert found["sizes"] == [4, 4]
        assert found["idxs"] == [5, 6, 6, 7, 10, 11, 11, 12]
        assert found["mean"] == [6, 7, 7, 8, 3, 4, 4, 5]
        found = (await client.post("/v2/cross_validation", json={"series": series, "h": 7, "full_history": True})).json()
        assert found["sizes"] == [6, 3]
        assert found["idxs"] == [2, 3, 4, 5, 6, 7, 10, 11, 12]
        found = (await client.post("/v2/anomaly_detection", json={"series": series, "level": 20})).json()
        assert found["anomaly"] == [False] * 4 + [True] + [False] * 4
        assert found["intervals"]["hi-20"][:3] == [23, 24, 25]
        short = await client.post("/v2/cross_validation", json={**asked, "n_windows": 9})
        assert short.json()["message"] == "Series 1 must have 12 values for 9 windows, but has 8. Ask for fewer."

    asking(body)


def test_windows_are_asked_for_in_tables_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.protocols.nixtla._ROWS", 10)

    async def body(client: httpx.AsyncClient) -> None:
        asked = {"series": {"y": [*range(12)], "sizes": [12]}, "h": 1, "n_windows": 4}
        assert (await client.post("/v2/cross_validation", json=asked)).json()["mean"] == [8, 9, 10, 11]
        assert [len(one.records) for one in Toy.made[0].asked] == [8, 9, 10, 11]
        many = await client.post("/v2/cross_validation", json={**asked, "n_windows": 5})
        assert (many.status_code, many.json()["message"]) == (413, "A request may have 4 forecasts, but this one has 5.")

    asking(body, max_records=4)


def test_rows_without_names_are_a_table_each() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        assert (await client.post("/v2/forecast", json=ASKED)).json()["mean"] == [4, 5, 21, 22]
        assert rows()[0] == {"ds": 0, "y": 1.0}

    asking(body, replace(FACTS, id=None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"h": 4}, "`h` must be at most 3, which this model forecasts, but is 4."),
        ({"h": 1.5}, "`h` must be a whole number from 1 on, but is 1.5."),
        ({"level": [100]}, "`level` must be percentages from 0 to below 100, such as [80, 95]."),
        ({"level": list(range(41))}, "`level` may have 40 levels, but has 41."),
        ({"model": "tow"}, "There is no model `tow`; there are: one, two. Did you mean `two`?"),
        ({"finetune_steps": 10}, "`finetune_steps` is not supported here. Leave it out."),
        ({"feature_contributions": True}, "`feature_contributions` is not supported here. Leave it out."),
        ({"series": None}, "`series` must be an object with `y` and `sizes`."),
        ({"series": {"y": [1]}}, "`series.sizes` must be a list, but is missing."),
        ({"series": {"y": [1, 2], "sizes": [3]}}, "`series.y` must be 3 numbers, as `sizes` says, but are others."),
        ({"series": {"y": [1, "2"], "sizes": [2]}}, '`series.y` must be numbers, or null where one is missing, but has "2".'),
        ({"series": {"y": [1], "sizes": [-1]}}, "`series.sizes` must be a whole number from 1 on, but is -1."),
        ({"series": {"y": [1, None], "sizes": [2]}}, "Value 2 of series 1 is missing: a forecast cannot begin after it."),
        ({"series": {"y": [1], "sizes": [1], "start_datetime": "2024"}}, "`series.start_datetime` must have the start of each series."),
    ],
)
def test_what_is_wrong_is_one_sentence(change: Any, message: str) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/forecast", json={**ASKED, **change})
        assert answer.status_code in (400, 404)
        assert answer.json()["message"] == message
        assert answer.json()["detail"] == message

    asking(body)


def test_what_this_protocol_has_no_place_for_is_refused() -> None:
    async def refused(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/forecast", json={**ASKED, "freq": "D"})
        assert answer.status_code == 400
        assert "Ask it by /v1/predict." in answer.json()["message"]

    for facts in (replace(DAILY, static=("region",)), replace(DAILY, targets=("y", "z")), replace(DAILY, wide=True)):
        asking(refused, facts)

    async def calendar(client: httpx.AsyncClient) -> None:
        assert "reads the calendar" in (await client.post("/v2/forecast", json={**ASKED, "freq": "D"})).json()["message"]
        other = (await client.get("/model_params?model=timegpt-1&freq=7h")).json()["message"]
        assert other == "`freq` must be that of the model, 1d, but is 7h. Serve a run that has it."
        assert (await client.get("/model_params?freq=24h")).status_code == 200
        assert (await client.post("/v2/finetune", json={})).json()["message"].startswith("This service does not train")

    asking(calendar, replace(DAILY, calendar=True))

    async def none(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/forecast", json=ASKED)
        assert (answer.status_code, answer.json()["message"][:23]) == (404, "No model here forecasts")

    run(none)


def test_bodies_may_be_packed() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        plain = json.dumps(ASKED).encode()
        raw = zlib.compressobj(wbits=-15)
        for name, packed in (
            ("gzip", gzip.compress(plain)),
            ("gzip", gzip.compress(plain[:9]) + gzip.compress(plain[9:])),
            ("deflate", zlib.compress(plain)),
            ("deflate", raw.compress(plain) + raw.flush()),
            ("zstd", zstandard.compress(plain)),
            ("gzip, zstd", zstandard.compress(gzip.compress(plain))),
        ):
            answer = await client.post("/v2/forecast", content=packed, headers={"content-encoding": name})
            assert answer.json()["mean"] == [4, 5, 21, 22], name
        for name, packed, status in (
            ("gzip", gzip.compress(plain)[:-9], 400),
            ("zstd", zstandard.compress(plain)[:-3], 400),
            ("deflate", plain, 400),
            ("br", plain, 415),
            ("gzip", gzip.compress(b" " * 5001), 413),
            ("zstd", zstandard.compress(b" " * 5001), 413),
        ):
            answer = await client.post("/v2/forecast", content=packed, headers={"content-encoding": name})
            assert answer.status_code == status, (name, answer.text)

    asking(body, max_body=5000)


class Local(Toy):
    """A worker that predicts with a run, in this process."""

    predictor: Any = None

    async def card(self) -> Card:
        return card_of(Local.predictor)

    async def ask(self, asked: list[Asked]) -> list[Answer]:
        return answers(Local.predictor, asked, {})


def test_a_run_says_what_predict_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.loads((RUN.parent / "said.json").read_text())["forecasting"]
    monkeypatch.setattr(Local, "predictor", antiphon.load(RUN, device="cpu"))
    values: dict[str, list[float]] = {}
    for name, _, value in said["rows"]:
        values.setdefault(name, []).append(value)
    series = {"y": [value for one in values.values() for value in one], "sizes": [len(one) for one in values.values()]}

    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/forecast", json={"series": series, "h": 6, "freq": "MS"})
        assert answer.status_code == 200, answer.text
        points = [point for output in said["outputs"] for point in output["point"]]
        np.testing.assert_allclose(answer.json()["mean"], np.ravel(points), rtol=1e-4)
        points_alone = await client.post("/v2/forecast", json={"series": series, "h": 6, "level": [80]})
        assert points_alone.json()["message"].startswith("This model forecasts only points, so leave `level` out.")
        last = {"y": series["y"][: series["sizes"][0]], "sizes": series["sizes"][:1]}
        backtest = (await client.post("/v2/cross_validation", json={"series": last, "h": 6, "freq": "MS"})).json()
        shorter = {"y": last["y"][:-6], "sizes": [last["sizes"][0] - 6]}
        assert (await client.post("/v2/forecast", json={"series": shorter, "h": 6, "freq": "MS"})).json()["mean"] == backtest["mean"]

    run(body, make=Local)


def test_series_count_where_a_table_is_limited() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        long = [{"unique_id": "a", "ds": step, "y": step} for step in range(20)]
        assert (await client.post("/v1/predict", json={"inputs": long})).status_code == 200
        many = [{"unique_id": name, "ds": 0, "y": 1} for name in range(6)]
        answer = await client.post("/v1/predict", json={"inputs": many})
        assert (answer.status_code, answer.json()["message"]) == (413, "A request may have 5 series, but this one has 6.")
        levels = {"inputs": long, "search": {"levels": [0.001] * 100}}
        assert (await client.post("/v1/predict", json=levels)).json()["message"] == "`search.levels` may have 99 levels, but has 100."

    asking(body, max_records=5, queue=6)


def test_a_failure_of_the_model_is_told() -> None:
    class Failing(SeriesToy):
        async def ask(self, asked: list[Asked]) -> list[Answer]:
            return ["`task.horizon` is wrong." for _ in asked]

    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/forecast", json=ASKED)
        assert (answer.status_code, answer.json()["detail"]) == (422, "`task.horizon` is wrong.")

    run(body, card(), make=Failing)
