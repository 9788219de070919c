"""Fine-tuning by transformers' `Seq2SeqTrainer`, with its own loader, collator and loop, held between turns."""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)
from worker import HeldLoop


class Counted:
    """The usual collator; counts the target symbols of what it puts together, padding left out."""

    def __init__(self, collator: Any):
        self.collator, self.elements = collator, 0

    def __call__(self, examples: Any) -> Any:
        batch = self.collator(examples)
        self.elements += int((batch["labels"] != -100).sum())
        return batch


class Hold(TrainerCallback):
    """Waits in front of each update until its turn has come."""

    def __init__(self, loop: HeldLoop, collator: Counted, parameters: int):
        self.loop, self.collator, self.parameters = loop, collator, parameters

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.loop.before_update(self.parameters, self.collator.elements)


def arguments(out: str, rows: int, *, group: bool) -> Seq2SeqTrainingArguments:
    """The settings of our side: the same optimizer, clipping and precision; nothing is validated, saved or reported."""
    grouping: dict[str, Any] = {}
    if group:
        newer = "train_sampling_strategy" in Seq2SeqTrainingArguments.__dataclass_fields__
        grouping = {"train_sampling_strategy": "group_by_length"} if newer else {"group_by_length": True}
    return Seq2SeqTrainingArguments(
        output_dir=out,
        per_device_train_batch_size=rows,
        learning_rate=3e-4,
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        num_train_epochs=100,
        optim="adamw_torch_fused",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        seed=1,
        **grouping,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--updates", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--adapter", action="store_true")
    parser.add_argument("--group", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    loop = HeldLoop(chosen.updates, warm_up=2)
    tokenizer = AutoTokenizer.from_pretrained(chosen.folder / "checkpoint")
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(chosen.folder / "checkpoint", dtype=torch.float32)
    if chosen.adapter:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q", "k", "v", "o"], task_type="SEQ_2_SEQ_LM"))
    with open(chosen.folder / "pairs.jsonl", encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file]
    sides = tokenizer([pair["source"] for pair in pairs], text_target=[pair["target"] for pair in pairs])
    rows = [
        {"input_ids": source, "attention_mask": mask, "labels": labels}
        for source, mask, labels in zip(sides["input_ids"], sides["attention_mask"], sides["labels"], strict=True)
    ]
    collator = Counted(DataCollatorForSeq2Seq(tokenizer, model=model))
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    with tempfile.TemporaryDirectory() as out:
        trainer = Seq2SeqTrainer(
            model=model,
            args=arguments(out, chosen.rows, group=chosen.group),
            train_dataset=rows,
            data_collator=collator,
            processing_class=tokenizer,
            callbacks=[Hold(loop, collator, learned)],
        )
        trainer.train()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
