"""What is exported for Marian is Marian's: its own arithmetic says what we say, and our importer reads the same model back."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch

import antiphon
from antiphon.contracts.configuration import plain
from antiphon.errors import ExportError
from antiphon.exporters.interface import TrainedModel
from antiphon.exporters.marian import plugin
from antiphon.exporters.marian_file import factor_of
from antiphon.importers import marian as importer
from antiphon.recipe.assembly import build_model, load_trained
from antiphon.recipe.recipe import recipe_from, with_overrides
from tests.unit.importers.foreign_models import MARIAN_SETTINGS, marian_arrays, marian_translated, marian_vocabulary, write_marian

SOURCES = ["the cat sat on the mat", "a dog and a house", "two dogs", "the mat on the ﬁne house"]
TARGETS = ["die Katze saß", "ein Hund und ein Haus", "zwei Hunde", "die Matte"]
RECORDS = [{"source": source, "target": target} for source, target in zip(SOURCES, TARGETS, strict=True)]
SETTINGS = {**MARIAN_SETTINGS, "dim-emb": 16, "transformer-dim-ffn": 32}
LIMITS = {"max_ratio": 0, "max_offset": 9}


def trained_run(folder: Path, search: Any = None, vocabulary: Any = None, **model: Any) -> Path:
    sizes = {"dim": 16, "heads": 2, "encoder_layers": 2, "decoder_layers": 2, "feed_forward_dim": 32, "dropout": 0.0}
    marian = {"norm_position": "post", "tied_embeddings": "all", "start_embedding": "zeros"}
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "unigram", "size": 300, **(vocabulary or {})}},
            "model": {"name": "transformer", **sizes, **marian, **model},
            "data": {"validation": 1},
            "training": {"max_steps": 3, "optimizer": {"name": "adamw", "learning_rate": 0.03}, "samples": 0},
            "search": {"name": "greedy", "limits": LIMITS, "processors": {"allow_unknown": False}, **(search or {})},
        }
    )
    return antiphon.train(recipe, folder, data={"train": RECORDS * 4})


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    made: dict[str, Path] = {}

    def get(**model: Any) -> Path:
        key = str(sorted(model.items()))
        if key not in made:
            made[key] = trained_run(tmp_path_factory.mktemp("run") / "run", **model)
        return made[key]

    return get


def exported(run: Path, folder: Path, precision: Any = "fp32", records: Any = RECORDS) -> list[str]:
    trained = load_trained(run)
    model = TrainedModel(
        "mine", trained.recipe.model.name, trained.model, trained.task, plain(trained.recipe), trained.recipe.trust, trained.header, (),
        precision, lambda: records,
    )  # fmt: skip
    folder.mkdir()
    return list(plugin.export(model, folder))


def imported(tmp_path: Path, bits: int) -> tuple[Path, Any, dict[str, Any]]:
    (tmp_path / "theirs").mkdir()
    pieces = marian_vocabulary(tmp_path / "theirs" / "vocab.spm")
    weights = write_marian(tmp_path / "theirs" / "model.bin", marian_arrays(3, len(pieces), SETTINGS), SETTINGS, bits=bits)
    run = antiphon.import_model("marian", tmp_path / "theirs", tmp_path / "run", overrides=["search.limits.max_length=8"])
    return run, pieces, weights


def test_an_imported_model_leaves_as_it_came(tmp_path: Path) -> None:
    run, pieces, weights = imported(tmp_path, 32)
    antiphon.export(run, format="marian", out=tmp_path / "mine")
    with np.load(tmp_path / "mine" / "model.npz") as archive:
        found = {name: archive[name].astype(np.float64) for name in archive.files}
    settings = found.pop("special:model.yml").astype(np.int8).tobytes()
    assert settings.endswith(b"\0")
    assert b'dec-cell: "ssru"' in settings
    assert found.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    model = antiphon.load(run)
    for source in SOURCES[:2]:
        expected = marian_translated(found, [*pieces.encode(source), 0], 8, SETTINGS)
        assert model.predict(source).text == pieces.decode(expected)
    assert (tmp_path / "mine" / "vocab.spm").read_bytes() == (tmp_path / "theirs" / "vocab.spm").read_bytes()


def test_8_bits_leave_as_they_came(tmp_path: Path) -> None:
    run, _, _ = imported(tmp_path, 8)
    lost = exported(run, tmp_path / "mine", "int8", [{"source": source, "target": "the dog sat"} for source in SOURCES[:3]])
    again = importer.read(tmp_path / "mine").weights
    for name, tensor in load_trained(run).model.state_dict().items():
        torch.testing.assert_close(again[name], tensor, rtol=1e-6, atol=1e-7)
    assert "likeliest next one is the same" in lost[-1]


@pytest.mark.parametrize("form", ["npz", "bin"])
@pytest.mark.parametrize("model", [{}, {"decoder": "ssru", "activation": "silu", "bias": False, "decoder_feed_forward_dim": 20}])
def test_a_model_of_ours_says_the_same_once_it_is_read_back(run_of: Any, tmp_path: Path, model: Any, form: str) -> None:
    run = run_of(**model)
    lost = exported(run, tmp_path / "mine")
    (tmp_path / "mine" / ("model.bin" if form == "npz" else "model.npz")).unlink()
    again = antiphon.import_model("marian", tmp_path / "mine", tmp_path / "again", overrides=["search.limits.max_ratio=0"])
    first, second = antiphon.load(run), antiphon.load(again, overrides=["search.limits.max_offset=9"])
    texts = [*SOURCES, "ｔｈｅ ｃａｔ"]  # full-width letters: the exported vocabulary makes them ordinary ones, as our source does
    for one, other in zip(first.predict(texts), second.predict(texts), strict=True):
        assert one.hypothesis.elements.tolist() == other.hypothesis.elements.tolist()
        assert one.text == other.text
        assert len(one.hypothesis.elements)
    assert any("`model.norm_epsilon: 1e-05`" in sentence for sentence in lost)


def test_the_vocabulary_normalizes_as_we_do(run_of: Any, tmp_path: Path) -> None:
    exported(run_of(), tmp_path / "mine")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "mine" / "vocab.spm"))
    source = load_trained(run_of()).task.features[0]
    for text in [*SOURCES, " ｔｈｅ\u3000 ｃａｔ\t²", "e\u0301 \ufb01"]:
        assert pieces.encode(text) == source.encode(text).tolist()
    assert pieces.decode(source.encode("the cat").tolist()) == "the cat"


def test_the_range_of_what_the_first_matrix_reads(run_of: Any, tmp_path: Path) -> None:
    exported(run_of(), tmp_path / "mine", "int8")
    data = (tmp_path / "mine" / "model.bin").read_bytes()
    entries = {name: (shape, code, place) for name, code, shape, place in _entries(data)}
    trained = load_trained(run_of())
    weights = trained.model.state_dict()["source_positioned.frontend.embedding.weight"].double().numpy()
    largest = []
    for record in RECORDS:
        symbols = trained.task.encode(record).source
        places = np.arange(len(symbols))[:, None] * np.exp(np.arange(8) * -np.log(10_000) / 7)
        largest.append(np.abs(weights[symbols] * 4 + np.concatenate([np.sin(places), np.cos(places)], 1)).max())
    shape, code, place = entries["encoder_l1_self_Wq_QuantMultA"]
    assert (shape, code) == ((1, 1), 0x404)
    assert struct.unpack_from("<f", data, place)[0] == pytest.approx(127 / (np.mean(largest) + 1.1 * np.std(largest)), rel=1e-4)
    size = trained.task.target_spec.size
    assert entries["Wemb"][:2] == ((size + -size % 8, 16), 0x4101)
    assert entries["decoder_l1_self_bq"][:2] == ((1, 16), 0x404)
    assert all(place % 256 == 0 for *_, place in entries.values())
    matrices = {name for name, (_, code, _) in entries.items() if code == 0x4101}
    assert {f"{name}_QuantMultA" for name in matrices} == {name for name in entries if name.endswith("QuantMultA")}
    assert len(matrices) == 1 + 2 * 6 + 2 * 10


def _entries(data: bytes) -> list[tuple[str, int, tuple[int, ...], int]]:
    """Names, types, shapes and places, read without our reader."""
    _, count = struct.unpack_from("<QQ", data)
    headers = [struct.unpack_from("<QQQQ", data, 16 + 32 * row) for row in range(count)]
    place, names, shapes = 16 + 32 * count, [], []
    for length, *_ in headers:
        names.append(data[place : place + length].rstrip(b"\0").decode())
        place += length
    for _, _, rank, _ in headers:
        shapes.append(struct.unpack_from(f"<{rank}i", data, place))
        place += 4 * rank
    place += 8 + struct.unpack_from("<Q", data, place)[0]
    found = []
    for name, shape, (_, code, _, size) in zip(names, shapes, headers, strict=True):
        found.append((name, code, shape, place))
        place += size
    assert place == len(data)
    return found


def test_what_was_learned_since_an_import_is_not_rounded_away(seed: int) -> None:
    draw = np.random.default_rng(seed)
    old = np.clip(np.rint(draw.normal(size=(64, 64)) * 30), -127, 127)
    old[0, 0] = 127
    old = (old / 200).astype(np.float32)
    assert factor_of(old) == pytest.approx(200, rel=1e-5), "weights on the grid of 8 bits stay there"
    learned = draw.normal(size=old.shape).astype(np.float32) * 0.1 / 200
    learned[0, 0] = 0
    kept = {}
    for name, factor in (("ours", factor_of(old + learned)), ("the same grid", np.float32(127) / np.abs(old + learned).max())):
        rounded = np.rint((old + learned) * factor) / factor
        kept[name] = float(((rounded - old) * learned).sum() / (learned**2).sum())
    assert kept["the same grid"] < 0.1
    assert kept["ours"] > 0.8


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"norm_position": "pre"}, "`model.norm_position` must be post for `--format marian`, but is pre"),
        ({"norm": "rms"}, "`model.norm` must be layer"),
        ({"positions": "rotary"}, "`model.positions` must be sinusoidal"),
        ({"activation": "gelu"}, "`model.activation` must be relu or silu .* x \\* sigmoid"),
        ({"gated": True}, "`model.gated` must be false"),
        ({"scale_embeddings": False}, "`model.scale_embeddings` must be true"),
        ({"window": 3}, "`model.window` must be null"),
        ({"wait_k": 3}, "`model.wait_k` must be null"),
        ({"key_value_heads": 1}, "`model.key_value_heads` must be `heads` \\(2\\)"),
        ({"norm_epsilon": 1e-3}, "`model.norm_epsilon` must be at most 1e-05"),
        ({"tied_embeddings": "decoder"}, "`model.tied_embeddings` must be all"),
        ({"head": "pointer"}, "`model.head: pointer` must be left out"),
        ({"start_embedding": "learned"}, "`model.start_embedding` must be zeros .*\\(its largest number is 0\\.\\d+\\)"),
    ],
)
def test_what_marian_would_read_otherwise_is_refused(tmp_path: Path, run_of: Any, model: Any, sentence: str) -> None:
    trained = load_trained(run_of())
    changes = [f"model.{name}={'null' if value is None else value}" for name, value in model.items()]
    recipe = with_overrides(trained.recipe, changes)
    network = build_model(recipe, trained.task)
    mine = TrainedModel("mine", "transformer", network, trained.task, plain(recipe), recipe.trust, trained.header, ())
    with pytest.raises(ExportError, match=sentence):
        plugin.export(mine, tmp_path)
    assert not list(tmp_path.iterdir())


def test_8_bits_need_sizes_and_sentences(tmp_path: Path, run_of: Any) -> None:
    with pytest.raises(ExportError, match=r"`model.decoder_feed_forward_dim` must be a multiple of 16 .* but is 20\. `--precision fp32`"):
        exported(run_of(decoder="ssru", activation="silu", bias=False, decoder_feed_forward_dim=20), tmp_path / "one", "int8")
    with pytest.raises(ExportError, match=r"the run has none: add `--set data\.validation=FILE`"):
        exported(run_of(), tmp_path / "other", "int8", [])


def test_the_search_is_written_and_what_marian_lacks_is_said(run_of: Any, tmp_path: Path) -> None:
    changes = ["search.name=beam", "search.beam_size=4", "search.length_penalty=power", "search.alpha=0.7", "search.patience=2.0"]
    folder = antiphon.export(run_of(), format="marian", out=tmp_path / "mine", overrides=changes)
    lines = (folder / "config.yml").read_text().splitlines()
    assert {"beam-size: 4", "normalize: 0.7", "skip-cost: false", "gemm-precision: float32"} <= set(lines)
    card = (folder / "README.md").read_text()
    assert "* `search.patience: 2.0` has no counterpart in Marian." in card
    assert "length_penalty" not in card


def test_zeros_to_start_with_stay_while_the_model_learns(run_of: Any) -> None:
    trained = load_trained(run_of())
    row = trained.model.state_dict()["target_positioned.frontend.embedding.weight"][2]
    assert row.abs().max() > 0, "a row of the output layer learns, too"
    embed = trained.model.target_positioned.frontend  # type: ignore[union-attr]
    assert not embed(torch.tensor([[2]])).any()
    assert embed(torch.tensor([[3, 2]]))[0, 0].abs().max() > 0
