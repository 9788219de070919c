"""Decoding speed of our search and of its peers, in turns: sentences per second.

    python benchmarks/decoding_speed.py --data train.tsv.gz --source en --target de
    python benchmarks/decoding_speed.py --run runs/translation
    python benchmarks/decoding_speed.py --compiled --device cuda

Sources of 20 to 40 symbols. Without --run the weights are random and every system is made to say exactly 30 symbols and the end, so that
all take the same 31 steps. Exported models take part, too; they are written when they start, which takes a minute each. With --run a
trained Transformer says what it likes, in our searches and in CTranslate2; `generate` of transformers cannot hold its weights and is left
out; --data must have the columns of its recipe. With --compiled our search alone takes part, with compiled steps and without; what
compiling takes is said and not measured. The peers need their environment (benchmarks/peers/install).
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch
from encoding import ROOT, SEED, SHIPPED, corpus_sources, prepare, sources_of, specs, write_model, write_sources
from own_training import SIZES
from turns import System, machine, table, take_turns, versions

from antiphon.contracts.specs import TokenSpec
from antiphon.models import transformer
from antiphon.models.transformer import Transformer
from antiphon.recipe.assembly import load_trained

OURS = "Antiphon, fp32"
FORCED = 30


def write_random_model(folder: Path) -> Path:
    """The benchmark's Transformer with fresh weights."""
    torch.manual_seed(SEED)
    settings = transformer.TransformerConfig(tied_embeddings="all", **SIZES["transformer"])
    return write_model(folder / "random-model", settings, transformer.build(settings, *specs(folder)))


def measured(settings: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """The model and its sources, as files: those of the run, or random weights and the prepared corpus."""
    if settings.run is None:
        path = folder / "random-sources.npz"
        return write_random_model(folder), write_sources(path, corpus_sources(folder), 64, 20, 40, specs(folder)[0].pad)
    trained = load_trained(settings.run)
    if not isinstance(trained.model, Transformer) or not isinstance(trained.model.source, TokenSpec):
        raise SystemExit(f"{settings.run} must hold a Transformer over symbols, but holds a {type(trained.model).__name__}.")
    model = write_model(folder / "trained-model", trained.recipe.model, trained.model)
    path, pad = folder / "trained-sources.npz", trained.model.source.pad
    return model, write_sources(path, sources_of(trained.task, settings.data), 64, 20, 40, pad)


def systems(folder: Path, model: Path, sources: Path, peers: Path, settings: argparse.Namespace) -> list[System]:
    """Who takes part."""
    _, target = specs(folder)
    sizes = {"threads": settings.threads, "processes": settings.processes}
    threads = f"--threads={settings.threads}"
    forced = () if settings.run else (f"--forced={FORCED}",)
    given = (f"--model={model}", f"--sources={sources}", *forced, threads)
    found = [System(OURS, "own_decoding.py", given, **sizes)]
    if settings.compiled:
        here = (*given, "--single", f"--device={settings.device}")
        return [replace(found[0], arguments=here), System("Antiphon compiled, fp32", "own_decoding.py", (*here, "--compiled"), **sizes)]
    for engine, precision in (("torch", "fp32"), ("onnx", "fp32"), ("onnx", "int8")):
        in_engine = (*given, f"--engine={engine}", f"--precision={precision}")
        found.append(System(f"Antiphon on {engine}, {precision}", "own_decoding.py", in_engine, **sizes))
    if settings.run:  # CTranslate2's own search cannot be forced to say so many symbols, and ours is slow there
        for precision in ("fp32", "int8"):
            native = (*given, "--engine=ctranslate2", f"--precision={precision}", "--native")
            found.append(System(f"Antiphon on ctranslate2, {precision}", "own_decoding.py", native, **sizes))
    if settings.against:
        found.append(replace(found[0], name="Antiphon before, fp32", checkout=settings.against))
    if not peers.exists():
        print(f"{peers} is missing: only our search is measured (benchmarks/peers/install)", file=sys.stderr)
        return found
    symbols = (f"--symbols={target.size}", f"--pad={target.pad}", f"--start={target.start}", f"--end={target.end}")
    if not settings.run:
        marian = (f"--sources={sources}", *symbols, *forced, threads)
        found.append(System("transformers generate, fp32", "peers/marian_generation.py", marian, str(peers), **sizes))
    for kind, name in (("float32", "CTranslate2, fp32"), ("int8", "CTranslate2, int8")):
        found.append(System(name, "peers/ctranslate2_translation.py", (*given, f"--compute-type={kind}"), str(peers), **sizes))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHIPPED, help="file with a column for each language")
    parser.add_argument("--source", default="en", help="column with the source text")
    parser.add_argument("--target", default="de", help="column with the target text")
    parser.add_argument("--run", type=Path, default=None, help="run or checkpoint of a Transformer; none measures random weights")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each system")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process")
    parser.add_argument("--processes", type=int, default=1, help="processes of each system, whose rates add up")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu counts computing time, for a machine that is shared")
    parser.add_argument("--against", type=Path, default=None, help="another checkout of this project, to compare with")
    parser.add_argument("--compiled", action="store_true", help="measure `engine.compiled` beside the run as it is")
    parser.add_argument("--device", default="cpu", help="of --compiled: cpu or cuda")
    parser.add_argument("--only", default="", help="only systems whose name contains this")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers", help="environment with the peers")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "benchmarks", help="folder for encoded data")
    settings = parser.parse_args()
    place, python = machine(), settings.peers / "bin" / "python"
    folder = prepare(settings.data, settings.source, settings.target, settings.cache)
    model, sources = measured(settings, folder)
    found = take_turns(
        [one for one in systems(folder, model, sources, python, settings) if settings.only in one.name], settings.rounds, settings.clock
    )
    theirs = versions(str(python), ["torch", "transformers", "ctranslate2"]) if python.exists() else "none"
    print(f"{place}; {versions(sys.executable, ['torch'])}; peers: {theirs}")
    print(f"{settings.processes} processes of {settings.threads} threads, {settings.rounds} rounds")
    print()
    print(table(found, f"sentences per {settings.clock} second (ratio)", OURS if OURS in found else next(iter(found))))


if __name__ == "__main__":
    main()
