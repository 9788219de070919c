"""The data that all systems read: one vocabulary, one corpus, the same batches.

Made once by our own task, corpus and loader, and written as plain arrays for the peers.
"""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.contracts.configuration import plain, validate
from antiphon.contracts.limits import Limits
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.loader import Loader
from antiphon.data.mapped import MappedCorpus
from antiphon.data.records import open_records
from antiphon.features.text_config import TextConfig
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.models import transformer
from antiphon.store import checkpoint
from antiphon.tasks.translation import Translation, TranslationConfig

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "examples" / "data" / "translation" / "train.tsv.gz"
SEED = 1


def prepare(data: Path, source: str, target: str, cache: Path, *, vocabulary: int = 8000) -> Path:
    """Learn the vocabulary and encode the corpus, unless that was done before; returns their folder."""
    stamp = f"{data.resolve()},{data.stat().st_size},{data.stat().st_mtime_ns},{source},{target},{vocabulary}"
    folder = cache / hashlib.sha256(stamp.encode()).hexdigest()[:12]
    if (folder / "specs.json").exists():
        return folder
    (folder / "features").mkdir(parents=True, exist_ok=True)
    task = Translation(TranslationConfig(source=source, target=target, vocabulary=TextConfig(kind="unigram", size=vocabulary)))
    records = open_records(data, required=task.columns, source_column=source, target_column=target)
    task.fit([record for _, record in records()])
    task.save(folder / "features")
    task.build_corpus(records, folder / "corpus", limits=Limits(max_source_length=200, max_target_length=200), keep_records=False)
    checkpoint.write_json(folder / "specs.json", {"source": _numbers(task.source_spec), "target": _numbers(task.target_spec)})
    return folder


def _numbers(spec: TokenSpec) -> dict[str, Any]:
    """A spec without what it shows to nobody: tables of the vocabulary."""
    return {own.name: getattr(spec, own.name) for own in fields(spec) if own.repr}


def specs(folder: Path) -> tuple[TokenSpec, TokenSpec]:
    """The source and target specs of a prepared folder."""
    sides = checkpoint.read_json(folder / "specs.json")
    return TokenSpec(**sides["source"]), TokenSpec(**sides["target"])


def loader(folder: Path, target_tokens: int) -> Loader:
    """Our loader over the prepared corpus."""
    source, target = specs(folder)
    corpus = MappedCorpus(folder / "corpus")
    sampler = Sampler(corpus, BatchingConfig(target_tokens=target_tokens), SEED)
    return Loader(corpus, sampler, partial(collate, source=source, target=target), seed=SEED)


def write_batches(folder: Path, target_tokens: int, count: int) -> Path:
    """The first batches of the first epoch as arrays: what `own_training.py` gets from the loader, for those who cannot."""
    arrays: dict[str, np.ndarray] = {}
    batches = loader(folder, target_tokens).batches(0)
    for number, batch in enumerate(itertools.islice(batches, count)):
        assert batch is not None, "a single rank has a share of every batch"
        assert batch.target is not None, "the corpus has targets"
        arrays[f"{number}.source"], arrays[f"{number}.source_lengths"] = batch.source.values.numpy(), batch.source.lengths.numpy()
        arrays[f"{number}.target"], arrays[f"{number}.target_lengths"] = batch.target.values.numpy(), batch.target.lengths.numpy()
    path = folder / f"batches-{target_tokens}-{count}.npz"
    np.savez(path, allow_pickle=False, **arrays)
    return path


def corpus_sources(folder: Path) -> Iterator[np.ndarray]:
    """The sources of the prepared corpus in an order drawn at random."""
    corpus = MappedCorpus(folder / "corpus")
    return (corpus.example(int(index)).source for index in np.random.default_rng(SEED).permutation(len(corpus)))


def sources_of(task: Task, data: Path) -> Iterator[np.ndarray]:
    """The sources of a file as a run's own task encodes them, in an order drawn at random."""
    records = [record for _, record in open_records(data, required=task.source_columns)()]
    return (task.encode(records[index]).source for index in np.random.default_rng(SEED).permutation(len(records)))


def write_sources(path: Path, sources: Iterator[np.ndarray], count: int, shortest: int, longest: int, pad: int) -> Path:
    """The first sources of about one length, the longest first, as rows padded behind their lengths."""
    fitting = list(itertools.islice((source for source in sources if shortest <= len(source) <= longest), count))
    if len(fitting) < count:
        raise SystemExit(f"The data holds only {len(fitting)} sources of {shortest} to {longest} symbols, but {count} are needed.")
    fitting.sort(key=len, reverse=True)
    lengths = np.array([len(source) for source in fitting], dtype=np.int64)
    values = np.full((count, int(lengths[0])), pad, dtype=np.int64)
    for row, source in enumerate(fitting):
        values[row, : len(source)] = source
    np.savez(path, values=values, lengths=lengths)
    return path


def write_model(folder: Path, settings: TransformerConfig, model: StepwiseModel) -> Path:
    """A Transformer as plain files: settings, specs and weights, so that the peers can read it, too."""
    folder.mkdir(parents=True, exist_ok=True)
    assert isinstance(model.source, TokenSpec), "the benchmark translates symbols"
    assert isinstance(model.target, TokenSpec), "the benchmark translates symbols"
    described = {"settings": plain(settings), "source": _numbers(model.source), "target": _numbers(model.target)}
    checkpoint.write_json(folder / "model.json", described)
    checkpoint.write_tensors(folder / "weights.safetensors", model.state_dict())
    return folder


def read_model(folder: Path) -> StepwiseModel:
    """What `write_model` wrote, ready to decode."""
    described = checkpoint.read_json(folder / "model.json")
    settings = validate(TransformerConfig, described["settings"])
    model = transformer.build(settings, TokenSpec(**described["source"]), TokenSpec(**described["target"]))
    weights = checkpoint.read_tensors(folder / "weights.safetensors")
    missing, unexpected = model.load_state_dict(weights, strict=False)
    shared = model.state_dict(keep_vars=True)
    known = {id(shared[name]) for name in weights}
    lacking = [name for name in missing if id(shared[name]) not in known]  # a tied weight is stored once
    if lacking or unexpected:
        raise SystemExit(f"{folder} lacks {lacking} and has {unexpected}.")
    return model.eval()
