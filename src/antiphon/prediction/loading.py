"""Opens the folders of runs as a predictor."""

from collections.abc import Sequence
from pathlib import Path

from antiphon.contracts.trust import foreign
from antiphon.errors import ConfigError
from antiphon.layers.linear import pack_weights
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.workers import DecodingWorkers
from antiphon.recipe.assembly import load_trained
from antiphon.recipe.effects import PREDICTION
from antiphon.search.ensemble import Average
from antiphon.training.device import find_device


def load(
    path: Path | str | Sequence[Path | str],
    *,
    device: str = "auto",
    overrides: Sequence[str] = (),
    trust_code: bool = False,
    packed_weights: bool = True,
    weights: Sequence[float] | None = None,
    average: Average | None = None,
    workers: int = 1,
) -> Predictor:
    """Open a run (its best checkpoint), a checkpoint, or several of them as an ensemble.

    overrides        recipe settings such as "search.beam_size=1"
    device           cpu, cuda, mps or auto
    trust_code       whether code outside Antiphon that the runs name may be imported
    packed_weights   on CPUs: whether linear layers (with AVX2 alone: wide ones) keep a second copy of their weights in the layout that
                     decoding reads fastest, from the first prediction on; False takes half of the memory
    weights          how much each run of an ensemble counts; they need not sum to 1, and are alike when left out
    average          what an ensemble averages: "probability" (the default), or "log_probability", where each run can veto a symbol
    workers          processes that decode side by side, each with a model of its own: for many inputs, since each takes seconds to start;
                     1 is this process alone. They end with the predictor

    Raises ConfigError for a setting that has no effect on a prediction, such as one of `training`.
    """
    PREDICTION.check(overrides)
    if workers < 1:
        raise ConfigError(f"`workers` must be at least 1, but is {workers}.")
    paths = path if isinstance(path, Path | str) else list(path)
    beside = None
    if workers > 1:
        how = {"device": device, "overrides": list(overrides), "trust_code": trust_code, "packed_weights": packed_weights}
        beside = DecodingWorkers({"path": paths, **how, "weights": weights, "average": average}, workers)
    predictor = open_predictor(paths, device=device, overrides=overrides, trust_code=trust_code, weights=weights, average=average)
    for item in predictor.trained:
        pack_weights(item.model, packed_weights)
    return predictor.with_workers(beside)


def open_predictor(
    path: Path | str | Sequence[Path | str],
    *,
    device: str = "auto",
    overrides: Sequence[str] = (),
    trust_code: bool = False,
    weights: Sequence[float] | None = None,
    average: Average | None = None,
) -> Predictor:
    """Like `load`, for callers that do more than predict: they check themselves which settings have an effect."""
    find_device(device, "device")  # before anything is read
    paths = [path] if isinstance(path, Path | str) else list(path)
    trained = [load_trained(item, trust=foreign(trust_code), overrides=overrides) for item in paths]
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key.split(".")[0] == "engine" and key != "engine.compiled" and not any("engine" in item.header for item in trained):
            raise ConfigError(
                f"`{override}` has no effect on {paths[0]}, which is not an exported folder. Leave it out; a run takes only"
                " `engine.compiled`."
            )
    return Predictor(trained, device=device, overrides=overrides, weights=weights, average=average, compiles=True)
