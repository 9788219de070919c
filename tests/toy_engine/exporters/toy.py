"""Writes what the engine of the same name opens. In int8, weights are rounded to `LEVELS` values each way."""

from safetensors.torch import save_file

from antiphon.exporters.engine_folder import write
from antiphon.exporters.graphs import facts_of
from antiphon.exporters.interface import ExportPlugin

LEVELS = 127
SAMPLED = []


def export(trained, folder):
    SAMPLED.append(len(trained.samples()))
    weights = {name: tensor.clone() for name, tensor in trained.model.state_dict().items()}
    if trained.precision == "int8":
        scales = {name: tensor.abs().max() / LEVELS for name, tensor in weights.items()}
        weights = {name: (tensor / scales[name]).round() * scales[name] if scales[name] else tensor for name, tensor in weights.items()}
    write(
        trained,
        folder,
        "toy",
        facts_of(trained.model),
        lambda place: save_file(weights, place / "weights.safetensors"),
        versions={"toy": "1"},
        details={"model": dict(trained.recipe["model"])},
    )
    return ["It is a toy."]


plugin = ExportPlugin("toy", "for tests", export, precisions=("fp32", "int8"), engine=True)
