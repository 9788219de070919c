"""What tells the data of two runs apart."""

import json

import numpy as np
import pytest

from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.data.corpus import build_corpus
from antiphon.data.encoding import Encoding
from antiphon.data.folders import read_manifest
from antiphon.data.identity import identity_of, is_same
from antiphon.data.mapped import MappedCorpus
from antiphon.data.series import Series
from antiphon.data.windows import build_windows

WORDS = TokenSpec(size=50, pad=0, unknown=1, start=2, end=3)


def build(folder, sources, targets, spec=WORDS):
    def encode(record, index=-1, *, seed=None):
        return Example(np.asarray(record["source"]), np.asarray(record["target"]), index)

    records = [{"source": source, "target": target} for source, target in zip(sources, targets, strict=True)]

    return build_corpus(lambda: iter(enumerate(records)), Encoding(encode, spec, WORDS, Limits(), str(folder)), folder)


def test_the_same_examples_are_the_same_wherever_they_lie(tmp_path):
    sources, targets = [[4, 5, 6], [7, 8]], [[1, 9], [1, 10]]
    one, other = (identity_of([build(tmp_path / name, sources, targets)]) for name in ("a", "b"))
    assert one == other
    assert is_same(json.loads(json.dumps(one)), other)


@pytest.mark.parametrize(
    ("sources", "targets"), [([[4, 5, 9], [7, 8]], [[1, 9], [1, 10]]), ([[4, 5, 6], [7, 8]], [[1, 9], [1, 11]]), ([[4, 5, 6]], [[1, 9]])]
)
def test_other_examples_of_the_same_lengths_are_others(tmp_path, sources, targets):
    one = identity_of([build(tmp_path / "a", [[4, 5, 6], [7, 8]], [[1, 9], [1, 10]])])
    assert not is_same(one, identity_of([build(tmp_path / "b", sources, targets)]))


def test_computed_values_may_differ_in_their_last_bits_only(tmp_path, seed):
    draw = np.random.default_rng(seed)
    frames = [draw.normal(size=(length, 3)).astype(np.float32) for length in (40, 7, 90)]
    spec, targets = ValueSpec(3), [[1, 9]] * 3

    def identity(name, values):
        return identity_of([build(tmp_path / name, values, targets, spec)])

    one = identity("a", [list(map(list, array)) for array in frames])
    assert is_same(one, identity("b", [(array * np.float32(1 + 1e-6)).tolist() for array in frames]))
    assert not is_same(one, identity("c", [(array * 100).tolist() for array in frames]))
    assert not is_same(one, identity("d", [(-array).tolist() for array in frames]))
    assert not is_same(one, identity("e", [array.tolist()[::-1] for array in frames]))


def test_an_older_checkpoint_is_compared_by_its_lengths(tmp_path):
    one = identity_of([build(tmp_path / "a", [[4, 5]], [[1, 9]])])
    older = {key: one[key] for key in ("examples", "lengths")}
    assert is_same(older, identity_of([build(tmp_path / "b", [[6, 7]], [[1, 9]])]))
    assert not is_same(older, identity_of([build(tmp_path / "c", [[6, 7, 8]], [[1, 9]])]))


def test_the_contents_of_an_older_corpus_are_looked_at(tmp_path):
    corpus = build(tmp_path / "a", [[4, 5]], [[1, 9]])
    expected = identity_of([corpus])
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    del manifest["contents"]
    (tmp_path / "a" / "manifest.json").write_text(json.dumps(manifest))
    assert identity_of([MappedCorpus(tmp_path / "a")]) == expected


def test_series_of_another_scale_are_other_data(tmp_path):
    def contents(name, values):
        nothing = np.empty((len(values), 0))
        one = Series("one", np.arange(len(values)), values[:, None], nothing, nothing, (), None)
        build_windows([(one, nothing.astype(np.float32))], tmp_path / name, name, dict, (1, 0))
        return read_manifest(tmp_path / name)["contents"]

    values = np.linspace(1.0, 2.0, 30)
    assert contents("a", values) == contents("b", values)
    assert contents("a", values) != contents("c", 100 * values)
