"""Clients from the registry get from a service what `predict` says. Each is optional: what is not installed is not asked."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import antiphon
from tests.cli.conftest import write_project

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]

SERIES = """\
task: {name: forecasting, horizon: 3, context_length: 8, known: [price], calendar: [month], frequency: 1mo}
data: {train: data.csv, validation: 3}
model: {name: lstm, dim: 8, head: gaussian}
training: {max_steps: 20, device: cpu}
"""


class Service(NamedTuple):
    """Where it listens, and what it serves."""

    address: str
    translator: Path
    forecaster: Path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two tiny runs."""
    folder, other = tmp_path_factory.mktemp("translator"), tmp_path_factory.mktemp("forecaster")
    translator = Path(antiphon.train(write_project(folder), folder / "run"))
    months = [str(np.datetime64("2015-01") + step) + "-01" for step in range(60)]
    lines = [
        f"{name},{month},{100 * place + step % 12},{step % 5}" for place, name in enumerate("ab", 1) for step, month in enumerate(months)
    ]
    (other / "data.csv").write_text("\n".join(["unique_id,ds,y,price", *lines]) + "\n")
    (other / "recipe.yaml").write_text(SERIES)
    forecaster = Path(antiphon.train(other / "recipe.yaml", other / "run"))
    command = [sys.executable, "-m", "antiphon", "serve", f"en-no={translator}", f"sales={forecaster}", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"at http://(\S+)", process.stderr.readline())
            assert found
            yield Service(found.group(1), translator, forecaster)
        finally:
            process.terminate()
            process.wait(60)


def rows(names: str, steps: int) -> list[dict[str, Any]]:
    """Some months of two series, and the prices of three months more."""
    return [
        {
            "unique_id": name,
            "ds": str(np.datetime64("2019-01") + step) + "-01",
            "y": 50.0 * place + step % 12 if step < steps else None,
            "price": step % 4,
        }
        for place, name in enumerate(names, 1)
        for step in range(steps + 3)
    ]


def test_nixtla(service: Service) -> None:
    pandas, client_of = pytest.importorskip("pandas"), pytest.importorskip("nixtla").NixtlaClient
    client = client_of(api_key="any", base_url=f"http://{service.address}")
    assert client.validate_api_key()
    assert client.list_models() == ["sales"]
    given = rows("pq", 20)
    frame = pandas.DataFrame(given).assign(ds=lambda one: pandas.to_datetime(one["ds"]))
    past, future = frame.dropna(), frame[frame["y"].isna()].drop(columns="y")
    found = client.forecast(past, h=3, X_df=future, freq="MS", level=[80, 95])
    said = antiphon.load(service.forecaster, device="cpu", overrides=["search.levels=[0.025,0.1,0.9,0.975]"]).predict(given)
    points = np.concatenate([one.value.point[:, 0] for one in said])
    np.testing.assert_allclose(found["TimeGPT"], points, rtol=1e-5)
    quantiles = np.concatenate([one.value.quantiles[:, 0] for one in said])
    np.testing.assert_allclose(found[["TimeGPT-lo-95", "TimeGPT-lo-80", "TimeGPT-hi-80", "TimeGPT-hi-95"]].to_numpy(), quantiles, rtol=1e-5)
    assert list(found["ds"].astype(str))[:3] == ["2020-09-01", "2020-10-01", "2020-11-01"]
    quantiles = client.forecast(past, h=3, X_df=future, freq="MS", quantiles=[0.1, 0.5, 0.9])
    np.testing.assert_allclose(quantiles["TimeGPT-q-10"], found["TimeGPT-lo-80"])
    backtest = client.cross_validation(past, h=3, n_windows=2, freq="MS", level=[80])
    assert len(backtest) == 12
    assert set(backtest["cutoff"].astype(str)) == {"2020-02-01", "2020-05-01"}
    anomalies = client.detect_anomalies(past, freq="MS", level=99)
    assert len(anomalies) == 2 * 12
    history = client.forecast(past, h=3, X_df=future, freq="MS", add_history=True)
    assert len(history) == 2 * (12 + 3)
    days = pandas.DataFrame({"unique_id": "d", "ds": pandas.date_range("2024-01-01", periods=9, freq="D"), "y": range(9)})
    with pytest.raises(Exception, match="`freq` must be that of the model, 1mo, but is D"):
        client.forecast(days, h=3, freq="D")
    with pytest.raises(Exception, match="`finetune_steps` is not supported here"):
        client.forecast(past, h=3, X_df=future, freq="MS", finetune_steps=3)
    with pytest.raises(Exception, match="for all 3 steps of its horizon"):
        client.forecast(past, h=2, X_df=future.groupby("unique_id").head(2), freq="MS")


def test_tritonclient(service: Service) -> None:
    triton = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(service.address)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("en-no")
    assert client.get_model_metadata("en-no")["inputs"] == [{"name": "en", "datatype": "BYTES", "shape": [-1]}]
    assert [one["name"] for one in client.get_model_repository_index()] == ["en-no", "sales"]
    texts = ["abc1", "grün", "zz9"]
    said = [one.text for one in antiphon.load(service.translator, device="cpu").predict(texts)]
    for binary in (True, False):
        given = triton.InferInput("en", [3], "BYTES")
        given.set_data_from_numpy(np.array(texts, dtype=object), binary_data=binary)
        wanted = [triton.InferRequestedOutput("prediction", binary_data=binary), triton.InferRequestedOutput("score", binary_data=binary)]
        for outputs in (None, wanted):
            found = client.infer("en-no", [given], outputs=outputs, model_version="1", request_compression_algorithm="gzip")
            strings = [one.decode() if isinstance(one, bytes) else one for one in found.as_numpy("prediction").tolist()]
            assert strings == said
            assert found.as_numpy("score").dtype == np.float32
    history, price = np.arange(12, dtype=np.float32)[None], np.ones((1, 15), dtype=np.float32)
    inputs = [triton.InferInput("y", [1, 12], "FP32"), triton.InferInput("price", [1, 15], "FP32"), triton.InferInput("ds", [1], "BYTES")]
    for one, values in zip(inputs, (history, price, np.array(["2020-01-01"], dtype=object)), strict=True):
        one.set_data_from_numpy(values)
    found = client.infer("sales", inputs, request_compression_algorithm="deflate")
    rows = [{"unique_id": "a", "ds": str(np.datetime64("2020-01") + step) + "-01", "y": float(step), "price": 1.0} for step in range(15)]
    told = [{**row, "y": None} if step > 11 else row for step, row in enumerate(rows)]
    point = antiphon.load(service.forecaster, device="cpu").predict(told)[0].value.point
    np.testing.assert_allclose(found.as_numpy("y"), point.T, rtol=1e-5)
    with pytest.raises(triton.InferenceServerException, match="There is no model `other`"):
        client.infer("other", inputs)


def test_deepl_translates_documents(service: Service, tmp_path: Path) -> None:
    deepl = pytest.importorskip("deepl")
    client = deepl.DeepLClient("any", server_url=f"http://{service.address}")
    texts = ["abc1", "bcd2"]
    said = [one.text for one in antiphon.load(service.translator, device="cpu").predict(texts)]
    assert [one.text for one in client.translate_text(texts, target_lang="NO", source_lang="EN")] == said
    (tmp_path / "a.md").write_text(f"# {texts[0]}\n\n{texts[1]}\n")
    status = client.translate_document_from_filepath(tmp_path / "a.md", tmp_path / "b.md", target_lang="NO", source_lang="EN")
    assert status.done
    assert status.billed_characters == 8
    assert (tmp_path / "b.md").read_text() == f"# {said[0]}\n\n{said[1]}\n"
    (tmp_path / "a.xlf").write_text("<xliff")
    with pytest.raises(deepl.DocumentTranslationException, match=r"a\.xlf"):
        client.translate_document_from_filepath(tmp_path / "a.xlf", tmp_path / "b.xlf", target_lang="NO", source_lang="EN")
    with pytest.raises(deepl.DeepLException, match="A document must be a file of"):
        client.translate_document_upload(b"x", target_lang="NO", source_lang="EN", filename="a.docx")
