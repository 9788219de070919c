"""What the benchmarks write for the systems that take part is what they read."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.specs import TokenSpec
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.models import transformer

PROGRAM = Path(__file__).resolve().parents[3] / "benchmarks" / "encoding.py"


@pytest.fixture(scope="module")
def encoding() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_encoding", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_corpus_is_prepared_once_and_its_specs_read_back(encoding: ModuleType, tmp_path: Path) -> None:
    letters = "abcdefghijklmnop"
    rows = [f"a {first + second} is {second + first + second}\tein {first} ist {second}" for first in letters for second in letters]
    data = tmp_path / "train.tsv"
    data.write_text("\n".join(["en\tde", *rows]) + "\n", encoding="utf-8")
    folder = encoding.prepare(data, "en", "de", tmp_path / "cache", vocabulary=300)
    written = (folder / "specs.json").stat().st_mtime_ns
    assert encoding.prepare(data, "en", "de", tmp_path / "cache", vocabulary=300) == folder
    assert (folder / "specs.json").stat().st_mtime_ns == written
    source, target = encoding.specs(folder)
    assert source == target
    batch = next(iter(encoding.loader(folder, 100).batches(0)))
    assert int(batch.target.values.max()) < target.size


def test_a_model_is_read_as_it_was_written(encoding: ModuleType, tmp_path: Path, seed: int) -> None:
    spec = TokenSpec(11, 0, 1, 2, 3, "test", word_starts=np.ones(11, dtype=bool))
    settings = validate(TransformerConfig, {"dim": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 12})
    model = transformer.build(settings, spec, spec)
    read = encoding.read_model(encoding.write_model(tmp_path / "model", settings, model))
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in read.state_dict().items())
