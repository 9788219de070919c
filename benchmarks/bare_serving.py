"""What a service of CTranslate2 looks like that is written in an afternoon: FastAPI, a request is a call. The peer of `serving.py`.

    python benchmarks/bare_serving.py EXPORTED --port 8001 --kind bare

bare             JSON in and out, one call of CTranslate2 for each request
libretranslate   as LibreTranslate does it with Argos Translate: paragraphs, each split at ends of sentences, whose pieces are one batch of
                 the request, with scores of all hypotheses

Both read and write texts by the vocabulary of the folder, and have the same weights and beam as ours. Endpoints are functions that run in
threads, as CTranslate2 lets others compute meanwhile; it has one worker with one thread, as ours has.
"""

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from own_texts import bare

import antiphon

ENDS = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def split_translation(predictor: Any, text: str, beam: int) -> str:
    """A text by its sentences, as one batch."""
    model, task = predictor.model, predictor.task
    paragraphs = []
    for paragraph in text.split("\n"):
        sentences = ENDS.split(paragraph)
        sources = [[f"s{one}" for one in task.encode({task.source_columns[0]: sentence}, 0).source.tolist()] for sentence in sentences]
        said = model.translator.translate_batch(
            sources,
            beam_size=beam,
            num_hypotheses=1,
            return_scores=True,
            max_batch_size=32,
            max_decoding_length=max(2 * len(source) + 16 for source in sources),
            min_decoding_length=0,
        )
        symbols = [[int(name) for name in one.hypotheses[0] if int(name) != model.symbols.end] for one in said]
        paragraphs.append(" ".join(str(task.target_text.decode(np.array(own, dtype=np.int64))) for own in symbols))
    return "\n".join(paragraphs)


def application(exported: Path, kind: str, beam: int) -> Any:
    """The service."""
    predictor = antiphon.load(exported)
    translate = bare if kind == "bare" else split_translation
    app = FastAPI()

    @app.post("/translate")
    def answer(asked: dict[str, Any], request: Request) -> dict[str, str]:
        return {"translatedText": translate(predictor, asked["q"], beam)}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=("bare", "libretranslate"), default="bare")
    parser.add_argument("--beam", type=int, default=4)
    settings = parser.parse_args()
    uvicorn.run(application(settings.exported, settings.kind, settings.beam), port=settings.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
