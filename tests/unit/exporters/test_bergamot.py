"""Bergamot's engine, the one of browsers, says in Node what we say: `npm install @browsermt/bergamot-translator` first."""

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import antiphon
from antiphon.recipe.recipe import recipe_from
from tests.unit.exporters.test_marian import exported

PACKAGE = Path(__file__).parents[3] / "node_modules/@browsermt/bergamot-translator"
DRIVER = Path(__file__).with_name("bergamot.mjs")
NUMBERS = {
    "one": "eins",
    "two": "zwei",
    "three": "drei",
    "four": "vier",
    "five": "fünf",
    "six": "sechs",
    "seven": "sieben",
    "eight": "acht",
}
MANY = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(not PACKAGE.is_dir(), reason="`npm install @browsermt/bergamot-translator` was not run"),
]


def records(seed: int, count: int) -> list[dict[str, str]]:
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        words = draw.choices(list(NUMBERS), k=draw.randint(1, 9))
        found.append({"source": f"Say {' '.join(words)}.", "target": f"Sag {' '.join(NUMBERS[word] for word in words)}!"})
    return found


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    def train(**model: Any) -> Path:
        sizes = {"dim": 64, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "feed_forward_dim": 128, "dropout": 0.0}
        marian = {"norm_position": "post", "tied_embeddings": "all", "start_embedding": "zeros"}
        recipe = recipe_from(
            {
                "task": {"name": "translation", "vocabulary": {"kind": "unigram", "size": 330}},
                "model": {"name": "transformer", **sizes, **marian, **model},
                "data": {"validation": 20},
                "training": {
                    "max_steps": 500,
                    "batching": {"target_tokens": 1500},
                    "optimizer": {"name": "adamw", "learning_rate": 2e-3},
                    "schedule": {"name": "inverse_square_root", "warmup_steps": 100},
                    "samples": 0,
                },
                "search": {"name": "greedy", "processors": {"allow_unknown": False}},
            }
        )
        return antiphon.train(recipe, tmp_path_factory.mktemp("run") / "run", data={"train": records(1, 3000)})

    return train


def translated(folder: Path, sources: list[str]) -> list[str]:
    command = ["node", str(DRIVER), str(PACKAGE), str(folder)]
    done = subprocess.run(command, input="\n".join(sources), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n").split("\n")


@pytest.mark.parametrize("model", [{"decoder": "ssru"}, {"activation": "silu", "decoder_layers": 1}])
def test_the_engine_of_browsers_says_what_we_say(run_of: Any, tmp_path: Path, model: Any) -> None:
    run = run_of(**model)
    sources = [record["source"] for record in records(2, MANY)]
    sources[0] = "Ｓａｙ ｏｎｅ two."  # as wide letters, which the exported vocabulary makes ordinary ones
    predictor = antiphon.load(run)
    ours = [prediction.text for prediction in predictor.predict(sources)]
    assert len({*ours}) > MANY * 0.8, "the model must have learned something"
    exported(run, tmp_path / "fp32")
    assert translated(tmp_path / "fp32", sources) == ours
    assert [translated(tmp_path / "fp32", [source])[0] for source in sources[:3]] == ours[:3]
    beam = antiphon.load(run, overrides=["search.name=beam", "search.beam_size=4"])
    antiphon.export(run, format="marian", out=tmp_path / "beam", overrides=["search.name=beam", "search.beam_size=4"])
    pairs = zip(translated(tmp_path / "beam", sources), (prediction.text for prediction in beam.predict(sources)), strict=True)
    beams = sum(one == other for one, other in pairs)
    assert beams > 0.8 * MANY, "its beam narrows with what has ended, ours does not"
    lost = exported(run, tmp_path / "int8", "int8", records(3, 100))
    small = translated(tmp_path / "int8", sources)
    same = sum(one == other for one, other in zip(small, ours, strict=True))
    print(lost[-1], f"{same} of {MANY} lines equal in 8 bits, {beams} with a beam")
    assert same > 0.8 * MANY
