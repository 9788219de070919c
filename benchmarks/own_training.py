"""Our training: the same update and loader as `antiphon train`, on the benchmark's batches."""

import argparse
import itertools
from pathlib import Path
from typing import Any

import torch
from encoding import SEED, loader, specs
from worker import Ready, serve

from antiphon.contracts import registry
from antiphon.losses import cross_entropy
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.optimizers import AdamWConfig, build_optimizer
from antiphon.training.precision import Precision
from antiphon.training.step import Update

SIZES: dict[str, dict[str, Any]] = {
    "transformer": {"dim": 256, "encoder_layers": 3, "decoder_layers": 3, "heads": 4, "feed_forward_dim": 1024},
    "lstm": {"dim": 256, "encoder_layers": 2, "decoder_layers": 2, "attention": "general", "dropout": 0.1},
}


def set_up(folder: Path, model_name: str, precision: Precision, target_tokens: int, updates: int, threads: int) -> Ready:
    """The model after two updates that nobody times."""
    torch.set_num_threads(threads)
    torch.manual_seed(SEED)
    source, target = specs(folder)
    plugin = registry.find("models", model_name)
    model = plugin.build(plugin.Config(tied_embeddings="all", **SIZES[model_name]), source, target)
    update = Update.of(
        model.train(),
        cross_entropy.build(cross_entropy.CrossEntropyConfig(label_smoothing=0.1), target),
        build_optimizer(AdamWConfig(learning_rate=3e-4), model),
        Ranks(0, 1, torch.device("cpu")),
        inputs=TeacherForcingConfig(),
        clip_norm=1.0,
        precision=precision,
        seed=SEED,
    )
    batches = loader(folder, target_tokens)

    def train(count: int = updates) -> float:
        results = [update([batch], step, 1.0) for step, batch in enumerate(itertools.islice(batches.batches(0), count))]
        return float(sum(result.elements for result in results))

    train(2)
    return Ready({"training": train}, sum(parameter.numel() for parameter in model.parameters()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--model", default="transformer")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--target-tokens", type=int, default=4096)
    parser.add_argument("--updates", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    serve(lambda: set_up(chosen.folder, chosen.model, chosen.precision, chosen.target_tokens, chosen.updates, chosen.threads))
