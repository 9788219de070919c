"""Source factors: values of words become values of symbols, are stored, cut and batched, and reach the encoder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import antiphon
from antiphon.contracts.configuration import validate
from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import Factor, TokenSpec
from antiphon.data.collate import collate
from antiphon.data.records import open_records
from antiphon.data.workers import _packed, _unpacked
from antiphon.errors import ConfigError, DataError
from antiphon.layers.frontends import Frontend
from antiphon.tasks.translation import TranslationConfig, plugin
from tests.toys import ToyModel

ROWS = [
    {"source": "light of the night", "target": "Licht der Nacht", "pos": "N P D N", "case": "up low low low", "kind": "x"},
    {"source": "light house", "target": "leichtes Haus", "pos": "A N", "case": "low low", "kind": "y"},
]
FACTORS = {"pos": {"combine": "concat", "dim": 3}, "case": {}}


def fitted(**settings: Any) -> Any:
    task = plugin.build(validate(TranslationConfig, {"vocabulary": {"kind": "word"}, "source_factors": FACTORS, **settings}))
    task.fit(open_records(ROWS * 10))
    return task


def test_every_symbol_of_a_word_has_its_values() -> None:
    task = fitted()
    found = [replace(factor, fingerprint="") for factor in task.source_spec.factors]
    assert found == [Factor("pos", 6, "concat", 3), Factor("case", 4, "sum", 32)]
    assert task.target_spec.factors == ()
    example = task.encode(ROWS[0])
    assert example.factors.tolist() == [[2, 3], [5, 2], [4, 2], [2, 2], [0, 0]], "the most frequent first; the end has none"
    assert task.encode({**ROWS[1], "pos": "A X"}).factors[1, 0] == 1, "never seen"
    assert task.encode({**ROWS[1], "pos": ["A", "N"]}).factors.tolist() == task.encode(ROWS[1]).factors.tolist()
    assert task.encode({name: value for name, value in ROWS[1].items() if name != "target"}).factors is not None
    assert task.encode({**ROWS[1], "source": "", "pos": "", "case": ""}).factors.tolist() == [[0, 0]]


@pytest.mark.parametrize("kind", ["character", "unigram"])
def test_in_whatever_pieces(kind: str) -> None:
    text = {"kind": kind, **({} if kind == "character" else {"size": 290, "sampling": 0.3})}
    task = fitted(vocabulary=text, tags=["kind"], source_prefix="now: ")
    for seed in (None, 1, 2):
        example = task.encode(ROWS[0], seed=seed)
        pieces = task.pieces("source", example.source)
        said = dict.fromkeys(range(6), "")
        for piece, (value, _) in zip(pieces, example.factors.tolist(), strict=True):
            said[value] += piece
        assert said[5].strip("\u2581 ") == "of"
        assert said[2].replace("\u2581", " ").split() == ["light", "night"]
        assert "<x>" in said[0]
        assert said[0].endswith("</s>")


def test_vocabularies_are_saved(tmp_path: Path) -> None:
    task = fitted()
    task.save(tmp_path)
    again = plugin.build(task.settings)
    again.load(tmp_path)
    assert again.source_spec == task.source_spec
    assert again.fingerprint == task.fingerprint
    assert again.encode(ROWS[0]).factors.tolist() == task.encode(ROWS[0]).factors.tolist()


def test_a_stream_has_no_factors() -> None:
    with pytest.raises(ConfigError, match=r"`task\.source_factors` must be left out for a stream of words"):
        fitted().stream_text(ToyModel(), None, ["light"], {})


def test_other_values_are_another_spec() -> None:
    """As many of them as there are: an ensemble of both would read nonsense."""
    task, other = fitted(), plugin.build(fitted().settings)
    other.fit(open_records([{**row, "case": row["case"].replace("up", "title")} for row in ROWS] * 10))
    assert task.source_spec != other.source_spec
    assert task.source_spec.has_symbols_of(other.source_spec)


def test_factors_are_stored_cut_and_batched(tmp_path: Path) -> None:
    task = fitted(weight="w")
    rows = [{**row, "w": 2} for row in ROWS]
    limits = Limits(max_source_length=4, too_long="truncate")
    corpus = task.build_corpus(open_records(rows), tmp_path / "corpus", limits=limits, keep_records=False)
    found = [corpus.example(row) for row in range(2)]
    assert found[0].factors.tolist() == [[2, 3], [5, 2], [4, 2], [0, 0]], "the end stays the end"
    batch = collate(found, task.source_spec, task.target_spec)
    assert batch.source.factors is not None
    assert batch.source.factors[1].tolist() == [[3, 2], [2, 2], [0, 0], [0, 0]]
    some = batch.select_rows(torch.tensor([1]))
    assert some.source.factors is not None
    assert some.source.factors.shape == (1, 3, 2)
    back = _unpacked(_packed(batch))
    assert back is not None
    assert back.source.factors is not None
    assert torch.equal(back.source.factors, batch.source.factors)
    assert back.weights is not None
    assert back.weights.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("values", "reason"),
    [("A", "has 1 for 2. Words are separated by white space"), (None, "is missing"), (3, "is 3"), ([1, 2], r"is \[1, 2\]")],
)
def test_values_that_do_not_fit_are_named(values: Any, reason: str, tmp_path: Path) -> None:
    task, rows = fitted(), [ROWS[0], {**ROWS[1], "pos": values}]
    wanted = f"record 1: `pos` must have a value for each word of `source`, .*{reason}"
    with pytest.raises(DataError, match=wanted):
        task.build_corpus(open_records(rows), tmp_path / "corpus", limits=Limits(), keep_records=False)
    with pytest.raises(DataError, match=wanted):
        fitted().fit(open_records(rows))


def test_a_frontend_adds_and_concatenates() -> None:
    spec = TokenSpec(9, 0, 1, 2, 3, factors=(Factor("pos", 5, "concat", 3), Factor("a.b", 4, "sum", 32)))
    frontend = Frontend(spec, 4, scale=2.0)
    symbols, factors = torch.tensor([[4, 5, 3]]), torch.tensor([[[2, 3], [4, 1], [0, 0]]])
    words, pos, case = frontend.embedding, frontend.beside["of_pos"], frontend.added["of_a_b"]
    assert words is not None
    assert frontend.together is not None
    joined = torch.cat([2 * words(symbols) + 2 * case(factors[..., 1]), 2 * pos(factors[..., 0])], dim=-1)
    torch.testing.assert_close(frontend(symbols, factors), joined @ frontend.together.weight.T)
    with pytest.raises(ConfigError, match=r"`task\.source_factors` needs `model\.name` to be `transformer` or `lstm`"):
        frontend(symbols)
    assert not any("of_" in name for name in Frontend(TokenSpec(9, 0, 1, 2, 3), 4).state_dict()), "models without them are as they were"


def test_padding_does_not_change_what_is_real() -> None:
    task = fitted()
    frontend = Frontend(task.source_spec, 4)
    examples = [task.encode(row) for row in ROWS]
    both, alone = (collate(some, task.source_spec, task.target_spec).source for some in (examples, examples[1:]))
    wide, narrow = frontend(both.values, both.factors), frontend(alone.values, alone.factors)
    torch.testing.assert_close(wide[1, :3], narrow[0])
    assert isinstance(both, Padded)


@pytest.mark.parametrize("model", [{"name": "lstm", "dim": 24}, {"name": "transformer", "preset": "tiny", "dim": 32, "heads": 2}])
def test_only_the_factor_tells_the_target(model: dict[str, Any], tmp_path: Path) -> None:
    rows = [
        {
            "source": f"w{number % 5} light",
            "target": f"w{number % 5} {'Licht' if number % 2 else 'leicht'}",
            "pos": f"X {'NA'[number % 2 == 0]}",
        }
        for number in range(40)
    ]
    recipe = {
        "task": {"name": "translation", "vocabulary": {"kind": "word"}, "source_factors": {"pos": {}}},
        "data": {"validation": 4},
        "model": {**model, "dropout": 0.0, "tied_embeddings": "all"},
        "training": {
            "max_steps": 60,
            "device": "cpu",
            "samples": 0,
            "validate_every": 60,
            "optimizer": {"name": "adamw", "learning_rate": 0.005},
            "schedule": {"name": "constant"},
        },
        "search": {"name": "greedy"},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    found = antiphon.load(antiphon.train(tmp_path / "recipe.yaml", tmp_path / "run", data={"train": rows}), device="cpu")
    noun, adjective = found.predict([{"source": "w3 light", "pos": f"X {value}"} for value in "NA"])
    assert (noun.text, adjective.text) == ("w3 Licht", "w3 leicht")
    with pytest.raises(DataError, match=r"Input 1: it must be a record with the columns source, pos, but is a str"):
        found.predict("w3 light")
