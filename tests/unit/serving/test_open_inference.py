"""Tensors in and out: as JSON, as bytes behind it, and packed; texts, sound and series."""

import gzip
import io
import json
import struct
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from antiphon.contracts.series import SeriesFacts
from antiphon.serving.worker import Card
from tests.toy_worker import Toy
from tests.unit.serving.asking import run
from tests.unit.serving.test_nixtla import DAILY, FACTS, SeriesToy, card, rows

INFER = "/v2/models/one/infer"
SPOKEN = Card("speech_recognition", ("audio",), False, True, 16000, {})


def packed(*texts: str) -> bytes:
    """Texts as Triton's clients send them."""
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)


async def binary(client: httpx.AsyncClient, request: dict[str, Any], raw: bytes, **headers: str) -> httpx.Response:
    head = json.dumps(request).encode()
    return await client.post(INFER, content=head + raw, headers={"Inference-Header-Content-Length": str(len(head)), **headers})


def outputs(answer: httpx.Response) -> dict[str, Any]:
    """Outputs in JSON by their names, or the bytes of each."""
    assert answer.status_code == 200, answer.text
    length = answer.headers.get("inference-header-content-length")
    found = json.loads(answer.content[: int(length)] if length else answer.content)
    assert found["model_name"] == "one"
    raw, values = answer.content[int(length) :] if length else b"", {}
    for output in found["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        values[output["name"]] = output["data"] if size is None else raw[:size]
        raw = raw if size is None else raw[size:]
    assert not raw
    return values


def test_texts_as_json() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        request = {"id": "7", "inputs": [{"name": "source", "datatype": "BYTES", "shape": [2, 1], "data": [["grün"], ["b"]]}]}
        answer = await client.post(INFER, json={**request, "parameters": {"beam_size": 2}})
        found = outputs(answer)
        assert answer.json()["id"] == "7"
        assert found["prediction"] == ["GRÜN", "B"]
        assert found["score"] == [-0.5, -0.5]
        assert json.loads(found["details"][0]) == {"prediction": "GRÜN", "score": -0.5}
        assert Toy.made[0].asked[0].search == {"beam_size": 2}
        one = await client.post("/v2/models/one/versions/1/infer", json={**request, "outputs": [{"name": "score"}]})
        assert list(outputs(one)) == ["score"]
        assert outputs(one)["score"] == [-0.5, -0.5]

    run(body)


def test_texts_as_bytes() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        raw = packed("grün", "b")
        request = {
            "inputs": [{"name": "source", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(raw)}}],
            "parameters": {"binary_data_output": True},
        }
        found = outputs(await binary(client, request, raw))
        assert found["prediction"] == packed("GRÜN", "B")
        assert found["score"] == struct.pack("<2f", -0.5, -0.5)
        asked = {**request, "parameters": {}, "outputs": [{"name": "prediction", "parameters": {"binary_data": True}}, {"name": "score"}]}
        found = outputs(await binary(client, asked, raw))
        assert found == {"prediction": packed("GRÜN", "B"), "score": [-0.5, -0.5]}
        head = json.dumps(request).encode()
        headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Encoding": "gzip"}
        answer = await client.post(INFER, content=gzip.compress(head + raw), headers=headers)
        assert outputs(answer)["prediction"] == packed("GRÜN", "B")

    run(body)


def test_sound_is_samples_or_files() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        samples = (np.arange(8, dtype=np.float32) / 8).reshape(2, 4)
        raw, whole = samples.tobytes(), (np.arange(4) * 1000).astype("<i2")
        sent = {"name": "audio", "datatype": "FP32", "shape": [2, 4], "parameters": {"binary_data_size": len(raw)}}
        assert len(outputs(await binary(client, {"inputs": [sent]}, raw))["prediction"]) == 2
        wide = {"name": "audio", "datatype": "INT16", "shape": [4], "data": whole.tolist()}
        outputs(await client.post(INFER, json={"inputs": [wide], "parameters": {"sample_rate": 8000}}))
        file = {"name": "audio", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 8}}
        outputs(await binary(client, {"inputs": [file]}, packed("RIFF")))
        heard = [record["audio"] for one in Toy.made[0].asked for record in one.records]
        for found, expected in zip(heard, samples, strict=False):
            values, rate = soundfile.read(io.BytesIO(found), dtype="float32")
            assert rate == 16000
            np.testing.assert_array_equal(values, expected)
        values, rate = soundfile.read(io.BytesIO(heard[2]), dtype="int16")
        assert (rate, values.tolist()) == (8000, whole.tolist())
        assert heard[3] == b"RIFF"

    run(body, SPOKEN)


def test_series_are_numbers_under_the_names_of_their_columns() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post(
            INFER, content=b'{"inputs": [{"name": "y", "datatype": "FP32", "shape": [2, 3], "data": [[1, NaN, 3], [7, 8, 9]]}]}'
        )
        found = outputs(answer)
        assert found["y"] == [4, 5, 6, 10, 11, 12]
        assert found["y-lo-80"][0] == 4 - 80
        assert answer.json()["outputs"][0] == {"name": "y", "shape": [2, 3], "datatype": "FP64", "data": found["y"]}
        assert [row["y"] for row in rows()] == [1, None, 3, 7, 8, 9]

    run(body, card(), make=SeriesToy)


def test_series_have_further_columns_and_times() -> None:
    facts = replace(DAILY, known=("price",), past=("visitors",), static=("region",))

    async def body(client: httpx.AsyncClient) -> None:
        inputs = [
            {"name": "y", "datatype": "INT32", "shape": [2], "data": [1, 2]},
            {"name": "price", "datatype": "FP64", "shape": [1, 5], "data": [5, 6, 7, 8, 9]},
            {"name": "visitors", "datatype": "FP32", "shape": [1, 2], "data": [70, 80]},
            {"name": "region", "datatype": "BYTES", "shape": [1], "data": ["north"]},
            {"name": "ds", "datatype": "BYTES", "shape": [1], "data": ["2024-02-28"]},
        ]
        assert outputs(await client.post(INFER, json={"inputs": inputs}))["y"] == [3, 4, 5]
        assert [tuple(row.values()) for row in rows()] == [
            (1, "north", "2024-02-28", 1, 70, 5),
            (1, "north", "2024-02-29", 2, 80, 6),
            (1, "north", "2024-03-01", None, None, 7),
            (1, "north", "2024-03-02", None, None, 8),
            (1, "north", "2024-03-03", None, None, 9),
        ]
        short = [{**one, "data": [5, 6], "shape": [1, 2]} if one["name"] == "price" else one for one in inputs]
        assert (await client.post(INFER, json={"inputs": short})).json()["error"] == "`price` must have 5 steps, but has 2."
        assert (await client.post(INFER, json={"inputs": inputs[:1]})).json()["error"] == "This model reads `visitors`, which is missing."

    run(body, card(facts), make=SeriesToy)


def test_models_say_what_they_are() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        assert (await client.get("/v2")).json()["name"] == "antiphon"
        assert (await client.get("/v2/health/live")).status_code == 200
        assert (await client.get("/v2/health/ready")).status_code == 200
        found = (await client.get("/v2/models/one")).json()
        assert found["inputs"] == [{"name": "source", "datatype": "BYTES", "shape": [-1]}]
        assert [one["name"] for one in found["outputs"]] == ["prediction", "score", "details"]
        assert (await client.get("/v2/models/one/versions/1/ready")).status_code == 200
        assert (await client.get("/v2/models/one/versions/2/ready")).json()["error"] == "Model `one` has only the version 1, not 2."
        assert (await client.get("/v2/models/tow")).status_code == 404
        assert [one["name"] for one in (await client.post("/v2/repository/index", content=b"")).json()] == ["one", "two"]

    run(body)

    async def series(client: httpx.AsyncClient) -> None:
        found = (await client.get("/v2/models/one")).json()
        assert found["outputs"] == [{"name": "y", "datatype": "FP64", "shape": [-1, 3]}]

    run(series, card(replace(FACTS, static=("region",))), make=SeriesToy)

    async def sound(client: httpx.AsyncClient) -> None:
        assert (await client.get("/v2/models/one")).json()["inputs"] == [{"name": "audio", "datatype": "FP32", "shape": [-1, -1]}]

    run(sound, SPOKEN)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "source", "datatype": "BYTES", "shape": [1], "data": ["a"], **changes}]}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "The request must be an object with a list of `inputs`."),
        ({"inputs": [1]}, "Each input must be an object with a `name`, a `shape` and a `datatype`."),
        (tensor(name="sauce"), "This model has no input `sauce`; it has source. Did you mean `source`?"),
        (tensor(datatype="TEXT"), "The `datatype` of `source` must be one of BYTES, INT8, INT16,"),
        (tensor(datatype="FP32"), "`source` must have values of FP32 in `data`."),
        (tensor(datatype="INT8", data=[300]), "`source` must have values of INT8 in `data`."),
        (tensor(datatype="INT8", data=[3]), "`source` must be of datatype BYTES, but is of INT8."),
        (tensor(shape=[2]), "`source` must have 2 elements in `data`, as its shape says."),
        (tensor(shape=[-1]), "The `shape` of `source` must be whole numbers from 0 on, but is [-1]."),
        (tensor(shape=[0], data=[]), "`inputs` must hold at least one input."),
        (tensor(shape=[1, 2], data=["a", "b"]) | {"parameters": {"beam_size": 99}}, "`search.beam_size` must be at most 16 here"),
        (tensor(shape=[2, 2], data=list("abcd")), "`source` must have the shape [n] or [n, 1], but has [2, 2]."),
        (tensor(data=[""]), "Element 1: the source is empty."),
        (
            tensor(data=["a"], parameters={"shared_memory_region": "x"}),
            "`source` must be sent in the request: shared memory is not supported here.",
        ),
        (tensor(data=["a"], parameters={"binary_data_size": 9}), "`source` must have 9 bytes behind the JSON, but there are 0."),
        (
            tensor() | {"outputs": [{"name": "sense"}]},
            "`outputs` must be a list of these, each with its `name`: prediction, score",
        ),
        (tensor() | {"parameters": {"sequence_id": 3}}, "`sequence_id` is for models that remember earlier requests"),
        (tensor() | {"parameters": {"language_model": "/etc"}}, "`search.language_model` may not be set by a request."),
        ({"inputs": tensor()["inputs"] * 2}, "Each input may be given once."),
    ],
)
def test_what_is_wrong_is_one_sentence(request_: Any, message: str) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post(INFER, json=request_)
        assert answer.status_code in (400, 422)
        assert answer.json()["error"].startswith(message)

    run(body)


@pytest.mark.parametrize(
    ("head", "raw", "message"),
    [
        ("x", b"", "`Inference-Header-Content-Length` must be the length of the JSON, but is 'x'."),
        ("999", b"", "`Inference-Header-Content-Length` must be the length of the JSON"),
        (None, packed("a") + b"more", "4 bytes are left after the last tensor."),
        (None, packed("a")[:-1], "`source` must have 5 bytes behind the JSON, but there are 4."),
        (None, b"\xff\0\0\0a", "`source` must have 1 elements, each behind its length in four bytes."),
        (None, packed("")[:-4] + b"\1\0\0\0\xff", "`source` must have texts in UTF-8."),
    ],
)
def test_bytes_that_are_wrong_are_one_sentence(head: str | None, raw: bytes, message: str) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        request = json.dumps(tensor(data=None, parameters={"binary_data_size": 5})).encode()
        length = str(len(request)) if head is None else head
        answer = await client.post(INFER, content=request + raw, headers={"Inference-Header-Content-Length": length})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(message)

    run(body)


def test_series_of_the_wrong_form_are_refused() -> None:
    def given(**changes: Any) -> dict[str, Any]:
        return {"inputs": [{"name": "y", "datatype": "FP64", "shape": [1], "data": [1], **changes}]}

    async def body(client: httpx.AsyncClient) -> None:
        for request, message in (
            (given(shape=[1, 1, 1]), "`y` must have the shape [steps] or [series, steps], but has [1, 1, 1]."),
            (given(shape=[1, 0], data=[]), "A series must have at least one step."),
            (given(shape=[0, 1], data=[]), "A series must have at least one step."),
            (given(datatype="BYTES", data=["1"]), "`y` must be of numbers, but is of BYTES."),
            (given(data=[1e301]), "`y` must have numbers that are not infinite."),
        ):
            answer = await client.post(INFER, json=request)
            assert (answer.status_code, answer.json()["error"]) == (400, message)
        missing = await client.post(INFER, content=json.dumps(given(data=[float("nan")])))
        assert missing.json()["error"].startswith("The last value of a series must not be missing")

    run(body, card(), make=SeriesToy)
    wide = SeriesFacts(None, "ds", ("y",), (), (), (), True, 3, 2, "1i", None, False)

    async def refused(client: httpx.AsyncClient) -> None:
        assert "which this protocol has no place for" in (await client.post(INFER, json=given())).json()["error"]

    run(refused, card(wide), make=SeriesToy)
