"""Our decoding: a model folder of `decoding_speed.py`, our searches, the model itself, with compiled steps or not, or an engine; or an
engine's own search."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from encoding import read_model
from exported import ENGINES, in_engine, said_by
from worker import Task, serve

from antiphon.contracts.engine import SearchesItself
from antiphon.contracts.search import Search
from antiphon.contracts.sequences import Padded
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.compiled import CompiledSteps
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig


def set_up(settings: argparse.Namespace) -> Mapping[str, Task]:
    """The model, its searches, and one warm-up of each."""
    sources, forced = settings.sources, settings.forced
    torch.set_num_threads(settings.threads)
    model, device = read_model(settings.model), torch.device(settings.device)
    with np.load(sources, allow_pickle=False) as file:
        values, lengths = torch.from_numpy(file["values"]).to(device), torch.from_numpy(file["lengths"]).to(device)
    if settings.engine:
        examples = said_by(model, Padded(values[:16], lengths[:16]), forced or 30) if settings.precision == "int8" else []
        model = in_engine(model, settings.engine, settings.precision, examples)
    model = model.to(device)
    if settings.compiled:
        model = CompiledSteps(model)
    limits = LimitsConfig() if forced is None else LimitsConfig(min_length=forced, max_length=forced)
    wanted = GreedyConfig(limits=limits), BeamConfig(beam_size=5, limits=limits)
    greedy: Search = GreedySearch(wanted[0])
    beam: Search = BeamSearch(wanted[1])
    if settings.native:
        own = [model.own_search(one) if isinstance(model, SearchesItself) else None for one in wanted]
        if own[0] is None or own[1] is None:
            sys.exit(f"The engine {settings.engine} has no search of its own for this.")
        greedy, beam = own[0], own[1]

    def task(search: Search, batch: int, count: int) -> Task:
        def decode() -> float:
            said = 0
            for first in range(0, count, batch):
                rows = slice(first, first + batch)
                found = search(model, Padded(values[rows, : int(lengths[rows].max())], lengths[rows]))
                said += sum(len(hypotheses[0].elements) for hypotheses in found)
            if forced is not None and said != count * forced:
                sys.exit(f"{said} symbols were said instead of {count * forced}.")
            return float(count)

        return decode

    tasks = {"greedy, batch 1": task(greedy, 1, 8), "greedy, batch 32": task(greedy, 32, 64), "beam 5, batch 32": task(beam, 32, 32)}
    if settings.single:
        tasks["beam 5, batch 1"] = task(beam, 1, 4)
    for run in tasks.values():
        run()
    if isinstance(model, CompiledSteps):
        print(model.remark, file=sys.stderr)
    return tasks


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--forced", type=int, default=None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engine", choices=ENGINES, default=None)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--compiled", action="store_true", help="with `engine.compiled`")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--single", action="store_true", help="a beam for single sentences, too")
    parser.add_argument("--native", action="store_true", help="the engine's own search")
    chosen = parser.parse_args()
    serve(lambda: set_up(chosen))
