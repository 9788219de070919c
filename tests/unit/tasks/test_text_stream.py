"""Words are said while words are read: as many as may be, none is taken back, and the whole is what a search in the whole finds."""

import io
import os
from typing import Any

import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.data.collate import collate
from antiphon.errors import ConfigError, DataError
from antiphon.layers.transformer_config import TransformerConfig, check_settings
from antiphon.models import transformer
from antiphon.prediction.decoding import decode_examples
from antiphon.prediction.spoken_input import lines_of_words
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.tasks.text_stream import stream_words
from antiphon.tasks.translation import TranslationConfig, build

ROWS = [
    {"source": f"{a} {b} see {c} near {a}", "target": f"{c} {a} voir {b}{c} pres"}
    for a in ("cats", "dogs", "mice", "gnus")
    for b in ("can", "may", "must")
    for c in ("lakes", "towns", "hills")
]
VOCABULARIES: list[tuple[dict[str, Any], int]] = [
    ({"kind": "word"}, 1),
    ({"kind": "word"}, 3),
    ({"kind": "word", "punctuation": "split"}, 2),
    ({"kind": "character"}, 4),
    ({"kind": "bpe", "size": 300}, 2),
    ({"kind": "unigram", "size": 290}, 3),
]
LIMITS = {"max_ratio": 1.0, "max_offset": 2}


def task_and_model(vocabulary: dict[str, Any], seed: int, **settings: Any) -> tuple[Any, Any]:
    task = build(validate(TranslationConfig, {"vocabulary": vocabulary}))
    task.fit(ROWS)
    torch.manual_seed(seed)
    sizes = {"dim": 16, "heads": 2, "encoder_layers": 2, "decoder_layers": 2, "feed_forward_dim": 24, "dropout": 0.0}
    model = transformer.build(validate(TransformerConfig, {**sizes, **settings}), task.source_spec, task.target_spec).eval()
    for parameter in model.parameters():  # so that outputs differ from source to source
        parameter.data += 0.4 * torch.randn_like(parameter)
    return task, model


@pytest.mark.parametrize(("vocabulary", "k"), VOCABULARIES, ids=str)
def test_a_stream_says_what_is_found_in_the_whole(vocabulary: dict[str, Any], k: int, seed: int) -> None:
    task, model = task_and_model(vocabulary, seed, wait_k=k, positions="rotary")
    search = validate(GreedyConfig, {"limits": LIMITS})
    records = [{"source": text} for text in (ROWS[7]["source"], ROWS[30]["source"][:14], "cats")]
    examples = [task.encode(record) for record in records]
    whole = decode_examples(
        model, GreedySearch(search), task, examples, [task.request({})] * len(examples), batch_size=3, device=torch.device("cpu")
    )
    for record, expected in zip(records, whole, strict=True):
        *told, last = stream_words(task, model, search, iter(record["source"].split()), {"source": ""})
        assert last.text == expected.text
        assert last.details["final"]
        assert last.hypothesis.elements.tolist() == expected.hypothesis.elements.tolist()
        assert last.hypothesis.step_scores == pytest.approx(expected.hypothesis.step_scores, abs=1e-4)
        assert last.text.read == expected.text.read
        before: list[Any] = []
        for one in told:
            assert one.details["words"][: len(before)] == before, "nothing is taken back"
            before = one.details["words"]
        assert [entry["word"] for entry in last.details["words"]] == last.text.split()
        if vocabulary == {"kind": "word"}:  # a word is a symbol, and so it is said when it may be
            assert [entry["after"] for entry in last.details["words"]] == list(last.text.read)
            length = len(record["source"].split())
            assert list(last.text.read) == [min(k + place, length) for place in range(len(last.text.split()))]


def test_a_word_waits_for_all_of_its_symbols_and_no_more() -> None:
    """The first output of wait-4 over characters waits for the fourth one, which is in the second word."""
    task, model = task_and_model({"kind": "character"}, 1, wait_k=4)
    found = list(stream_words(task, model, GreedyConfig(), ["a", "cat", "may"], {"source": ""}))
    assert [len(one.hypothesis.elements) > 0 for one in found[:2]] == [False, True]
    assert found[1].hypothesis.read is not None
    assert found[1].hypothesis.read[0] == 4
    assert [one.details["read"] for one in found] == [1, 2, 3, 3, 3]


def test_nothing_read_is_nothing_said() -> None:
    task, model = task_and_model({"kind": "word"}, 1, wait_k=1)
    (only,) = stream_words(task, model, GreedyConfig(), [], {"source": ""})
    assert (only.text, only.details["final"], only.details["words"]) == ("", True, [])


def test_what_cannot_be_streamed_is_refused() -> None:
    task, model = task_and_model({"kind": "word"}, 1)
    with pytest.raises(ConfigError, match=r"needs one run with `model.wait_k`"):
        list(stream_words(task, model, GreedyConfig(), ["cats"], {"source": ""}))
    task, model = task_and_model({"kind": "word"}, 1, wait_k=1, positions="learned", max_positions=4)
    with pytest.raises(DataError, match="at most 4 symbols"):
        list(stream_words(task, model, GreedyConfig(), ["cats"] * 6, {"source": ""}))
    with pytest.raises(DataError, match="A word must be a text"):
        list(stream_words(task, model, GreedyConfig(), iter([3]), {"source": ""}))  # type: ignore[arg-type]
    for settings, message in (
        ({"wait_k_paths": (1, 3)}, "with a `model.wait_k`"),
        ({"wait_k": 2, "wait_k_paths": (3, 1)}, "smallest and a largest"),
        ({"wait_k": 2, "window": 3}, "whose encoder never looks ahead"),
    ):
        with pytest.raises(ConfigError, match=message):
            check_settings(validate(TransformerConfig, settings), task.source_spec, task.target_spec)


def test_paths_are_drawn_in_training_alone() -> None:
    task, model = task_and_model({"kind": "word"}, 1, wait_k=2, wait_k_paths=(1, 6))
    batch = collate([task.encode(row) for row in ROWS[:8]], task.source_spec, task.target_spec)
    with torch.no_grad():
        calm = [model(batch.source, batch.inputs).values for _ in range(2)]
        model.train()
        drawn = [model(batch.source, batch.inputs).values for _ in range(3)]
    assert torch.equal(*calm)
    assert not torch.equal(drawn[0], drawn[1])
    differs = [int((one - calm[0]).abs().amax(dim=(1, 2)).gt(1e-6).sum()) for one in drawn]
    assert any(0 < count < 8 for count in differs), "each source has a k of its own"


def test_words_come_out_of_bytes_as_they_arrive() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        os.write(writing, "\ufeffein großer H".encode()[:-1])
        lines = lines_of_words(stream)
        words = next(lines)
        assert [next(words), next(words)] == ["ein", "großer"]
        os.write(writing, b"Hund \n\nzwei  drei")
        os.close(writing)
        assert list(words) == ["Hund"]
        assert [list(line) for line in lines] == [[], ["zwei", "drei"]]
    with pytest.raises(DataError, match="Standard input, line 2, must be UTF-8"):
        [list(line) for line in lines_of_words(io.BytesIO(b"a\n\xff b"))]
