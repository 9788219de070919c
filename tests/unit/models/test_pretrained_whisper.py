"""A published Whisper hears, reads and says under our task and search what it does under transformers' own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import antiphon
from antiphon.contracts.sequences import Hypothesis, Padded
from antiphon.data.collate import collate
from antiphon.data.mapped import MappedCorpus
from antiphon.errors import ConfigError, DataError
from antiphon.models.pretrained_speech import filled_up
from antiphon.prediction.decoding import decode_examples
from antiphon.recipe.assembly import build_model, build_task, resolved
from antiphon.recipe.recipe import recipe_from
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import ProcessorsConfig
from antiphon.tasks.speech_recognition.words import words_of
from tests.pretrained_checkpoints import WHISPER_SECONDS, write_checkpoint, write_whisper

SECONDS = (2.0, 0.7, 1.31, 0.05)
TEXTS = ["der hund sat", "the mat und nicht langsam", "weg", "baum lief"]
KINDS = {"english": None, "transcribe": ["de", "de"], "translate": ["de", "en"]}
every_kind = pytest.mark.parametrize("kind", KINDS)


def recording(number: int, seconds: float | None = None) -> np.ndarray:
    """Noise with a tone that moves; the seed is the number."""
    draw = np.random.default_rng(number)
    time = np.arange(round((SECONDS[number % 4] if seconds is None else seconds) * 16000)) / 16000
    return (0.3 * np.sin(2 * np.pi * (200 + 400 * number) * time**1.5) + 0.1 * draw.standard_normal(len(time))).astype(np.float32)


DATA = [{"audio": {"array": recording(number), "sampling_rate": 16000}, "text": text} for number, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[bool, Path] = {}

    def get(kind: str) -> Path:
        english = kind == "english"
        if english not in made:
            made[english] = write_whisper(tmp_path_factory.mktemp("published") / ("tiny.en" if english else "tiny"), english=english)
        return made[english]

    return get


def values(folder: Path, kind: str, **changes: Any) -> dict[str, Any]:
    """A recipe as plain values."""
    vocabulary = {"kind": "pretrained", "model": str(folder), "languages": KINDS[kind]}
    task = {
        "name": "speech_recognition",
        "features": {"kind": "whisper", "padded_seconds": WHISPER_SECONDS},
        "normalization": "none",
        "segments": {"longest": WHISPER_SECONDS},
        "vocabulary": vocabulary,
    }
    training = {"max_steps": 3, "samples": 0, "optimizer": {"name": "adamw", "learning_rate": 1e-3}, **changes.pop("training", {})}
    return {
        "task": {**task, **changes.pop("task", {})},
        "model": {"name": "pretrained", "path": str(folder), **changes.pop("model", {})},
        "data": {"validation": 2},
        "training": training,
        "search": {"name": "greedy", "limits": {"max_length": 12}},
        **changes,
    }


def opened(folder: Path, kind: str) -> Any:
    """Our task and model, and transformers' model and processor."""
    made = resolved(recipe_from(values(folder, kind)))
    task = build_task(made)
    task.fit([])
    model = build_model(made, task).eval()
    antiphon.contracts.registry.find("models", "pretrained").start(model, made.model)
    codes = {} if kind == "english" else {"language": "de", "task": kind}
    theirs = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(folder).eval()
    return task, model, theirs, transformers.WhisperProcessor.from_pretrained(folder, **codes)


def heard(processor: Any, records: Any = DATA) -> torch.Tensor:
    """The frames, by transformers."""
    arrays = [record["audio"]["array"] for record in records]
    frames: torch.Tensor = processor.feature_extractor(arrays, sampling_rate=16000, return_tensors="pt").input_features
    return frames


@every_kind
def test_what_is_heard_and_said_is_prepared_as_by_transformers(checkpoint: Any, kind: str) -> None:
    task, _, theirs, processor = opened(checkpoint(kind), kind)
    ours = collate([task.encode(record, number) for number, record in enumerate(DATA)], task.source_spec, task.target_spec)
    assert ours.source.lengths.tolist() == [100 * WHISPER_SECONDS] * 4
    torch.testing.assert_close(ours.source.values.transpose(1, 2), heard(processor), rtol=1e-4, atol=1e-4)
    labels = [processor.tokenizer(text).input_ids for text in TEXTS]
    begin = ["<|startoftranscript|>", *([] if kind == "english" else ["<|de|>", f"<|{kind}|>"]), "<|notimestamps|>"]
    for row, theirs_say in enumerate(labels):
        assert processor.tokenizer.convert_ids_to_tokens(theirs_say[: len(begin)]) == begin
        assert theirs_say[0] == theirs.config.decoder_start_token_id  # which whoever trains with transformers takes off again
        assert ours.labels.values[row, ours.labels.mask[row]].tolist() == theirs_say[1:]
        assert ours.inputs.values[row, ours.inputs.mask[row]].tolist() == theirs_say[:-1]
        assert task.target_text.decode(ours.labels.values[row, ours.labels.mask[row]].numpy()) == TEXTS[row]


@pytest.mark.parametrize("kind", ["english", "transcribe"])
def test_logits_are_those_of_transformers(checkpoint: Any, kind: str) -> None:
    task, model, theirs, processor = opened(checkpoint(kind), kind)
    ours = collate([task.encode(record, number) for number, record in enumerate(DATA)], task.source_spec, task.target_spec)
    with torch.inference_mode():
        found = model(ours.source, ours.inputs).values
        for row, length in enumerate(ours.inputs.lengths.tolist()):
            read = ours.inputs.values[row : row + 1, :length]
            expected = theirs(input_features=heard(processor, DATA[row : row + 1]), decoder_input_ids=read).logits
            torch.testing.assert_close(found[row, :length], expected[0], rtol=1e-3, atol=1e-3)
        weights = model.decode(ours.inputs, model.encode(ours.source), attention=True).attention
    torch.testing.assert_close(weights.sum(-1)[ours.inputs.mask], torch.ones(int(ours.inputs.mask.sum())), rtol=1e-4, atol=1e-4)


def said(ids: list[int], processor: Any, end: int) -> list[int]:
    """What transformers says behind the opening, up to the end."""
    opening = processor.tokenizer.prefix_tokens
    ids = ids[len(opening) :] if ids[: len(opening)] == opening else ids
    return ids[: ids.index(end)] if end in ids else ids


@every_kind
@pytest.mark.parametrize("beam_size", [1, 4])
def test_searches_find_what_generate_finds(checkpoint: Any, kind: str, beam_size: int) -> None:
    """The same symbols, for the whole batch and for each recording alone, wherever neither met the limit of length."""
    task, model, theirs, processor = opened(checkpoint(kind), kind)
    spec, opening = task.target_spec, len(task.target_text.opening)
    search: Any = BeamSearch(BeamConfig(beam_size=beam_size)) if beam_size > 1 else GreedySearch(GreedyConfig())
    records = [{"audio": {"array": recording(number), "sampling_rate": 16000}} for number in range(8)]
    examples, requests = [task.encode(record) for record in records], [task.request(record) for record in records]
    device = torch.device("cpu")
    found = decode_examples(model, search, task, examples, requests, batch_size=8, device=device)
    codes = {} if kind == "english" else {"language": "de", "task": kind}
    stopping = {"early_stopping": True} if beam_size > 1 else {}
    with torch.inference_mode():
        rows = theirs.generate(
            input_features=heard(processor, records),
            num_beams=beam_size,
            force_unique_generate_call=True,  # a random model says times, which else make it go back and listen again
            **codes,
            **stopping,
        ).tolist()
    compared = 0
    for number, (prediction, row) in enumerate(zip(found, rows, strict=True)):
        elements, expected = prediction.hypothesis.elements.tolist(), said(row, processor, spec.end)
        if number < 3:
            alone = decode_examples(
                model, search, task, examples[number : number + 1], requests[number : number + 1], batch_size=1, device=device
            )
            assert alone[0].hypothesis.elements.tolist() == elements
        assert tuple(elements[:opening]) == task.target_text.opening
        assert not set(elements[opening:]) & set(spec.suppressed)
        if prediction.hypothesis.finish_reason == "end" and spec.end in row:
            assert elements[opening:] == expected
            assert prediction.text == processor.tokenizer.decode(expected, skip_special_tokens=True).removeprefix(" ")
            compared += 1
        elif beam_size == 1:  # cut off: up to there it is the same
            shortest = min(len(expected), len(elements) - opening)
            assert elements[opening:][:shortest] == expected[:shortest]
    assert compared >= 3, "too few outputs ended by themselves to say anything"


def test_suppressed_symbols_are_rules_that_can_be_lifted(checkpoint: Any) -> None:
    task, model, _, _ = opened(checkpoint("english"), "english")
    spec = task.target_spec
    assert spec.suppressed
    assert spec.end in spec.suppressed_first
    records = [{"audio": {"array": recording(number), "sampling_rate": 16000}} for number in range(8)]
    examples, requests = [task.encode(record) for record in records], [task.request(record) for record in records]
    lengths = []
    for processors in (ProcessorsConfig(), ProcessorsConfig(allow_suppressed=True)):
        search = GreedySearch(GreedyConfig(limits=LimitsConfig(max_length=3), processors=processors))
        found = decode_examples(model, search, task, examples, requests, batch_size=8, device=torch.device("cpu"))
        lengths.append(min(len(prediction.hypothesis.elements) for prediction in found))
    assert lengths[0] > 1, "the end must not come first"
    assert lengths[1] == 1, "no output ends at once: choose another seed"


def test_no_text_is_longer_than_the_model_has_positions_for(checkpoint: Any) -> None:
    task, model, _, _ = opened(checkpoint("english"), "english")
    assert model.longest_target == 48
    search = GreedySearch(GreedyConfig(limits=LimitsConfig(min_length=200, max_offset=200)))
    record = {"audio": {"array": recording(0), "sampling_rate": 16000}}
    [found] = decode_examples(model, search, task, [task.encode(record)], [task.request(record)], batch_size=1, device=torch.device("cpu"))
    assert len(found.hypothesis.elements) == 47
    batch = collate([task.encode({**record, "text": "hund " * 60})], task.source_spec, task.target_spec)
    with pytest.raises(ConfigError, match=r"`data.limits.max_target_length` must be at most 48 .* but a target has \d+"):
        model(batch.source, batch.inputs)


def test_a_shorter_source_is_filled_up_with_silence_and_a_longer_one_refused() -> None:
    draw = torch.Generator().manual_seed(0)
    short = Padded(torch.randn(2, 5, 3, generator=draw), torch.tensor([5, 2]))
    filled = filled_up(short, 8)
    assert filled.shape == (2, 3, 8)
    assert torch.equal(filled[1, :, :2].T, short.values[1, :2])
    assert (filled[1, :, 2:] == short.values[1, :2].min()).all(), "what stands behind a row's length must not be looked at"
    with pytest.raises(DataError, match=r"at most 4 frames \(0.04 s\) at once, but a recording has 5"):
        filled_up(short, 4)


@pytest.mark.parametrize("adapter", [None, "lora"])
def test_trained_on_saved_and_used_without_the_checkpoint(adapter: str | None, tmp_path: Path) -> None:
    folder = write_whisper(tmp_path / "published")
    model = {"adapter": {"kind": adapter, "rank": 2}} if adapter else {"checkpoint_activations": True}
    training = {} if adapter else {"freeze": ["network.model.encoder.*"]}
    made = recipe_from(values(folder, "transcribe", model=model, training=training))
    run = antiphon.train(made, tmp_path / "run", data={"train": DATA * 3})
    before = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(folder).state_dict()
    if adapter is None:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    trained = antiphon.load(run)
    [found] = trained.predict([{"audio": DATA[0]["audio"]}])
    assert found.details["segments"][0]["text"] == found.text
    assert not set(found.hypothesis.elements[3:].tolist()) & set(trained.task.target_spec.suppressed), "the rules are kept with the run"
    after = trained.model.network.state_dict()
    name = "layers.0.self_attn.q_proj.{}weight".format("base_layer." if adapter else "")
    assert torch.equal(after[f"model.encoder.{name}"], before["model.encoder.layers.0.self_attn.q_proj.weight"])
    assert np.isfinite(antiphon.evaluate(run, DATA)["loss"])


def test_a_long_recording_is_heard_in_parts_and_not_learned_from(checkpoint: Any, tmp_path: Path) -> None:
    too_long = {"audio": {"array": recording(1, 2.5), "sampling_rate": 16000}, "text": "weg"}
    recipe = recipe_from(values(checkpoint("english"), "english", data={}, training={"max_steps": 1}))
    run = antiphon.train(recipe, tmp_path / "run", data={"train": [*DATA, too_long], "validation": DATA[:2]})
    assert MappedCorpus(run / "corpus" / "train-0").tally["dropped"] == {"source too long": 1}
    found = antiphon.evaluate(run, [*DATA[:2], too_long])
    assert found.records == 3
    assert any(remark.startswith("1 of 3 records was left out of the loss") for remark in found.remarks)
    pause = np.zeros(8000, dtype=np.float32)
    long = np.concatenate([recording(0, 1.6), pause, recording(1, 1.6), pause, recording(2, 1.0)])
    found = antiphon.load(run).predict({"audio": {"array": long, "sampling_rate": 16000}})
    assert len(found.details["segments"]) >= 2
    assert all(segment["end"] - segment["start"] <= WHISPER_SECONDS for segment in found.details["segments"])


def refused(recipe: dict[str, Any], tmp_path: Path, data: Any = DATA) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        antiphon.train(recipe_from(recipe), tmp_path / "run", data={"train": data})
    return str(caught.value)


def test_features_that_do_not_fit_are_one_sentence(checkpoint: Any, tmp_path: Path) -> None:
    folder = checkpoint("english")
    expected = r"must be {kind: whisper, bins: 80, padded_seconds: 2} with `task.normalization: none` for"
    for features, normalization, found in (
        ({"kind": "whisper", "bins": 128, "padded_seconds": 2}, "none", "whisper with 128 bins, filled up to 2 s."),
        ({"kind": "whisper"}, "none", "whisper with 80 bins, not filled up."),
        ({"kind": "whisper", "padded_seconds": 2}, "utterance", "whisper, normalization utterance with 80 bins, filled up to 2 s."),
        ({"kind": "filter_banks", "padded_seconds": 2}, "none", "filter_banks with 80 bins, filled up to 2 s."),
    ):
        said = refused(values(folder, "english", task={"features": features, "normalization": normalization}), tmp_path)
        assert expected in said
        assert f"but are {found}" in said
    other = write_whisper(tmp_path / "other", english=True)
    path = other / "preprocessor_config.json"
    path.write_text(path.read_text().replace('"sampling_rate": 16000', '"sampling_rate": 8000'))
    assert "`sampling_rate` must be 16000 in the preprocessor_config.json of" in refused(values(other, "english"), tmp_path)


def test_wrong_languages_are_one_sentence(checkpoint: Any, tmp_path: Path) -> None:
    folder, english = checkpoint("transcribe"), checkpoint("english")

    def with_languages(path: Path, languages: Any) -> str:
        vocabulary = {"kind": "pretrained", "model": str(path), "languages": languages}
        return refused(values(path, "english", task={"vocabulary": vocabulary}), tmp_path)

    assert "`vocabulary.languages` is missing" in with_languages(folder, None)
    assert "'deu' is none. Did you mean `de`?" in with_languages(folder, ["deu", "de"])
    assert "'german' is none. Did you mean `de`?" in with_languages(folder, ["german", "en"])
    assert "must end with en (transcribe) or en (translate)" in with_languages(folder, ["en", "de"])
    assert "must be left out" in with_languages(english, ["en", "en"])


def test_tasks_and_checkpoints_that_do_not_fit_are_one_sentence(checkpoint: Any, tmp_path: Path) -> None:
    whisper, bart = checkpoint("english"), write_checkpoint(tmp_path / "bart", "bart")
    text = {"task": {"name": "translation", "vocabulary": {"kind": "pretrained", "model": str(whisper)}}}
    assert "`task.name` must be speech_recognition for" in refused(
        {**values(whisper, "english"), **text}, tmp_path, [{"source": letter, "target": "b"} for letter in "abcde"]
    )
    said = refused(values(bart, "english"), tmp_path)
    assert "must be a Whisper, or `model.name` another architecture" in said
    assert "is a bart, which reads texts" in said
    other = values(whisper, "english", task={"vocabulary": {"kind": "character"}})
    assert "The vocabulary must be that of" in refused(other, tmp_path)
    ctc = tmp_path / "wav2vec2"
    transformers.AutoConfig.for_model("wav2vec2").save_pretrained(ctc)
    assert "(wav2vec2) is not: it says something of each frame (CTC)." in refused(values(ctc, "english"), tmp_path)
    wrong = [tmp_path / f"{number}.wav" for number in range(5)]
    for path in wrong:
        path.write_bytes(b"this is a text")
    assert ".wav" in refused(values(whisper, "english"), tmp_path, [{"audio": str(path), "text": "hund"} for path in wrong])


def test_words_have_times_within_the_recording_not_within_its_silence() -> None:
    """Attention over two seconds of which the recording fills half a one: each word is where attention looks, and none is behind it."""
    alignment = np.eye(20)[[1, 3, 15]]
    said = Hypothesis(np.array([5, 6, 7]), 0.0, 0.0, (0.0, 0.0, 0.0, 0.0), alignment)
    words = words_of(said, lambda elements: " ".join("abc"[: len(elements)]), 0.0, 0.5, 0.01, filled=2.0)
    assert [(word["word"], word["start"], word["end"]) for word in words] == [("a", 0.1, 0.2), ("b", 0.3, 0.4), ("c", 0.5, 0.5)]
