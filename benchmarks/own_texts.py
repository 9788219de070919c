"""Our predictions from texts to texts, in one process: a file at once, or one text after another; the reference of `serving.py`.

Each line of standard input names what to do, `file` or `one` with a number of texts; each answer is a line of JSON with the seconds of each
text (`one`: those of all, and those of the engine alone where it is CTranslate2), and the seconds of computing.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

import antiphon
from antiphon.engines.ctranslate2_model import CTranslate2Transformer
from antiphon.prediction.predictor import Predictor


def bare(predictor: Predictor, text: str, beam: int) -> str:
    """A text through CTranslate2 and nothing else but the vocabulary."""
    model, task = predictor.model, predictor.task
    if not isinstance(model, CTranslate2Transformer):
        raise SystemExit("The folder must be one of CTranslate2: `antiphon export RUN --format ctranslate2`.")
    source = [f"s{symbol}" for symbol in task.encode({task.source_columns[0]: text}, 0).source.tolist()]
    said = model.translator.translate_batch([source], beam_size=beam, max_decoding_length=2 * len(source) + 16, min_decoding_length=0)
    symbols = torch.tensor([int(name) for name in said[0].hypotheses[0] if int(name) != model.symbols.end])
    words: Any = task
    return str(words.target_text.decode(symbols.numpy()))


def timed(do: Any, texts: Sequence[str]) -> list[float]:
    """Seconds of each text."""
    found = []
    for text in texts:
        began = time.perf_counter()
        do(text)
        found.append(time.perf_counter() - began)
    return found


def work(predictor: Predictor, texts: list[str], beam: int, ones: Iterator[str], asked: list[str]) -> dict[str, Any]:
    """What a line asks for."""
    began, computing = time.perf_counter(), time.process_time()
    if asked[0] == "file":
        said = [one.text for one in predictor.without_copies().predict(iter(texts * int(asked[1])))]
        return {"count": len(said), "wall": time.perf_counter() - began, "cpu": time.process_time() - computing}
    chosen = [next(ones) for _ in range(int(asked[1]))]
    engine = timed(lambda text: bare(predictor, text, beam), chosen) if isinstance(predictor.model, CTranslate2Transformer) else []
    return {"seconds": timed(predictor.without_copies().predict, chosen), "engine": engine}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--beam", type=int, default=4)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    predictor = antiphon.load(settings.exported).with_search({"name": "beam", "beam_size": settings.beam})
    texts = settings.texts.read_text(encoding="utf-8").splitlines()
    ones = cycle(texts)
    work(predictor, texts[:8], settings.beam, ones, ["file", "1"])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(work(predictor, texts, settings.beam, ones, line.split())), flush=True)


if __name__ == "__main__":
    main()
