"""antiphon score: how probable a model finds targets that are given, such as the pairs of a corpus that is to be filtered."""

import sys
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.options import Averaged, Quiet, Runs, Set, TrustCode, Weights, numbers_of

if TYPE_CHECKING:
    from antiphon.contracts.records import Records
    from antiphon.contracts.task import Task
    from antiphon.prediction.outputs import Output
    from antiphon.prediction.predictor import Predictor


def score(
    run: Runs,
    data: Annotated[
        str, typer.Option(help="Records with targets: a file, or '{source: test.en, target: test.de}', as in a recipe.", show_default=False)
    ],
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="Where to write: *.tsv, *.csv, or *.jsonl with all details; - is standard output, as tsv."),
    ] = "-",
    alignment: Annotated[
        bool, typer.Option("--alignment", help="Also write word alignments by attention, such as `0-0 1-2` (source-target).")
    ] = False,
    weights: Weights = None,
    average: Averaged = None,
    settings: Set = None,
    quiet: Quiet = False,
    trust_code: TrustCode = False,
) -> None:
    """Score the targets of records with a run, or an ensemble of several: the natural logarithm of each target's probability given its
    source (log_prob), and its mean per symbol (score). The columns of the records are kept, and so is their order.

    A record that cannot be used keeps its place without a score, and is named on standard error.

    Example: antiphon score runs/german --data crawled.tsv --output scored.tsv
    """
    from antiphon.prediction.inputs import paths_of
    from antiphon.prediction.loading import load
    from antiphon.prediction.score_writers import open_scores
    from antiphon.recipe.assembly import read_given
    from antiphon.recipe.named_files import named_files

    given = named_files(data, "--data")
    predictor = load(run, overrides=settings or (), trust_code=trust_code, weights=numbers_of(weights), average=average)
    records = read_given(given, predictor.task, with_targets=True)
    _write(predictor, records, open_scores(output, paths_of(records), alignment=alignment), alignment=alignment, quiet=quiet)


def _write(predictor: "Predictor", records: "Records", output: "Output", *, alignment: bool, quiet: bool) -> None:
    """Score all records. Raises DataError, once all is written, when some could not be used."""
    from antiphon.cli.refusals import Refusals
    from antiphon.contracts.asking import supervision
    from antiphon.errors import DataError
    from antiphon.prediction.score_writers import shown_record
    from antiphon.prediction.word_alignment import AlignmentErrors

    task, errors = predictor.task, AlignmentErrors()
    column = supervision(task)[1] if alignment else None
    given = deque[tuple[str, Any]]()  # what was read and has no score yet: its place, and itself
    refused = cut = count = 0
    refusals = Refusals(lambda sentence: print(sentence, file=sys.stderr), "items")

    def items() -> Iterator[Any]:
        for place, record, item in _items(task, records):
            given.append((place, record))
            yield item

    with output:
        for count, prediction in enumerate(predictor.score_items(items(), alignment=alignment, on_error="keep"), 1):
            place, record = given.popleft()
            if "error" in prediction.details:
                refused += 1
                refusals.add(count, place or f"item {count}", prediction.details["error"])
            elif column is not None and isinstance(record.get(column), str):
                errors.add(prediction.details["word_alignment"], record[column])
            cut += "source_cut" in prediction.details
            output.write(prediction, shown_record(record, task))
    refusals.tell_others()
    if errors.rate is not None and not quiet:
        print(f"antiphon: the alignment error rate is {errors.rate:.1%}, by the links in `{column}`.", file=sys.stderr)
    if cut and not quiet:
        most = predictor.limits.max_source_length
        print(f"antiphon: {cut} of {count} sources were cut to {most} elements, as `data.limits` says.", file=sys.stderr)
    if refused:
        what = "1 record could not be used, and has" if refused == 1 else f"{refused} records could not be used, and have"
        raise DataError(f"{what} no score.")


def _items(task: "Task", records: "Records") -> "Iterator[tuple[str, Any, Any]]":
    """What is scored one by one, with the record that it was made of and where that stands; where it is made of many, with itself."""
    from antiphon.contracts.abilities import MakesItems
    from antiphon.contracts.asking import items_of

    items = items_of(task, records, scored=True)
    if isinstance(task, MakesItems):
        return (("", item, item) for item in items)
    return ((records.label(number), record, item) for (number, record), item in zip(records(), items, strict=True))
