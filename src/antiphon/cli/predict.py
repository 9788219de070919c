"""antiphon predict: inputs in, predictions out, in the same order, one for one.

Unusual: a run is a folder, so a file among the runs can only be an input: `antiphon predict runs/speech talk.mp3`. A folder of inputs is
named by `--input`: recordings, or texts, each of which is one document.
"""

import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, final

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
from antiphon.cli.starting import without_collections

if TYPE_CHECKING:
    from antiphon.contracts.files import FileConfig
    from antiphon.prediction.helped import HelpedPredictor
    from antiphon.prediction.inputs import Inputs
    from antiphon.prediction.outputs import Output
    from antiphon.prediction.predictor import Predictor

To = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        help="Where to write; - is standard output. *.jsonl gets all details, *.csv and *.tsv the columns of the inputs and the"
        " predictions, FOLDER/ a file for each, other names lines (of forecasts csv). A file with room for predictions, such as de.po,"
        " comes back as a file of its kind, also in its own place.",
    ),
]


def predict(
    run: Runs,
    input: Annotated[  # noqa: A002
        str,
        typer.Option(
            "--input",
            "-i",
            help="A file of texts or records, a pattern such as 'po/*.po', or a folder of them; '{source: a.en, target: a.de}', as in a"
            " recipe, are two aligned by line; - is standard input, a text a line.",
        ),
    ] = "-",
    output: To = "-",
    stream: Annotated[
        bool, typer.Option("--stream", help="Say words of the output while words of standard input are read; needs `model.wait_k`.")
    ] = False,
    glossary: Glossary = None,
    glossary_mode: GlossaryMode = "soft",
    memory: Memory = None,
    memory_mode: MemoryMode = "tell",
    workers: Workers = 1,
    weights: Weights = None,
    average: Averaged = None,
    settings: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    trust_code: TrustCode = False,
) -> None:
    """Predict for each input. An input that cannot be used keeps its place with an empty line and is named on standard error. A blank line
    of a text is answered with one.

    Lines of standard input are answered as they come. A file is written as FILE.partial, and takes its place when it is complete.

    Example: echo "Open the file." | antiphon predict runs/german --set search.beam_size=1
    """
    from antiphon.errors import ConfigError

    with without_collections():
        from antiphon.prediction.files import open_files
        from antiphon.prediction.inputs import runs_and_files
        from antiphon.prediction.loading import load

    runs, files = runs_and_files(run)
    if files and input != "-":
        raise ConfigError(f"Inputs must be named once, but are both `--input {input}` and {files[0]}.")
    if stream and (files or input != "-" or output != "-" or as_json or workers > 1 or glossary or memory):
        raise ConfigError("`--stream` must stand alone: it reads words from standard input and writes words to standard output.")
    with without_collections():
        predictor = load(
            runs, overrides=settings or (), trust_code=trust_code, weights=numbers_of(weights), average=average, workers=workers
        )
    if stream:
        _follow(predictor)
        return
    helped = _helped(predictor, glossary, glossary_mode, memory, memory_mode)
    inputs, opened = open_files(helped, files or _named(input), output, as_json=as_json)
    if inputs.are_typed:
        _await_typing(predictor, runs, quiet=quiet)
    progress = _Progress(shown=not quiet and not opened.is_seen and sys.stderr.isatty())
    _answer(helped, inputs, opened, progress, quiet=quiet)


def _await_typing(predictor: "Predictor", runs: "Sequence[Path]", *, quiet: bool) -> None:
    """Say that somebody is to type. Raises ConfigError where rows of series are wanted, which nobody types."""
    from antiphon.contracts.abilities import Tabular
    from antiphon.errors import ConfigError

    if isinstance(predictor.task, Tabular):
        raise ConfigError(
            "A forecast is made from the past of the series: name a file that has it, as in `antiphon predict"
            f" {' '.join(map(str, runs))} --input history.csv --output forecast.csv`, or pipe it in."
        )
    if not quiet:
        print("antiphon: waiting for lines on standard input; end them with Ctrl-D.", file=sys.stderr)


def _helped(
    predictor: "Predictor", glossary: Glossary, glossary_mode: GlossaryMode, memory: Memory, use: MemoryMode
) -> "Predictor | HelpedPredictor":
    """The predictor, with a glossary and a memory beside it where they are named. Raises ConfigError for a mode of what is not there."""
    from antiphon.errors import ConfigError
    from antiphon.prediction.helped import HelpedPredictor, open_glossary, open_memory

    for option, mode, usual, named in (("glossary", glossary_mode, "soft", glossary), ("memory", use, "tell", memory)):
        if mode != usual and named is None:
            raise ConfigError(f"`--{option}-mode {mode}` needs `--{option} FILE`.")
    if glossary is None and memory is None:
        return predictor
    terms = None if glossary is None else open_glossary(glossary, predictor.task, glossary_mode)
    return HelpedPredictor(predictor, terms, None if memory is None else open_memory(memory, predictor.task), use)


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


def _named(input: str) -> "list[Path | FileConfig]":  # noqa: A002
    """What `--input` names; nothing where it is standard input."""
    from antiphon.recipe.named_files import named_files

    found = () if input == "-" else named_files(input, "--input")
    return list(found) if isinstance(found, tuple) else [found]


def _answer(predictor: "Predictor | HelpedPredictor", inputs: "Inputs", output: "Output", progress: "_Progress", *, quiet: bool) -> None:
    """Predict all, and say what could not be used. Raises DataError, once all is written, when there was such an input."""
    from antiphon.errors import AntiphonError, DataError
    from antiphon.prediction.files import written
    from antiphon.prediction.helped import HelpedPredictor

    refused = cut = unknown = symbols = 0
    remarks: Counter[str] = Counter()
    try:
        with output:
            for number, prediction, record in written(predictor, inputs, output):
                if "error" in prediction.details:
                    refused += 1
                    name = inputs.name(number, record)
                    progress.say(f"antiphon: input {number}{f' ({name})' if name else ''}: {prediction.details['error']}")
                cut += "source_cut" in prediction.details
                if "remark" in prediction.details:
                    remarks[str(prediction.details["remark"])] += 1
                unknown += "source_unknown" in prediction.details
                symbols += prediction.details.get("source_unknown", 0)
                progress.show(number, refused)
    except KeyboardInterrupt as interruption:
        progress.clear()
        interruption.add_note(f" {_written(output)}." if output.count else " before the first prediction was made.")
        raise
    except AntiphonError:
        progress.clear()
        if output.count:
            print(f"antiphon: stopped {_written(output)}.", file=sys.stderr)
        raise
    progress.clear()
    if cut and not quiet:
        most = predictor.limits.max_source_length
        print(f"antiphon: {cut} of {number} inputs were cut to {most} elements, as `data.limits` says.", file=sys.stderr)
    for remark, count in remarks.items() if not quiet else ():
        print(f"antiphon: {count} of {number} inputs: {remark}", file=sys.stderr)
    if unknown and not quiet:
        what = "1 symbol" if symbols == 1 else f"{symbols:,} symbols"
        print(f"antiphon: {unknown:,} of {number:,} inputs have {what} that the vocabulary does not know.", file=sys.stderr)
    for reason, skipped in inputs.skipped().items() if not quiet else ():
        first = f"{', '.join(skipped.first[:3])}{', ...' if skipped.count > 3 else ''}"
        print(f"antiphon: {skipped.count:,} left out: {reason} ({first}).", file=sys.stderr)
    for sentence in predictor.remarks if isinstance(predictor, HelpedPredictor) and not quiet else ():
        print(f"antiphon: {sentence}", file=sys.stderr)
    if output.remark and not quiet:
        print(f"antiphon: {output.remark}", file=sys.stderr)
    for sentence in output.left:
        print(f"antiphon: {sentence}", file=sys.stderr)
    if output.left:
        raise DataError("1 unit could not be written." if len(output.left) == 1 else f"{len(output.left):,} units could not be written.")
    if refused:
        what = (
            "1 input could not be used; its prediction is" if refused == 1 else f"{refused} inputs could not be used; their predictions are"
        )
        raise DataError(f"{what} empty.")


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
