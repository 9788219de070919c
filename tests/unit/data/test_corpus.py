"""Corpora on disk: what goes in comes out, once encoded they are re-used, and a kill leaves nothing half made."""

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.files import FileConfig
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.data import corpus as corpus_module
from antiphon.data.corpus import build_corpus
from antiphon.data.encoding import Encoding
from antiphon.data.mapped import MappedCorpus, MemoryCorpus
from antiphon.data.mixing import MixedCorpus
from antiphon.data.records import open_records
from antiphon.errors import DataError

SPEC = TokenSpec(size=300, pad=0, unknown=1, start=2, end=3)
SMALL = TokenSpec(size=256, pad=0, unknown=1, start=2, end=3)


class Letters:
    """Encodes letters by their code; a seed adds a letter to the source. Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        self.calls += 1
        if "!" in record["source"]:
            raise DataError("`source` must have no exclamation mark, but has one.")
        source = np.array([ord(letter) for letter in record["source"] + ("" if seed is None else "s" * seed)], dtype=np.int64)
        target = record.get("target")
        encoded = None if target is None else np.array([2, *(ord(letter) for letter in target), 3], dtype=np.int64)
        return Example(source, encoded, index, context={"was": record["source"]})


def records_file(folder: Path, rows: int = 3000) -> Path:
    path = folder / "a.tsv"
    path.write_text("source\ttarget\n" + "".join(f"{'ab' * (1 + n % 7)}\t{n}\n" for n in range(rows)))
    return path


def build(folder: Path, records: Any, encode: Any = None, progress: Any = None, **settings: Any) -> MappedCorpus:
    arguments: dict[str, Any] = {"source": SPEC, "target": SMALL, "limits": Limits(), "fingerprint": "f", **settings}
    return build_corpus(open_records(records), Encoding(encode or Letters(), **arguments), folder / "corpus", progress)


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    corpus = build(tmp_path, records_file(tmp_path))
    assert len(corpus) == 3000
    for index in (0, 1, 1023, 1024, 2999):
        expected = Letters()({"source": "ab" * (1 + index % 7), "target": str(index)}, index)
        found = corpus.example(index)
        assert found.record == index
        assert found.source.tolist() == expected.source.tolist()
        assert found.target is not None
        assert expected.target is not None
        assert found.target.tolist() == expected.target.tolist()
    assert corpus.source_lengths.tolist() == [2 * (1 + n % 7) for n in range(3000)]
    sources, targets = corpus.lengths(np.array([2999, 5]))
    assert (sources.tolist(), targets.tolist()) == ([8, 12], [6, 3])
    assert corpus.target_lengths[2999] == 6
    assert corpus.manifest["source"]["dtype"] == "uint16"
    assert corpus.manifest["target"]["dtype"] == "uint8", "256 symbols fit into a byte"
    with pytest.raises(IndexError):
        corpus.example(3000)
    with pytest.raises(IndexError):
        corpus.example(-1)


def test_encoded_once_and_again_when_anything_changes(tmp_path: Path) -> None:
    path = records_file(tmp_path, 50)

    def calls(**settings: Any) -> int:
        encode = Letters()
        build(tmp_path, path, encode, **settings)
        return encode.calls

    assert calls() == 50
    assert calls() == 0
    assert calls(fingerprint="g") == 50
    assert calls(fingerprint="g", limits=Limits(max_source_length=100)) == 50
    assert calls(fingerprint="g", limits=Limits(max_source_length=100), keep_records=True) == 50
    path.write_text(path.read_text() + "ab\tx\n")
    assert calls() == 51
    (tmp_path / "corpus" / "source.bin").write_bytes(b"cut")
    assert calls() == 51, "a damaged corpus is encoded again"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_dropped_records_are_in_the_manifest_and_numbers_stay(tmp_path: Path) -> None:
    corpus = build(tmp_path, records_file(tmp_path, 70), limits=Limits(max_source_length=12))
    assert corpus.tally["read"] == 70
    assert corpus.tally["kept"] == len(corpus) == 60
    assert corpus.tally["dropped"] == {"source too long": 10}
    assert corpus.tally["first"]["source too long"][:2] == [6, 13]
    assert corpus.example(6).record == 7
    assert json.loads((tmp_path / "corpus" / "manifest.json").read_text())["tally"] == corpus.tally


def test_kept_records_can_be_encoded_anew(tmp_path: Path) -> None:
    rows = [{"source": "a\ud800b", "target": "ü", "weight": 1.5, "tags": ["x", None]}, {"source": "cd", "target": "y"}]
    loose = TokenSpec(size=2**17, pad=0, unknown=1, start=2, end=3)
    corpus = build(tmp_path, rows, source=loose, target=loose, keep_records=True, limits=Limits(max_source_length=4))
    assert corpus.record(0) == rows[0]
    assert corpus.example(1).source.tolist() == [99, 100]
    assert corpus.example(1).context is None
    assert corpus.example(1, seed=2).source.tolist() == [99, 100, 115, 115]
    assert corpus.example(1, seed=9).source.tolist() == [99, 100], "too long for the limits, so the stored one"
    assert corpus.encode_again(1).context == {"was": "cd"}
    copy = pickle.loads(pickle.dumps(corpus))  # noqa: S301 -- a worker process gets its corpus so
    assert copy.example(1, seed=1).source.tolist() == [99, 100, 115]


def test_without_records_a_seed_changes_nothing(tmp_path: Path) -> None:
    corpus = build(tmp_path, [{"source": "cd", "target": "y"}])
    assert corpus.example(0, seed=3).source.tolist() == [99, 100]
    with pytest.raises(DataError, match="without its records"):
        corpus.record(0)


def test_values_come_out_with_their_channels(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    examples = [
        Example(generator.normal(size=(n, 3)).astype(np.float32), generator.normal(size=(2, 1)).astype(np.float32), n) for n in range(1, 30)
    ]

    def encode(record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        return examples[record["n"]]

    specs: dict[str, Spec] = {"source": ValueSpec(3), "target": ValueSpec(1)}
    corpus = build_corpus(
        open_records([{"n": n} for n in range(29)]), Encoding(encode, limits=Limits(), fingerprint="", **specs), tmp_path / "c"
    )
    for index, expected in enumerate(examples):
        assert np.array_equal(corpus.example(index).source, expected.source)
        assert corpus.example(index).source.dtype == np.float32
        assert corpus.example(index).record == index


def test_without_targets(tmp_path: Path) -> None:
    corpus = build(tmp_path, [{"source": "ab"}, {"source": "c"}])
    assert not corpus.has_targets
    assert corpus.example(0).target is None
    assert corpus.target_lengths.tolist() == [0, 0]
    with pytest.raises(DataError, match=r"All records must have a target, or none, but record 1 has one\."):
        build(tmp_path, [{"source": "ab"}, {"source": "c", "target": "d"}])


def test_errors_say_where_and_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("source\ttarget\na\tb\nc!\td\n")

    def many(block: list[tuple[int, Record]]) -> list[Example]:
        return [Letters()(record, number) for number, record in block]

    for encode_many in (None, many):
        with pytest.raises(DataError, match=r"a\.tsv:3: `source` must have no exclamation mark"):
            build(tmp_path, path, encode_many=encode_many)
    path.write_text("source\ttarget\n\tb\n")
    with pytest.raises(DataError, match=r"a\.tsv:2 must have a source and a target, but its source is empty"):
        build(tmp_path, path, limits=Limits(empty="error"))
    with pytest.raises(DataError, match=r"all were dropped: 1 for empty source"):
        build(tmp_path, path)
    with pytest.raises(DataError, match="at least one record"):
        build(tmp_path, [])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.tsv"]


def test_numbers_of_a_source_that_leaves_records_out_are_kept(tmp_path: Path) -> None:
    def odd() -> Iterator[tuple[int, Record]]:
        return ((number, {"source": "a" * (number % 3), "target": "b"}) for number in range(1, 20, 2))

    corpus = build_corpus(odd, Encoding(Letters(), SPEC, SPEC, Limits(), ""), tmp_path / "c")
    assert corpus.numbers.tolist() == [1, 5, 7, 11, 13, 17, 19]
    assert corpus.tally["first"] == {"empty source": [3, 9, 15]}
    with pytest.raises(DataError, match=r"all were dropped: 7 for target too long, 3 for empty source \(the first is record 1\)"):
        build_corpus(odd, Encoding(Letters(), SPEC, SPEC, Limits(max_target_length=1), ""), tmp_path / "d")


def test_batched_encoding_gives_the_same(tmp_path: Path) -> None:
    path = records_file(tmp_path, 2100)
    encode = Letters()
    one = build(tmp_path / "one", path, encode)
    many = build(tmp_path / "many", path, Letters(), encode_many=lambda block: [Letters()(record, number) for number, record in block])
    for name in ("source.bin", "target.bin", "source_offsets.bin", "numbers.bin"):
        assert (one.folder / name).read_bytes() == (many.folder / name).read_bytes()


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="holds other files"):
        build(tmp_path, [{"source": "a", "target": "b"}])
    assert (tmp_path / "corpus" / "thesis.txt").read_text() == "precious"


def test_two_builders_at_once_both_end_with_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = records_file(tmp_path, 30)
    original: Callable[..., None] = corpus_module.move_into_place

    def slower(partial: Path, folder: Path, identity: str) -> None:
        monkeypatch.setattr(corpus_module, "move_into_place", original)
        build(tmp_path, path)  # the other process is faster
        original(partial, folder, identity)

    monkeypatch.setattr(corpus_module, "move_into_place", slower)
    assert len(build(tmp_path, path)) == 30


def test_other_formats_are_refused(tmp_path: Path) -> None:
    corpus = build(tmp_path, [{"source": "a", "target": "b"}])
    manifest = json.loads((corpus.folder / "manifest.json").read_text())
    (corpus.folder / "manifest.json").write_text(json.dumps({**manifest, "format_version": 99}))
    with pytest.raises(DataError, match="must have format 1, but has 99"):
        MappedCorpus(corpus.folder)
    with pytest.raises(DataError, match="has no readable manifest"):
        MappedCorpus(tmp_path)


@pytest.mark.parametrize(
    "layout", [{"dtype": "O", "channels": None}, {"dtype": "<U9", "channels": None}, {"dtype": ["f4"], "channels": None}, {}, 3]
)
def test_a_manifest_from_elsewhere_names_only_types_that_are_written(tmp_path: Path, layout: object) -> None:
    change_manifest(tmp_path, source=layout)
    with pytest.raises(DataError, match=r"corpus` must hold `source` as one of uint8, .*, but its manifest says .*\. Delete the folder"):
        MappedCorpus(tmp_path / "corpus")


@pytest.mark.parametrize("channels", [-1, "2", 1.5, True])
def test_a_manifest_from_elsewhere_has_a_number_of_channels(tmp_path: Path, channels: object) -> None:
    change_manifest(tmp_path, source={"dtype": "float32", "channels": channels})
    with pytest.raises(DataError, match=r"must hold `source` with a number of channels or null"):
        MappedCorpus(tmp_path / "corpus")


@pytest.mark.parametrize("name", ["/etc/hostname", "../numbers.bin", "a/b.bin", "recipe.yaml", ""])
def test_a_manifest_from_elsewhere_names_no_other_files(tmp_path: Path, name: str) -> None:
    change_manifest(tmp_path, sizes={name: 1})
    with pytest.raises(DataError, match=r"manifest\.json` must name files of its own folder, such as source\.bin, but names"):
        MappedCorpus(tmp_path / "corpus")


def change_manifest(folder: Path, **changes: object) -> None:
    """Make a corpus whose manifest says something else."""
    path = build(folder, [{"source": "a", "target": "b"}]).folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_unreadable_file_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        open_records(FileConfig(path=str(tmp_path / "none.tsv")))


def plain_corpus(name: str, rows: int) -> MemoryCorpus:
    return MemoryCorpus([Example(np.full(n % 5 + 1, ord(name)), np.array([2, ord(name), 3]), n) for n in range(rows)])


def test_mixtures_show_rows_as_often_as_their_weight() -> None:
    mixture = MixedCorpus([plain_corpus("a", 100), plain_corpus("b", 40), plain_corpus("c", 10)], [2.5, 1.0, 0.3])
    assert len(mixture) == 150
    assert mixture.draws == 250 + 40 + 3
    seen = []
    for epoch in range(30):
        shown = np.bincount(mixture.draw(np.arange(mixture.draws), seed=1, epoch=epoch)[0], minlength=150)
        assert set(shown[:100].tolist()) == {2, 3}
        assert (shown[:100] == 3).sum() == 50
        assert (shown[100:140] == 1).all()
        assert shown[140:].sum() == 3
        assert shown[140:].max() == 1
        seen.append(tuple(shown.tolist()))
    assert len(set(seen)) == 30, "the fraction is drawn anew each epoch"
    assert (np.array(seen)[:, :100].mean(0) > 2).all(), "over epochs every row gets its share"


def test_mixtures_find_their_rows() -> None:
    mixture = MixedCorpus([plain_corpus("a", 4), plain_corpus("b", 6)], [1.0, 1.0])
    assert mixture.example(3).source[0] == ord("a")
    assert mixture.example(4).source[0] == ord("b")
    assert mixture.locate(9) == (1, 5)
    indices = np.array([9, 0, 4])
    sources, targets = mixture.lengths(indices)
    assert sources.tolist() == mixture.source_lengths[indices].tolist() == [1, 1, 1]
    assert targets.tolist() == mixture.target_lengths[indices].tolist() == [3, 3, 3]
    with pytest.raises(DataError, match="above 0"):
        MixedCorpus([plain_corpus("a", 4)], [0.0])
    with pytest.raises(IndexError):
        mixture.example(10)
