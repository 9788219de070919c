"""From texts to texts: `antiphon predict` on an exported folder beside a bare loop over CTranslate2, on the same files.

    python benchmarks/text_to_text.py
    python benchmarks/text_to_text.py EXPORTED sources.txt --count 2000

EXPORTED was written with `--format ctranslate2`; without it, a Transformer of 3 + 3 layers of 256 with random weights and 8,000 pieces
says 20 symbols and the end of each text of the translation data that ships with the project (`untrained_run.py`). The loop does what
`translate_file` of CTranslate2 does: it encodes each text with the same vocabulary, translates all in batches sorted by length
(`max_batch_size`), and decodes. Both are timed by the processor's clock in one process, one thread, in turns, by which the ratio is taken.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encoding import ROOT
from untrained_run import sources, write_run

import antiphon
from antiphon.engines.ctranslate2_model import CTranslate2Transformer
from antiphon.engines.ctranslate2_search import CTranslate2Search
from antiphon.prediction.predictor import Predictor


def by_predict(predictor: Predictor, texts: Sequence[str]) -> list[str]:
    """What `antiphon predict` writes."""
    return [one.text for one in predictor.without_copies().predict(iter(texts))]


def by_loop(predictor: Predictor, texts: Sequence[str]) -> list[str]:
    """What a loop around CTranslate2 writes."""
    model, task, search = predictor.model, predictor.task, predictor.search
    if not isinstance(model, CTranslate2Transformer) or not isinstance(search, CTranslate2Search):
        raise SystemExit("The folder must be one that CTranslate2 searches by itself: `antiphon export RUN --format ctranslate2`.")
    feature: Any = task
    column, size, end = task.source_columns[0], predictor.recipe.evaluation.batch_size, model.symbols.end
    sources = [[f"s{symbol}" for symbol in task.encode({column: text}, 0).source.tolist()] for text in texts]
    said = model.translator.translate_batch(
        sources,
        beam_size=search.width,
        max_batch_size=size,
        length_penalty=search._exponent(),
        max_decoding_length=max(2 * len(source) + 16 for source in sources),
        min_decoding_length=0,
    )
    symbols = [[int(name) for name in one.hypotheses[0]] for one in said]
    return [feature.target_text.decode(np.array([symbol for symbol in own if symbol != end], dtype=np.int64)) for own in symbols]


def random_model(cache: Path) -> Path:
    """The Transformer with random weights, exported in 8 bits."""
    folder = cache / "untrained-ctranslate2-int8"
    if not folder.exists():
        run = write_run(cache / "untrained", (3, 3), 20)
        antiphon.export(run, format="ctranslate2", precision="int8", out=folder, check=0)
    return folder


def seconds(do: Callable[[Predictor, Sequence[str]], list[str]], predictor: Predictor, texts: Sequence[str]) -> float:
    """The processor's time for all texts."""
    began = time.process_time()
    do(predictor, texts)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported", type=Path, nargs="?", default=None, help="a folder that was exported for CTranslate2")
    parser.add_argument("texts", type=Path, nargs="?", default=None, help="a text a line")
    parser.add_argument("--greedy", action="store_true", help="greedy search, instead of that of the folder's recipe")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "benchmarks", help="folder for the random model")
    parser.add_argument("--count", type=int, default=2000, help="so many lines")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    predictor = antiphon.load(settings.exported or random_model(settings.cache))
    if settings.greedy:
        predictor = predictor.with_search({"name": "greedy"})
    given = sources(settings.count) if settings.texts is None else settings.texts.read_text(encoding="utf-8").splitlines()
    texts = given[: settings.count]
    few = texts[:100]
    same = sum(map(str.__eq__, by_predict(predictor, few), by_loop(predictor, few)))
    turns = [(seconds(by_predict, predictor, texts), seconds(by_loop, predictor, texts)) for _ in range(settings.rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*turns, strict=True))
    print(f"{same} of the first {len(few)} texts are equal")
    print(f"antiphon predict {len(texts) / ours:.1f}/s, bare loop {len(texts) / theirs:.1f}/s,")
    print(f"ratio {statistics.median(loop / own for own, loop in turns):.2f} (median of {settings.rounds} turns)")


if __name__ == "__main__":
    main()
