"""The GRU of g2p-en says the same as before once it is ours, and what is no such model is refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest

import antiphon
from antiphon.errors import CheckpointError
from antiphon.importers.g2p_en import PHONEMES
from tests.unit.importers.foreign_models import g2p_arrays, g2p_predicted

WORDS = ["a", "hello", "zebra", "o'brien", "qu", "the", "Transformer"]


@pytest.mark.parametrize("seed", [1, 2])
def test_says_what_the_package_says(tmp_path: Path, seed: int) -> None:
    arrays = g2p_arrays(seed)
    np.savez(tmp_path / "checkpoint20.npz", **arrays)
    run = antiphon.import_model("g2p_en", tmp_path, tmp_path / "run")
    (tmp_path / "checkpoint20.npz").unlink()  # the run is complete in itself
    found = [prediction.text for prediction in antiphon.load(run).predict(WORDS)]
    expected = [[PHONEMES[number] for number in g2p_predicted(arrays, word.lower())] for word in WORDS]
    assert any(expected)
    assert [text.replace("\u2047", "<unk>").split() for text in found] == expected


def test_what_is_no_such_model(tmp_path: Path) -> None:
    path, arrays = tmp_path / "model.npz", g2p_arrays(1)

    def refusal() -> str:
        with pytest.raises(CheckpointError) as caught:
            antiphon.import_model("g2p_en", path, tmp_path / "run")
        assert not (tmp_path / "run").exists()
        return str(caught.value)

    assert "There is no file or folder" in refusal()
    np.savez(path, **{name: array for name, array in arrays.items() if name != "fc_w"})
    assert refusal() == f"{path} is no model of g2p-en: it lacks fc_w."
    np.savez(path, **{**arrays, "fc_w": arrays["fc_w"][1:]})
    assert refusal() == f"{path} is no model of g2p-en: fc_w must have the shape (74, 5), but has (73, 5)."
    np.savez(path, **{**arrays, "fc_b": np.array([{}], dtype=object)})
    assert "must be an .npz file of arrays, but cannot be read as one" in refusal()
    np.savez(path, **arrays)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "must be an .npz file of arrays" in refusal()
