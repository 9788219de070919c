"""antiphon predict: inputs in, predictions out, in the same order, one for one.

Unusual: a run is a folder, so a file among the runs can only be an input: `antiphon predict runs/speech talk.mp3`. A folder of inputs is
named by `--input`: recordings, or texts, each of which is one document.
"""

import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, final

import typer

from antiphon.cli.options import (
    AsJson,
    Averaged,
    Glossary,
    GlossaryMode,
    Memory,
    MemoryMode,
    Quiet,
    Runs,
    Set,
    TrustCode,
    Weights,
    Workers,
    numbers_of,
)
from antiphon.cli.predict_blocks import check_blocks, predict_blocks
from antiphon.cli.starting import without_collections
from antiphon.contracts.files import restored
from antiphon.errors import ConfigError

if TYPE_CHECKING:
    from antiphon.contracts.files import FileConfig
    from antiphon.prediction.helped import HelpedPredictor
    from antiphon.prediction.inputs import Inputs
    from antiphon.prediction.orders import BlockOrder
    from antiphon.prediction.outputs import Output
    from antiphon.prediction.predictor import Predictor

To = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        help="Where to write; - is standard output. *.jsonl gets all details, *.csv and *.tsv the columns of the inputs and the"
        " predictions, any other name one prediction a line (forecasts: csv). A file with room for predictions, such as de.po, comes"
        " back as a file of its kind, also in its own place. FOLDER/ gets a file for each document or subtitled recording, and for each"
        " block of other inputs; 'FOLDER/*.tsv' says of which kind.",
    ),
]


Input = Annotated[
    str,
    typer.Option(
        "--input",
        "-i",
        help="A file of texts or records, a pattern such as 'po/*.po', or a folder of them; '{source: a.en, target: a.de}', as in a"
        " recipe, are two aligned by line; - is standard input, a text a line.",
    ),
]
Stream = Annotated[
    bool,
    typer.Option("--stream", help="Write words of the output while words of standard input are still being read; needs `model.wait_k`."),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N", help="Predict every N-th block of the inputs, such as 3/8, into a folder; a rerun does only what is missing."
    ),
]
BlockRecords = Annotated[
    int | None, typer.Option(min=1, help="How many inputs a block has, each of which is a file in the folder; 2000 when left out.")
]

Engine = Annotated[
    Literal["ray"] | None,
    typer.Option(help="Have blocks predicted by `--workers` actors of Ray, on this machine or the cluster that RAY_ADDRESS names."),
]


def predict(
    run: Runs,
    input: Input = "-",  # noqa: A002
    output: To = "-",
    stream: Stream = False,
    glossary: Glossary = None,
    glossary_mode: GlossaryMode = "soft",
    memory: Memory = None,
    memory_mode: MemoryMode = "tell",
    workers: Workers = 1,
    shard: Shard = None,
    block_records: BlockRecords = None,
    engine: Engine = None,
    weights: Weights = None,
    average: Averaged = None,
    settings: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    trust_code: TrustCode = False,
) -> None:
    """Predict an output for each input. An input that cannot be used keeps its place with an empty line and is named on standard error,
    or counted where many are alike. A blank line gives a blank line.

    Lines of standard input are answered as they come. A file is written as FILE.partial, and takes its place when it is complete.

    Example: echo "Open the file." | antiphon predict runs/german --set search.beam_size=1
    """
    with without_collections():
        from antiphon.prediction.blocks import asks_for_blocks
        from antiphon.prediction.inputs import runs_and_files
        from antiphon.prediction.orders import BLOCK_RECORDS, BlockOrder

    runs, files = runs_and_files(run)
    order = BlockOrder(
        runs=tuple(map(restored, runs)),
        inputs=tuple(_named(input, files)),
        output=output,
        block_records=block_records or BLOCK_RECORDS,
        overrides=tuple(settings or ()),
        weights=numbers_of(weights),
        average=average,
        trust_code=trust_code,
        glossary=glossary,
        glossary_mode=glossary_mode,
        memory=memory,
        memory_mode=memory_mode,
        workers=workers,
    )
    blocks = shard is not None or block_records is not None or engine is not None
    _check(order, stands_alone=stream, asks_for_more=blocks or as_json)
    if blocks:
        check_blocks(order, shard, engine, as_json=as_json)
    with without_collections():
        predictor = (order if engine is None else replace(order, workers=1)).load()
    if stream:
        _follow(predictor)
        return
    helped = order.helped(predictor)
    if blocks or (order.inputs and not as_json and asks_for_blocks(output, order.inputs, predictor.task)):
        predict_blocks(order, predictor, helped, shard, engine, quiet=quiet)
    else:
        _predict_in_order(helped, order, as_json=as_json, quiet=quiet)


def _check(order: "BlockOrder", *, stands_alone: bool, asks_for_more: bool) -> None:
    """Raise ConfigError for options that do not go together; `stands_alone` is `--stream`, beside which there must be no others."""
    if stands_alone and (asks_for_more or order.inputs or order.output != "-" or order.workers > 1 or order.glossary or order.memory):
        raise ConfigError("`--stream` must stand alone: it reads words from standard input and writes words to standard output.")
    for option, mode, usual, named in (
        ("glossary", order.glossary_mode, "soft", order.glossary),
        ("memory", order.memory_mode, "tell", order.memory),
    ):
        if mode != usual and named is None:
            raise ConfigError(f"`--{option}-mode {mode}` needs `--{option} FILE`.")


def _predict_in_order(helped: "Predictor | HelpedPredictor", order: "BlockOrder", *, as_json: bool, quiet: bool) -> None:
    """Predict one input after another."""
    from antiphon.prediction.files import open_files

    inputs, opened = open_files(helped, order.inputs, order.output, as_json=as_json)
    if inputs.are_typed:
        _await_typing(helped, order.runs, quiet=quiet)
    progress = _Progress(shown=not quiet and not opened.is_seen and sys.stderr.isatty())
    _answer(helped, inputs, opened, progress, quiet=quiet)


def _await_typing(predictor: "Predictor | HelpedPredictor", runs: Sequence[str], *, quiet: bool) -> None:
    """Say that somebody is to type. Raises ConfigError where rows of series are wanted, which nobody types."""
    from antiphon.contracts.abilities import Tabular
    from antiphon.errors import ConfigError

    if isinstance(predictor.task, Tabular):
        raise ConfigError(
            "A forecast is made from the past of the series: name a file that has it, as in `antiphon predict"
            f" {' '.join(runs)} --input history.csv --output forecast.csv`, or pipe it in."
        )
    if not quiet:
        print("antiphon: waiting for lines on standard input; end them with Ctrl-D.", file=sys.stderr)


def _follow(predictor: "Predictor") -> None:
    """Say the words of each line as soon as they are decided."""
    from antiphon.prediction.spoken_input import lines_of_words

    deque(predictor.stream_text(()), maxlen=0)  # what cannot be followed is refused before anything is read
    for words in lines_of_words(sys.stdin.buffer):
        told = 0
        for prediction in predictor.stream_text(words):
            decided = prediction.details["words"]
            for entry in decided[told:]:
                print(f"{' ' if told else ''}{entry['word']}", end="", flush=True)
                told += 1
        print(flush=True)


def _named(input: str, files: Sequence[Path]) -> "Sequence[Path | FileConfig]":  # noqa: A002
    """The files named beside the runs, or by `--input`; none where it is standard input."""
    from antiphon.recipe.named_files import named_files

    if files and input != "-":
        raise ConfigError(f"Inputs must be named once, but are both `--input {input}` and {files[0]}.")
    if files or input == "-":
        return files
    found = named_files(input, "--input")
    return found if isinstance(found, tuple) else [found]


def _answer(predictor: "Predictor | HelpedPredictor", inputs: "Inputs", output: "Output", progress: "_Progress", *, quiet: bool) -> None:
    """Predict all, and say what could not be used. Raises DataError, once all is written, when there was such an input."""
    from antiphon.cli.refusals import Refusals
    from antiphon.errors import AntiphonError, DataError
    from antiphon.prediction.files import written
    from antiphon.prediction.tally import Tally, refused_inputs

    tally, refusals = Tally(), Refusals(progress.say)
    try:
        with output:
            for number, prediction, record in written(predictor, inputs, output):
                tally.add(prediction)
                if "error" in prediction.details:
                    name = inputs.name(number, record)
                    refusals.add(number, f"input {number}{f' ({name})' if name else ''}", prediction.details["error"])
                progress.show(number, tally.refused)
    except KeyboardInterrupt as interruption:
        refusals.tell_others()
        progress.clear()
        interruption.add_note(f" {_written(output)}." if output.count else " before the first prediction was made.")
        raise
    except AntiphonError:
        refusals.tell_others()
        progress.clear()
        if output.count:
            print(f"antiphon: stopped {_written(output)}.", file=sys.stderr)
        raise
    refusals.tell_others()
    progress.clear()
    for sentence in tally.sentences(predictor.limits) if not quiet else ():
        print(f"antiphon: {sentence}", file=sys.stderr)
    for reason, skipped in inputs.skipped().items() if not quiet else ():
        first = f"{', '.join(skipped.first[:3])}{', ...' if skipped.count > 3 else ''}"
        print(f"antiphon: {skipped.count:,} left out: {reason} ({first}).", file=sys.stderr)
    for sentence in predictor.remarks if not quiet else ():
        print(f"antiphon: {sentence}", file=sys.stderr)
    if output.remark and not quiet:
        print(f"antiphon: {output.remark}", file=sys.stderr)
    for sentence in output.left:
        print(f"antiphon: {sentence}", file=sys.stderr)
    if output.left:
        raise DataError("1 unit could not be written." if len(output.left) == 1 else f"{len(output.left):,} units could not be written.")
    if tally.refused:
        raise DataError(refused_inputs(tally.refused))


def _written(output: "Output") -> str:
    """How much is there, and where, as the end of a sentence."""
    return f"after {f'{output.count:,} predictions' if output.count > 1 else '1 prediction'} {output.place}"


@final
class _Progress:
    """How far it is, on one line of a terminal, which is drawn anew twice a second."""

    def __init__(self, *, shown: bool):
        self._shown, self._began, self._drawn = shown, time.monotonic(), 0.0

    def show(self, count: int, refused: int) -> None:
        """Draw the line, if it is time."""
        now = time.monotonic()
        if self._shown and now - self._drawn > 0.5:
            self._drawn = now
            rate = count / max(now - self._began, 1e-9)
            lost = f", {refused:,} could not be used" if refused else ""
            print(f"\r\x1b[K{count:,} predicted, {rate:,.1f} a second{lost}", end="", file=sys.stderr, flush=True)

    def say(self, sentence: str) -> None:
        """Print a sentence in place of the line."""
        self.clear()
        print(sentence, file=sys.stderr)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = 0.0
