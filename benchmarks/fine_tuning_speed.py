"""Fine-tuning speed of a published model, in turns: our trainer and transformers' `Seq2SeqTrainer`, target tokens per second, peak memory.

    python benchmarks/fine_tuning_speed.py --data train.tsv.gz --source en --target de

Without --data, the translation data that ships with the project. The checkpoint is made here: a T5 of random weights and its tokenizer, in
the published format, since speed does not depend on what a model knows. Needs the extra `hf`, and `accelerate` for `Seq2SeqTrainer`.
"""

import argparse
import gzip
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from turns import ROOT, System, machine, table, take_turns, versions

SHIPPED = ROOT / "examples" / "data" / "translation" / "train.tsv.gz"
OURS = "Antiphon"
SIZES = {"d_model": 256, "num_layers": 3, "num_decoder_layers": 3, "num_heads": 4, "d_kv": 64, "d_ff": 1024}
LONGEST = 200  # symbols of a text; pairs with more are left out for everybody


def read_pairs(data: Path, source: str, target: str) -> list[tuple[str, str]]:
    """The texts of two columns of a tab-separated file."""
    packed = data.read_bytes()
    text = (gzip.decompress(packed) if data.suffix == ".gz" else packed).decode("utf-8")
    header, *rows = (line.split("\t") for line in text.rstrip("\n").split("\n"))
    places = header.index(source), header.index(target)
    return [(row[places[0]], row[places[1]]) for row in rows]


def write_checkpoint(folder: Path, pairs: list[tuple[str, str]]) -> Any:
    """A T5 of random weights (the sizes of `SIZES`) with a tokenizer of these texts; returns the tokenizer."""
    import sentencepiece
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    pieces = folder / "pieces"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(text for pair in pairs for text in pair),
        model_prefix=str(pieces),
        vocab_size=8000,
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    model = sentencepiece.SentencePieceProcessor(model_file=f"{pieces}.model")
    vocabulary = [(model.id_to_piece(number), model.get_score(number)) for number in range(model.vocab_size())]
    tokenizer = transformers.T5Tokenizer(vocab=vocabulary, extra_ids=0)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    settings = transformers.T5Config(vocab_size=len(tokenizer), decoder_start_token_id=0, **SIZES)
    transformers.T5ForConditionalGeneration(settings).save_pretrained(folder)
    return tokenizer


def prepare(data: Path, source: str, target: str, folder: Path) -> float:
    """Write the checkpoint and the pairs that are not too long; returns the mean number of target symbols."""
    pairs = read_pairs(data, source, target)
    tokenizer = write_checkpoint(folder / "checkpoint", pairs)
    lengths = [[len(ids) for ids in tokenizer([pair[side] for pair in pairs])["input_ids"]] for side in (0, 1)]
    kept = [number for number in range(len(pairs)) if max(lengths[0][number], lengths[1][number]) <= LONGEST]
    with open(folder / "pairs.jsonl", "w", encoding="utf-8") as file:
        for number in kept:
            file.write(json.dumps({"source": pairs[number][0], "target": pairs[number][1]}, ensure_ascii=False) + "\n")
    return sum(lengths[1][number] for number in kept) / len(kept)


def systems(folder: Path, mean_target: float, settings: argparse.Namespace) -> list[System]:
    """Who takes part. An update of theirs has so many rows that it learns from about as many target symbols as one of ours."""
    common = (f"--folder={folder}", f"--updates={settings.updates}", f"--threads={settings.threads}")
    ours = (*common, f"--target-tokens={settings.target_tokens}")
    theirs = (*common, f"--rows={max(1, round(settings.target_tokens / mean_target))}")
    trainer, threads = "peers/seq2seq_trainer.py", settings.threads
    return [
        System(OURS, "own_fine_tuning.py", ours, threads=threads),
        System("Seq2SeqTrainer", trainer, theirs, threads=threads),
        System("Seq2SeqTrainer, grouped by length", trainer, (*theirs, "--group"), threads=threads),
        System("Antiphon, LoRA", "own_fine_tuning.py", (*ours, "--adapter"), threads=threads),
        System("Seq2SeqTrainer, LoRA by peft", trainer, (*theirs, "--adapter"), threads=threads),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHIPPED, help="tab-separated file with a column for each language, perhaps .gz")
    parser.add_argument("--source", default="en", help="column with the source text")
    parser.add_argument("--target", default="de", help="column with the target text")
    parser.add_argument("--target-tokens", type=int, default=1024, help="target tokens of a batch")
    parser.add_argument("--updates", type=int, default=6, help="timed updates of a turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each system")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu counts computing time, for a machine that is shared")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "benchmarks" / "fine_tuning", help="folder for checkpoint and data")
    settings = parser.parse_args()
    for package in ("transformers", "peft", "accelerate"):
        if importlib.util.find_spec(package) is None:
            sys.exit(f"`{package}` is not installed: pip install {package}")
    place = machine()
    mean_target = prepare(settings.data, settings.source, settings.target, settings.cache)
    found = take_turns(systems(settings.cache, mean_target, settings), settings.rounds, settings.clock)
    print(f"{place}; {versions(sys.executable, ['torch', 'transformers', 'peft', 'accelerate'])}")
    print(f"{settings.threads} threads, {settings.rounds} rounds of {settings.updates} updates on about {settings.target_tokens} tokens")
    print()
    print(table(found, f"target tokens per {settings.clock} second (ratio)", OURS))


if __name__ == "__main__":
    main()
