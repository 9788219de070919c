"""From texts to texts: `antiphon predict` on an exported folder beside a bare loop over CTranslate2, on the same files.

    python benchmarks/text_to_text.py EXPORTED sources.txt --count 2000

EXPORTED was written with `--format ctranslate2`. The loop does what `translate_file` of CTranslate2 does: it encodes each text with the
same vocabulary, translates all in batches sorted by length (`max_batch_size`), and decodes. Both are timed by the processor's clock in one
process, one thread, in turns, by which the ratio is taken.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

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


def seconds(do: Callable[[Predictor, Sequence[str]], list[str]], predictor: Predictor, texts: Sequence[str]) -> float:
    """The processor's time for all texts."""
    began = time.process_time()
    do(predictor, texts)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported", type=Path, help="a folder that was exported for CTranslate2")
    parser.add_argument("texts", type=Path, help="a text a line")
    parser.add_argument("--count", type=int, default=2000, help="so many lines")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    predictor = antiphon.load(settings.exported)
    texts = settings.texts.read_text(encoding="utf-8").splitlines()[: settings.count]
    same = sum(map(str.__eq__, by_predict(predictor, texts), by_loop(predictor, texts)))
    turns = [(seconds(by_predict, predictor, texts), seconds(by_loop, predictor, texts)) for _ in range(settings.rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*turns, strict=True))
    print(f"{same} of {len(texts)} texts are equal")
    print(f"antiphon predict {len(texts) / ours:.1f}/s, bare loop {len(texts) / theirs:.1f}/s,")
    print(f"ratio {statistics.median(loop / own for own, loop in turns):.2f} (median of {settings.rounds} turns)")


if __name__ == "__main__":
    main()
