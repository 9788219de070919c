"""A model of Marian translates as before once it is ours, in 32 and in 8 bits; what does not fit is refused in a sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import antiphon
from antiphon.errors import CheckpointError
from antiphon.models.transformer import TransformerConfig
from tests.unit.importers.foreign_models import (
    MARIAN_SETTINGS,
    marian_arrays,
    marian_translated,
    marian_vocabulary,
    write_marian,
)

SOURCES = ["the cat sat on the mat", "a dog", "house and the the tree"]
LONGEST = 8
OVERRIDES = ["task.source=en", "task.target=pt", f"search.limits.max_length={LONGEST}"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


@pytest.mark.parametrize("bits", [32, 8])
def test_translates_as_marian_does(folder: Path, bits: int) -> None:
    pieces = marian_vocabulary(folder / "vocab.spm")
    weights = write_marian(folder / "model.bin", marian_arrays(3, len(pieces)), bits=bits)
    run = antiphon.import_model("marian", folder, folder.parent / "run", overrides=OVERRIDES)
    for file in folder.iterdir():
        file.unlink()
    model = antiphon.load(run)
    assert model.task.columns == ("en", "pt")
    settings = model.recipe.model
    assert isinstance(settings, TransformerConfig)
    assert (settings.decoder, settings.norm_epsilon, settings.encoder_layers) == ("ssru", 1e-9, 2)
    for source in SOURCES:
        symbols = [*pieces.encode(source), 0]
        expected = marian_translated(weights, symbols, LONGEST)
        found = model.predict(source)
        assert found.text == pieces.decode(expected)
        assert len(found.hypothesis.elements) == len(expected) > 0


def test_rows_that_fill_up_the_embedding_stand_for_nothing(folder: Path) -> None:
    pieces = marian_vocabulary(folder / "vocab.spm")
    arrays = marian_arrays(3, -(-len(pieces) // 8) * 8)
    assert len(arrays["Wemb"]) > len(pieces)
    arrays["decoder_ff_logit_out_b"][0, len(pieces) :] = -100
    weights = write_marian(folder / "model.bin", arrays, bits=8)
    model = antiphon.load(antiphon.import_model("marian", folder, folder.parent / "run", overrides=OVERRIDES))
    for source in SOURCES:
        assert model.predict(source).text == pieces.decode(marian_translated(weights, [*pieces.encode(source), 0], LONGEST))


def test_arrays_of_numpy_are_read_too(folder: Path) -> None:
    pieces = marian_vocabulary(folder / "vocab.spm")
    weights = write_marian(folder / "model.bin", marian_arrays(3, len(pieces)))
    text = "".join(f"{key}: {value}\n" for key, value in MARIAN_SETTINGS.items()).encode() + b"\0"
    single = {name: array.astype(np.float32) for name, array in weights.items()}
    np.savez(folder / "model.npz", **single, **{"special:model.yml": np.frombuffer(text, np.int8)})  # type: ignore[arg-type]
    (folder / "model.bin").unlink()
    model = antiphon.load(antiphon.import_model("marian", folder, folder.parent / "run", overrides=OVERRIDES))
    assert model.predict(SOURCES[0]).text == pieces.decode(marian_translated(weights, [*pieces.encode(SOURCES[0]), 0], LONGEST))
    whole = (folder / "model.npz").read_bytes()
    (folder / "model.npz").write_bytes(whole[: len(whole) // 2])
    (folder.parent / "run").rename(folder.parent / "first")
    assert "must be an .npz file of arrays, but cannot be read as one" in _refusal(folder)
    np.savez(folder / "model.npz", **single)
    assert "it has no settings of its training (special:model.yml)" in _refusal(folder)


def _written(folder: Path, **settings: Any) -> bytes:
    pieces = marian_vocabulary(folder / "vocab.spm")
    write_marian(folder / "model.bin", marian_arrays(3, len(pieces)), {**MARIAN_SETTINGS, **settings})
    return (folder / "model.bin").read_bytes()


def _refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        antiphon.import_model("marian", folder, folder.parent / "run")
    assert not (folder.parent / "run").exists()
    return str(caught.value).replace(str(folder), "")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("type", "s2s", "must have `type` of 'transformer' to fit our Transformer, but has 's2s'."),
        ("dec-cell", "gru", "must have `dec-cell` of 'ssru' to fit our Transformer, but has 'gru'."),
        ("transformer-postprocess", "da", "must have `transformer-postprocess` of 'dan' to fit our Transformer, but has 'da'."),
        ("transformer-ffn-depth", 3, "must have `transformer-ffn-depth` of 2 to fit our Transformer, but has 3."),
        ("transformer-ffn-activation", "gelu", "must have `transformer-ffn-activation` of 'relu' or 'swish'"),  # theirs is an approximation
        ("enc-depth", "deep", "is no Marian model: its settings lack a size"),
        ("enc-depth", 3, "is no Marian model: it lacks `encoder_l3_self_Wq`."),
        ("enc-depth", 1, "is no Transformer of a known kind: it also has `encoder_l2_self_Wq`."),
        ("dim-emb", 16, "is no Marian model: `encoder_l1_self_Wq` must have the shape (16, 16), but has (8, 8)."),
    ],
)
def test_another_architecture(folder: Path, name: str, value: Any, sentence: str) -> None:
    _written(folder, **{name: value})
    assert sentence in _refusal(folder)


def test_damaged_files(folder: Path) -> None:
    whole = _written(folder)
    model = folder / "model.bin"
    for length in (0, 7, 30, 500, 2000, len(whole) - 1):
        model.write_bytes(whole[:length])
        assert "is no complete Marian model: it ends too soon" in _refusal(folder)
    model.write_bytes(b"\2" + whole[1:])
    assert "its version must be 1, but is 2" in _refusal(folder)
    model.write_bytes(whole[:8] + b"\xff" * 8 + whole[16:])
    assert "it claims to hold" in _refusal(folder)
    model.write_bytes(whole[:24] + b"\x03\x05" + whole[26:])
    assert "but is of the type 0x503" in _refusal(folder)
    model.write_bytes(whole)
    (folder / "vocab.spm").unlink()
    assert "must hold one vocabulary (*.spm), but holds 0." in _refusal(folder)


def test_a_vocabulary_of_another_size(folder: Path) -> None:
    pieces = marian_vocabulary(folder / "vocab.spm")
    write_marian(folder / "model.bin", marian_arrays(3, len(pieces) + 1))
    assert f"The vocabulary must have {len(pieces) + 1} pieces, as the model has, but has {len(pieces)}." in _refusal(folder)


@pytest.mark.parametrize(("said", "layer"), [(None, 2), ("last", 2), (1, 1)])
def test_it_aligns_in_the_layer_that_learned_to(folder: Path, said: Any, layer: int) -> None:
    _written(folder, **({} if said is None else {"transformer-guided-alignment-layer": said}))
    settings = antiphon.load(antiphon.import_model("marian", folder, folder.parent / "run", overrides=OVERRIDES)).recipe.model
    assert isinstance(settings, TransformerConfig)
    assert (settings.alignment_layer, settings.alignment_heads) == (layer, 1)


@pytest.mark.parametrize("said", [3, 0, "first"])
def test_a_layer_that_is_not_there_cannot_align(folder: Path, said: Any) -> None:
    _written(folder, **{"transformer-guided-alignment-layer": said})
    assert "must have `transformer-guided-alignment-layer` of 'last' or a number from 1 to 2, but has" in _refusal(folder)
