"""Published encoder-decoders say under our search what they say under transformers' own, and read what it would let them read."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import antiphon
from antiphon.data.collate import collate
from antiphon.errors import ConfigError
from antiphon.prediction.decoding import decode_examples
from antiphon.recipe.assembly import build_model, build_task, resolved
from antiphon.recipe.recipe import recipe_from
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import ProcessorsConfig
from tests.pretrained_checkpoints import FAMILIES, write_checkpoint

SOURCES = ["the cat sat on the mat", "der hund", "haus und baum und hund", "cat"]
TARGETS = ["der hund sat", "weg", "the mat und nicht langsam", "baum lief"]
every_family = pytest.mark.parametrize("name", FAMILIES)


def recipe(folder: Path, name: str, **training: Any) -> Any:
    languages = FAMILIES[name].languages
    vocabulary = {"kind": "pretrained", "model": str(folder), **({"languages": list(languages)} if languages else {})}
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": vocabulary},
            "model": {"name": "pretrained", "path": str(folder)},
            "data": {"validation": 2},
            "training": {"max_steps": 2, **training},
            "search": "greedy",
        }
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = write_checkpoint(tmp_path_factory.mktemp("published") / name, name)
        return made[name]

    return get


def opened(folder: Path, name: str) -> Any:
    """Our task and model, and transformers' model and tokenizer."""
    made = resolved(recipe(folder, name))
    task = build_task(made)
    task.fit([])
    model = build_model(made, task).eval()
    antiphon.contracts.registry.find("models", "pretrained").start(model, made.model)
    languages = FAMILIES[name].languages
    codes = {"src_lang": languages[0], "tgt_lang": languages[1]} if languages else {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **codes)
    return task, model, transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), tokenizer


def shifted(model: Any, labels: torch.Tensor) -> torch.Tensor:
    """What the decoder reads for labels, by the family's own function."""
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        return model.prepare_decoder_input_ids_from_labels(labels=labels)
    shift = importlib.import_module(type(model).__module__).shift_tokens_right
    return shift(labels, model.config.pad_token_id, model.config.decoder_start_token_id)


@every_family
def test_what_is_read_and_said_is_prepared_as_by_transformers(checkpoint: Any, name: str) -> None:
    task, _, theirs, tokenizer = opened(checkpoint(name), name)
    examples = [task.encode({"source": s, "target": t}, n) for n, (s, t) in enumerate(zip(SOURCES, TARGETS, strict=True))]
    ours = collate(examples, task.source_spec, task.target_spec)
    batch = tokenizer(SOURCES, text_target=TARGETS, padding=True, return_tensors="pt")
    assert torch.equal(ours.source.values.masked_fill(~ours.source.mask, tokenizer.pad_token_id), batch["input_ids"])
    assert torch.equal(ours.source.mask.long(), batch["attention_mask"])
    theirs_read = shifted(theirs, batch["labels"])
    for row, length in enumerate(ours.labels.lengths.tolist()):
        said = length - (tokenizer.eos_token_id not in batch["labels"][row])  # Blenderbot's tokenizer leaves out the end, which we add
        assert torch.equal(ours.labels.values[row, :said], batch["labels"][row, :said])
        if name != "mbart":
            assert torch.equal(ours.inputs.values[row, :said], theirs_read[row, :said])
    if name == "mbart":  # the language begins the target, and ends it once more in their labels
        assert (ours.inputs.values[:, 0] == tokenizer.convert_tokens_to_ids("de_DE")).all()
        assert torch.equal(ours.inputs.values[0, :4], theirs_read[0, :4])
    for text, example in zip(TARGETS, examples, strict=True):
        assert task.target_text.decode(example.target[1:-1]).strip() == text


@every_family
def test_logits_are_those_of_transformers(checkpoint: Any, name: str) -> None:
    task, model, theirs, _ = opened(checkpoint(name), name)
    examples = [task.encode({"source": s, "target": t}, n) for n, (s, t) in enumerate(zip(SOURCES, TARGETS, strict=True))]
    ours = collate(examples, task.source_spec, task.target_spec)
    read = ours.source.values.masked_fill(~ours.source.mask, task.source_spec.pad)
    with torch.inference_mode():
        found = model(ours.source, ours.inputs).values
        for row, length in enumerate(ours.inputs.lengths.tolist()):
            expected = theirs(
                input_ids=read[row : row + 1, : ours.source.lengths[row]], decoder_input_ids=ours.inputs.values[row : row + 1, :length]
            ).logits
            torch.testing.assert_close(found[row, :length], expected[0], rtol=1e-4, atol=1e-4)
        weights = model.decode(ours.inputs, model.encode(ours.source), attention=True).attention
    torch.testing.assert_close(weights.sum(-1)[ours.inputs.mask], torch.ones(int(ours.inputs.mask.sum())), rtol=1e-4, atol=1e-4)


@every_family
@pytest.mark.parametrize("beam_size", [1, 4])
def test_searches_find_what_generate_finds(checkpoint: Any, name: str, beam_size: int) -> None:
    """The same symbols, for the whole batch and for each source alone, wherever neither met the limit of length."""
    task, model, theirs, tokenizer = opened(checkpoint(name), name)
    spec, limits = task.target_spec, LimitsConfig(max_ratio=0, max_offset=24)
    free = ProcessorsConfig(allow_unknown=True)
    search: Any = BeamSearch(BeamConfig(beam_size=beam_size, limits=limits, processors=free))
    search = GreedySearch(GreedyConfig(limits=limits, processors=free)) if beam_size == 1 else search
    examples = [task.encode({"source": source}, number) for number, source in enumerate(SOURCES)]
    requests = [task.request({"source": source}) for source in SOURCES]
    device = torch.device("cpu")
    found = decode_examples(model, search, task, examples, requests, batch_size=4, device=device)
    batch = tokenizer(SOURCES, padding=True, return_tensors="pt")
    opening = {"forced_bos_token_id": task.target_text.opening[0]} if task.target_text.opening else {}
    stopping = {"early_stopping": True} if beam_size > 1 else {}
    with torch.inference_mode():
        rows = theirs.generate(
            **{key: batch[key] for key in ("input_ids", "attention_mask")},
            num_beams=beam_size,
            do_sample=False,
            max_new_tokens=25,
            decoder_start_token_id=spec.start,
            forced_eos_token_id=None,
            suppress_tokens=sorted({spec.pad, spec.start} - {spec.end}) or None,
            **opening,
            **stopping,
        )
    compared = 0
    for number, (prediction, row) in enumerate(zip(found, rows[:, 1:].tolist(), strict=True)):
        alone = decode_examples(
            model, search, task, examples[number : number + 1], requests[number : number + 1], batch_size=1, device=device
        )
        assert alone[0].hypothesis.elements.tolist() == prediction.hypothesis.elements.tolist()
        if spec.end in row and prediction.hypothesis.finish_reason == "end":
            assert prediction.hypothesis.elements.tolist() == row[: row.index(spec.end)]
            assert prediction.text.strip() == tokenizer.decode(row, skip_special_tokens=True).replace("__de__", "").strip()
            compared += 1
        elif beam_size == 1:  # cut off: up to there it is the same
            assert prediction.hypothesis.elements.tolist() == row[: len(prediction.hypothesis.elements)]
    assert compared >= 2 or beam_size == 1, "too few outputs ended by themselves to say anything"


@pytest.mark.parametrize("name", ["t5", "nllb"])
def test_trained_on_saved_and_used_without_the_checkpoint(checkpoint: Any, name: str, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "published", name)
    data = [{"source": source, "target": target} for source, target in zip(SOURCES, TARGETS, strict=True)] * 4
    run = antiphon.train(recipe(folder, name, max_steps=6), tmp_path / "run", data={"train": data})
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    before = antiphon.load(run).predict(SOURCES)
    assert len(before) == 4
    found = antiphon.evaluate(run, data)
    assert np.isfinite(found["loss"])
    antiphon.train(recipe(folder, name, max_steps=6), tmp_path / "run", data={"train": data}, resume=True)


def test_the_weights_are_taken_over_and_can_be_frozen(checkpoint: Any, tmp_path: Path) -> None:
    data = [{"source": source, "target": target} for source, target in zip(SOURCES, TARGETS, strict=True)] * 4
    made = recipe(checkpoint("bart"), "bart", freeze=["network.model.encoder.*"], optimizer={"name": "adamw", "learning_rate": 0.01})
    run = antiphon.train(made, tmp_path / "run", data={"train": data})
    ours = antiphon.load(run).model.network.state_dict()
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(checkpoint("bart")).state_dict()
    name = "layers.0.self_attn.q_proj.weight"
    assert torch.equal(ours[f"model.encoder.{name}"], theirs[f"model.encoder.{name}"])
    assert not torch.equal(ours[f"model.decoder.{name}"], theirs[f"model.decoder.{name}"])


def refused(values: dict[str, Any], tmp_path: Path) -> str:
    data = [{"source": source, "target": target} for source, target in zip(SOURCES, TARGETS, strict=True)]
    with pytest.raises(ConfigError) as caught:
        antiphon.train(recipe_from(values), tmp_path / "run", data={"train": data})
    return str(caught.value)


def plain_recipe(folder: Any, **vocabulary: Any) -> dict[str, Any]:
    return {
        "task": {"name": "translation", "vocabulary": {"kind": "pretrained", "model": str(folder), **vocabulary}},
        "model": {"name": "pretrained", "path": str(folder)},
        "data": {"validation": 2},
        "training": {"max_steps": 2},
    }


def test_bad_input_is_one_sentence(checkpoint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nllb, bart = checkpoint("nllb"), checkpoint("bart")
    assert "`vocabulary.languages` is missing" in refused(plain_recipe(nllb), tmp_path)
    assert "'deu_Latin' is none. Did you mean `deu_Latn`" in refused(plain_recipe(nllb, languages=["eng_Latn", "deu_Latin"]), tmp_path)
    assert "must be left out" in refused(plain_recipe(bart, languages=["en", "de"]), tmp_path)
    other = {**plain_recipe(nllb, languages=["eng_Latn", "deu_Latn"]), "model": {"name": "pretrained", "path": str(bart)}}
    assert "The vocabulary must be that of" in refused(other, tmp_path)
    assert "There is no folder ../nowhere/at/all" in refused(plain_recipe("../nowhere/at/all"), tmp_path)
    monkeypatch.setattr("antiphon.features.published.hub_answers", lambda: False)
    assert "the hub cannot be reached" in refused(plain_recipe("nobody/nothing"), tmp_path)


def test_only_encoder_decoders_with_safe_weights(checkpoint: Any, tmp_path: Path) -> None:
    decoder = tmp_path / "gpt2"
    transformers.AutoConfig.for_model("gpt2", n_embd=8, n_layer=1, n_head=2).save_pretrained(decoder)
    assert "must be an encoder-decoder" in refused(plain_recipe(decoder), tmp_path)
    unknown = tmp_path / "unknown"
    unknown.mkdir()
    (unknown / "config.json").write_text('{"model_type": "unheard_of"}')
    assert "no configuration that transformers knows" in refused(plain_recipe(unknown), tmp_path)
    pickled = write_checkpoint(tmp_path / "pickled", "bart")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert "has pickled weights only" in refused(plain_recipe(pickled), tmp_path)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from antiphon.errors import MissingPackageError
    from antiphon.features.published import need_transformers

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"'\.\[hf\]'"):
        need_transformers()
