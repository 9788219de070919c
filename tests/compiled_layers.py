"""What `tests/unit/training/test_compiling.py` asks of compiled layers, each a function that a process of its own calls: here types and
shapes are not checked in every call, since torch would compile the checks, and take each call for a case of its own."""

from pathlib import Path

import torch

from antiphon.contracts.packing import pack_pairs
from antiphon.runs.train import train
from antiphon.store import checkpoint
from antiphon.training import compiling
from antiphon.training.compiling import Compilation, compile_blocks
from tests.conformance.variants import BY_FRAMES, Variant, batch, build, gradients, variants
from tests.reliability.training_processes import TRANSFORMER, events, write_data, write_recipe

CPU = torch.device("cpu")
STILL = {**TRANSFORMER, "dropout": 0.0, "bias": False}


def named(name: str) -> Variant:
    """The variant of this name."""
    return next(one for one in variants() if one.id == name)


def batches_of_other_lengths(seed: int) -> None:
    """They need no other graph, and have the gradients of plain layers."""
    compiling.BACKEND = "aot_eager"
    variant, compilation = named("transformer-rotary"), Compilation()
    own, plain = build(variant, seed).train(), build(variant, seed).train()
    compile_blocks(own, CPU)
    for number, lengths in enumerate([((5, 2, 7), (4, 6, 2)), ((9, 3, 3, 8), (2, 2, 3, 2)), ((4,) * 6, (11,) * 6), ((12, 2), (3, 7))]):
        same_gradients(own, plain, batch("tokens", seed + number, *lengths))
    news = compilation.news()
    assert news is not None
    assert 2 <= news.graphs <= 4, "an encoder's layer and a decoder's, and perhaps again where two sizes were equal by chance"
    assert compilation.news() is None, "what has been said is no news"
    assert compilation.seconds() > 0
    assert compilation.seconds() == 0


def variants_of(architecture: str, seed: int) -> None:
    """Each has the gradients of plain layers, if it has any that stand alone; pairs in one row, too."""
    compiling.BACKEND = "aot_eager"
    for variant in variants():
        if variant.architecture != architecture or not build(variant, seed, variant.specs[0]).blocks():
            continue
        kind = variant.specs[0]
        torch._dynamo.reset()
        own, plain = build(variant, seed, kind).train(), build(variant, seed, kind).train()
        compile_blocks(own, CPU)
        data = batch(kind, seed)
        print(variant.id, flush=True)
        if architecture in BY_FRAMES:
            for model in (own, plain):
                model.encode(data.source).states.square().sum().backward()
            found, expected = ({name: one.grad for name, one in model.named_parameters() if one.grad is not None} for model in (own, plain))
            close(found, expected)
        else:
            same_gradients(own, plain, data)
        if own.packs:
            packing, sums = pack_pairs(data.source.lengths, data.target.lengths - 1), []
            for model in (own, plain):
                model.zero_grad()
                memory = model.encode(data.source.packed(packing.source))
                model.decode(data.inputs.packed(packing.inputs), memory).features.square().sum().backward()
                sums.append({name: one.grad for name, one in model.named_parameters() if one.grad is not None})
            close(*sums)


def runs(backend: str, folder: Path, *, resumed: bool) -> None:
    """They come to what plain layers come to, and go on either way."""
    compiling.BACKEND = backend
    write_data(folder)
    recipe = write_recipe(folder, model=STILL, max_steps=6, save_every=3)
    train(recipe, folder / "plain")
    train(recipe, folder / "compiled", settings=["training.compile=true"])
    same_runs(folder / "compiled", folder / "plain")
    (event,) = events(folder / "compiled", "compiled")
    assert 2 <= event["graphs"] <= 6
    for name, first, then in (("off", "true", "false"), ("on", "false", "true")) if resumed else ():
        train(recipe, folder / name, settings=["training.max_steps=3", f"training.compile={first}"])
        train(recipe, folder / name, settings=[f"training.compile={then}"], resume=True)
        same_runs(folder / name, folder / "plain")


def same_runs(one: Path, other: Path) -> None:
    """The same losses, and the same weights by the same names, up to rounding."""
    losses = [torch.tensor([event["loss"] for event in events(run, "train")]) for run in (one, other)]
    torch.testing.assert_close(*losses, rtol=1e-4, atol=0)
    close(*((checkpoint.read((run / "last").resolve())).weights() for run in (one, other)), rtol=1e-3, atol=1e-4)


def same_gradients(own, plain, data) -> None:
    """Of two models, for a batch."""
    close(gradients(own, data), gradients(plain, data))


def close(found, expected, rtol=1e-8, atol=1e-8) -> None:
    """Tensors by their names."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=rtol, atol=atol, msg=lambda said, name=name: f"{name}: {said}")
