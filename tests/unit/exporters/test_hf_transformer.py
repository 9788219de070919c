"""Our own Transformer as a checkpoint of transformers: the same logits and texts from `generate`, by the tokenizer that is written."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import antiphon
from antiphon.contracts.configuration import plain
from antiphon.contracts.sequences import Padded
from antiphon.data.collate import collate
from antiphon.errors import ExportError
from antiphon.exporters.hf import plugin
from antiphon.exporters.interface import TrainedModel
from antiphon.recipe.assembly import build_model, build_search, load_trained
from antiphon.recipe.recipe import recipe_from, with_overrides

SOURCES = ["the cat sat on the mat", "a dog and a house", "two dogs", "the mat on the ﬁne house"]
TARGETS = ["die Katze saß", "ein Hund und ein Haus", "zwei Hunde", "die Matte"]
RECORDS = [{"source": source, "target": target} for source, target in zip(SOURCES, TARGETS, strict=True)]
SEARCH = {"name": "beam", "beam_size": 3, "limits": {"max_ratio": 0, "max_offset": 12}}

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = {"dim": 16, "heads": 2, "encoder_layers": 2, "decoder_layers": 1, "feed_forward_dim": 24, "dropout": 0.0, "max_positions": 40}
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "unigram", "size": 300}},
            "model": {"name": "transformer", **sizes},
            "data": {"validation": 1},
            "training": {"max_steps": 1, "samples": 0},
            "search": SEARCH,
        }
    )
    return antiphon.train(recipe, tmp_path_factory.mktemp("run") / "run", data={"train": RECORDS})


def learned(run: Path, settings: Any, steps: int = 60) -> TrainedModel:
    """The run's task with a model of other settings, which has learned the records by heart."""
    trained = load_trained(run)
    recipe = with_overrides(trained.recipe, [f"model.{name}={json.dumps(value)}" for name, value in settings.items()])
    torch.manual_seed(1)
    model = build_model(recipe, trained.task)
    batch = collate([trained.task.encode(record) for record in RECORDS], model.source, model.target)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.015)
    assert batch.labels is not None
    labels = batch.labels.values.masked_fill(~batch.labels.mask, -100)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch.source, batch.inputs).values.transpose(1, 2), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return TrainedModel("mine", "transformer", model.eval(), trained.task, plain(recipe), recipe.trust, trained.header, ())


VARIANTS = [
    ("Marian", {"norm_position": "post", "tied_embeddings": "all", "start_embedding": "zeros", "activation": "silu"}),
    ("Bart", {"norm_position": "post", "positions": "learned", "activation": "gelu", "tied_embeddings": "none", "bias": False}),
    ("Pegasus", {"tied_embeddings": "decoder", "start_embedding": "zeros", "decoder_feed_forward_dim": 20}),
    (
        "Pegasus",
        {"positions": "learned", "scale_embeddings": False, "tied_embeddings": "all", "head": {"name": "categorical", "bias": True}},
    ),
]


@pytest.mark.parametrize(("kind", "settings"), VARIANTS)
def test_the_same_logits_and_the_same_texts(run: Path, tmp_path: Path, kind: str, settings: Any) -> None:
    mine = learned(run, settings)
    plugin.export(mine, tmp_path)
    model: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert type(model).__name__.startswith(kind)
    spec: Any = mine.task.target_spec
    source, said = torch.randint(4, spec.size, (2, 9)), torch.randint(4, spec.size, (2, 7))
    source[1, 7:], said[:, 0] = spec.pad, spec.start
    with torch.inference_mode():
        theirs = model(input_ids=source, attention_mask=(source != spec.pad).long(), decoder_input_ids=said).logits
        ours = mine.model(Padded(source, torch.tensor([9, 7])), Padded(said, torch.tensor([7, 7]))).values
    kept = [symbol for symbol in range(spec.size) if symbol != spec.start]
    torch.testing.assert_close(theirs[..., kept], ours[..., kept], rtol=1e-4, atol=1e-5)
    texts = [*SOURCES, "ｔｈｅ ｃａｔ"]  # the tokenizer makes wide letters ordinary ones, as our source does
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    read = collate([mine.task.encode({"source": text}) for text in texts], mine.model.source, mine.model.target).source
    assert batch["input_ids"].tolist() == read.values.tolist()
    found = []
    for search, changes in (({**SEARCH, "name": "greedy"}, {"num_beams": 1}), (SEARCH, {})):
        settings = recipe_from({**mine.recipe, "search": {name: search[name] for name in search if name in _OF[search["name"]]}}).search
        rows = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **changes)
        hypotheses = build_search(settings, mine.task)(mine.model, read)
        for (best, *_), row, text in zip(hypotheses, rows.tolist(), tokenizer.batch_decode(rows, skip_special_tokens=True), strict=True):
            if best.finish_reason == "end" and spec.end in row[1:]:
                assert best.elements.tolist() == row[1 : 1 + row[1:].index(spec.end)]
                found.append(text)
                assert mine.task.target_text.decode(best.elements).strip() == text  # type: ignore[attr-defined]
    assert len(found) >= 5, "too few outputs ended by themselves to say anything"
    assert set(TARGETS) & set(found)
    assert "Trained by Antiphon" in (tmp_path / "README.md").read_text()


_OF = {"greedy": ("name", "limits"), "beam": ("name", "limits", "beam_size")}


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"decoder": "ssru"}, r"`model\.decoder` must be attention for `--format hf`, but is ssru"),
        ({"norm": "rms"}, r"`model\.norm` must be layer"),
        ({"gated": True}, r"`model\.gated` must be false"),
        ({"positions": "rotary"}, r"`model\.positions` must be sinusoidal or learned"),
        ({"norm_epsilon": 1e-9}, r"`model\.norm_epsilon` must be 1e-05 .* --set model\.norm_epsilon=1e-5"),
        ({"key_value_heads": 1}, r"`model\.key_value_heads` must be `heads` \(2\)"),
        ({"head": "pointer"}, r"`model\.head: pointer` must be left out"),
        ({"window": 2}, r"`model\.window` must be null"),
    ],
)
def test_what_has_no_equal_there_is_refused(tmp_path: Path, run: Path, model: Any, sentence: str) -> None:
    mine = learned(run, model, steps=0)
    with pytest.raises(ExportError, match=sentence):
        plugin.export(mine, tmp_path)
    assert not list(tmp_path.iterdir())
