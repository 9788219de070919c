"""eole: its model, its loss and its own training loop (`eole.trainer.Trainer`), fed with our batches instead of by its own loader.

Pre-norm with biases, like ours: 7.6 million parameters. Measuring the entropy of attention, which eole does unless told not to, is off.
bf16 is its automatic mixed precision, with the gradient scaler that it always uses there.
"""

import logging
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pyonmttok
import torch
from eole.config.run import TrainConfig
from eole.models.model import get_model_class
from eole.trainer import Trainer, TrainerConfig
from eole.utils.loss import LossCompute
from eole.utils.optimizers import Optimizer
from training_loop import Arrays, options, parameters, read_batches
from worker import Ready, serve

SPECIALS = {"pad": "<blank>", "unk": "<unk>", "start": "<s>", "end": "</s>"}


def vocabularies(symbols: int, pad: int, start: int, end: int) -> dict[str, Any]:
    """A joint vocabulary of symbols that are called by their numbers, but for the special ones."""
    tokens = [f"symbol{number}" for number in range(symbols)]
    unknown = next(number for number in range(symbols) if number not in (pad, start, end))
    for name, number in (("pad", pad), ("unk", unknown), ("start", start), ("end", end)):
        tokens[number] = SPECIALS[name]
    joint = pyonmttok.build_vocab_from_tokens(tokens)
    assert len(joint) == symbols, f"the vocabulary grew to {len(joint)}"
    assert joint[SPECIALS["pad"]] == pad, "padding moved"
    specials = {"pad_token": SPECIALS["pad"], "unk_token": SPECIALS["unk"], "bos_token": SPECIALS["start"], "eos_token": SPECIALS["end"]}
    return {"src": joint, "tgt": joint, "specials": specials, "decoder_start_token": SPECIALS["start"]}


def configuration(precision: str) -> TrainConfig:
    """The benchmark's Transformer and its training in eole's settings."""
    model = {
        "architecture": "transformer",
        "layers": 3,
        "hidden_size": 256,
        "heads": 4,
        "transformer_ff": 1024,
        "embeddings": {"word_vec_size": 256, "position_encoding_type": "SinusoidalInterleaved"},
        "share_embeddings": True,
        "share_decoder_embeddings": True,
        "generator_bias": False,
        **dict.fromkeys(("add_qkvbias", "add_final_linear_bias", "add_ffnbias"), True),
    }
    training = {
        "optim": "adam",
        "learning_rate": 3e-4,
        "adam_beta2": 0.98,
        "adam_eps": 1e-9,
        "max_grad_norm": 1.0,
        "label_smoothing": 0.1,
        "dropout": [0.1],
        "attention_dropout": [0.0],
        "normalization": "tokens",
        "compute_dtype": precision,
        "param_init_method": "xavier_uniform",
        "log_attention_entropy": False,
    }
    return TrainConfig(src_vocab="none", tgt_vocab="none", share_vocab=True, data={}, model=model, training=training)


def for_eole(batch: Arrays) -> dict[str, Any]:
    """A batch as eole's loader makes it; `cid` names the corpus that each row is from, for its statistics."""
    rows = len(batch["target"])
    return {
        "src": batch["source"],
        "srclen": batch["source_lengths"],
        "tgt": batch["target"],
        "images": None,
        "prefix_len": None,
        "cid": ["train"] * rows,
        "cid_line_number": list(range(rows)),
    }


def set_up(settings: Any) -> Ready:
    """The trainer after two updates that nobody times."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(1)
    logging.getLogger().setLevel(logging.WARNING)
    config = configuration(settings.precision)
    vocabs = vocabularies(settings.symbols, settings.pad, settings.start, settings.end)
    model = get_model_class(config.model).for_training(config.model, vocabs, config.training, device_id=-1)
    loss = LossCompute.from_config(config, model, vocabs)
    options_of = TrainerConfig(norm_method="tokens", n_gpu=0, gpu_rank=-1, dropout=[0.1], attention_dropout=[0.0])
    trainer = Trainer(model, loss, loss, SimpleNamespace(transforms=[]), {}, Optimizer.from_config(model, config), options_of)
    batches = read_batches(settings.batches)
    elements = [int((batch["target_lengths"] - 1).sum()) for batch in batches]

    def train(count: int = len(batches)) -> float:
        trainer.train(((for_eole(batch), 0) for batch in batches[:count]), train_steps=0, save_checkpoint_steps=0)
        return float(sum(elements[:count]))

    train(2)
    tasks: Mapping[str, Any] = {"training": train}
    return Ready(tasks, parameters(model))


if __name__ == "__main__":
    chosen = options()
    serve(lambda: set_up(chosen))
