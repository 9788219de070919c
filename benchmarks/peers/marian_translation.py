#!/usr/bin/env python3
"""transformers' Marian, trained from scratch by `Seq2SeqTrainer` for some minutes of the processor's time, and its translations scored.

    python benchmarks/peers/marian_translation.py RUN/features/source/vocabulary.model TRAIN TEST --minutes 90 -o marian.txt

It gets the SentencePiece vocabulary of a run of ours, the sizes of the preset `small` with tied embeddings, and what people use who
train Marian models: label smoothing, warm-up over a tenth of the time and a cosine behind it, records of like length together, bf16
where asked for, a beam of 5. TRAIN and TEST are tables with a header line, packed or not.
"""

import argparse
import csv
import gzip
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import sacrebleu
import torch
from marian import marian
from sentencepiece import SentencePieceProcessor
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback

LONGEST = 250


class Budget(TrainerCallback):
    """Ends training when the processor has worked for so many seconds."""

    def __init__(self, seconds: float):
        self.seconds, self.began = seconds, time.process_time()

    def progress(self) -> float:
        """The share of the budget that is used."""
        return (time.process_time() - self.began) / self.seconds

    def rate(self, _: int) -> float:
        """The learning rate, as a share of the highest."""
        warm_up, now = 0.1, min(self.progress(), 1.0)
        return max(now / warm_up, 1e-3) if now < warm_up else 0.5 * (1 + math.cos(math.pi * (now - warm_up) / (1 - warm_up)))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = self.progress() >= 1


class Collator:
    """The usual collator, with decoder inputs that are the labels moved to the right."""

    def __init__(self, pad: int, model: Any):
        self.pad, self.model = pad, model

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        def filled(name: str, value: int) -> torch.Tensor:
            return torch.nn.utils.rnn.pad_sequence([torch.tensor(row[name]) for row in rows], batch_first=True, padding_value=value)

        sources, labels = filled("input_ids", self.pad), filled("labels", -100)
        return {
            "input_ids": sources,
            "attention_mask": (sources != self.pad).long(),
            "labels": labels,
            "decoder_input_ids": self.model.prepare_decoder_input_ids_from_labels(labels=labels),
        }


def read(path: Path, source: str, target: str) -> list[tuple[str, str]]:
    """The pairs of a table."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
        return [(row[source], row[target]) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def train(model: Any, rows: list[dict[str, list[int]]], pad: int, settings: argparse.Namespace, out: str) -> int:
    """Train until the time is over; how many updates were made."""
    budget = Budget(settings.minutes * 60)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.01, fused=True)
    tokens = sum(len(row["labels"]) for row in rows) / len(rows)
    arguments = Seq2SeqTrainingArguments(
        output_dir=out,
        per_device_train_batch_size=round(settings.target_tokens / tokens),
        max_grad_norm=1.0,
        max_steps=10**9,
        label_smoothing_factor=0.1,
        train_sampling_strategy="group_by_length",
        bf16=settings.bf16,
        save_strategy="no",
        logging_steps=settings.log_every,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        seed=1,
    )
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=Collator(pad, model),
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, budget.rate)),
        callbacks=[budget],
    )
    trainer.train()
    return int(trainer.state.global_step)


@torch.inference_mode()
def translate(model: Any, pieces: SentencePieceProcessor, sources: list[str]) -> list[str]:
    """Translations by a beam of 5, in batches of 32 of like length."""
    encoded = [[*pieces.encode(text)[:LONGEST], pieces.eos_id()] for text in sources]
    order = sorted(range(len(sources)), key=lambda number: len(encoded[number]))
    found = [""] * len(sources)
    for start in range(0, len(order), 32):
        chosen = order[start : start + 32]
        rows = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(encoded[number]) for number in chosen], batch_first=True, padding_value=pieces.pad_id()
        )
        mask = (rows != pieces.pad_id()).long()
        said = model.generate(input_ids=rows, attention_mask=mask, num_beams=5, max_new_tokens=LONGEST)
        special = {pieces.pad_id(), pieces.bos_id(), pieces.eos_id()}
        for number, symbols in zip(chosen, said.tolist(), strict=True):
            found[number] = pieces.decode([symbol for symbol in symbols if symbol not in special])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="de")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--target-tokens", type=int, default=1500)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--log-every", type=int, default=200)
    parser.add_argument("-o", "--output", type=Path, required=True, help="where the translations are written, a line each")
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(1)
    pieces = SentencePieceProcessor(model_file=str(settings.vocabulary))
    pad, start, end = pieces.pad_id(), pieces.bos_id(), pieces.eos_id()
    pairs = [[pieces.encode(text) for text in pair] for pair in read(settings.train, settings.source, settings.target)]
    rows = [{"input_ids": [*source, end], "labels": [*target, end]} for source, target in pairs if max(len(source), len(target)) <= LONGEST]
    model = marian(pieces.vocab_size(), pad, start, end)
    model.config.dropout = settings.dropout
    for layer in model.modules():
        if isinstance(getattr(layer, "dropout", None), float):
            layer.dropout = settings.dropout if type(layer).__name__ != "MarianAttention" else 0.0
    print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters, {len(rows):,} pairs", flush=True)
    with tempfile.TemporaryDirectory() as out:
        updates = train(model, rows, pad, settings, out)
    sources, references = zip(*read(settings.test, settings.source, settings.target), strict=True)
    said = translate(model.eval(), pieces, list(sources))
    settings.output.write_text("".join(f"{text}\n" for text in said), encoding="utf-8")
    bleu, chrf = sacrebleu.corpus_bleu(said, [references]), sacrebleu.corpus_chrf(said, [references])
    print(f"{updates:,} updates in {settings.minutes:g} minutes: BLEU {bleu.score:.2f}, chrF {chrf.score:.2f}")


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
