"""antiphon predict into a folder of blocks: `--shard`, `--block-records`, `--output out/`."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from antiphon.cli.counting import counter, teller
from antiphon.cli.options import share_of
from antiphon.errors import ConfigError, DataError

if TYPE_CHECKING:
    from antiphon.prediction.blocks import Written
    from antiphon.prediction.helped import HelpedPredictor
    from antiphon.prediction.orders import BlockOrder
    from antiphon.prediction.predictor import Predictor
    from antiphon.prediction.tally import Tally


def check_blocks(order: "BlockOrder", shard: str | None, engine: str | None, *, as_json: bool) -> None:
    """Refuse, before a model is loaded, what cannot be done in blocks. Raises ConfigError or DataError."""
    from antiphon.prediction.blocks import folder_and_suffix
    from antiphon.prediction.ray_blocks import find_ray

    if as_json or not order.inputs:
        raise ConfigError("Predictions in blocks need input files, such as `--input corpus.tsv`, and cannot be combined with `--json`.")
    share_of(shard)
    folder_and_suffix(order.output)
    if engine is not None:
        find_ray()


def predict_blocks(
    order: "BlockOrder",
    predictor: "Predictor",
    answers: "Predictor | HelpedPredictor",
    named: str | None,
    engine: str | None,
    *,
    quiet: bool,
) -> None:
    """Predict the blocks of a shard that are not done, and say how many there are. Raises DataError when inputs could not be used."""
    from antiphon.prediction.blocks import OpenBlocks, Shard, folder_and_suffix
    from antiphon.prediction.ray_blocks import write_with_ray
    from antiphon.prediction.tally import refused_inputs

    def say(sentence: str) -> None:
        teller(quiet=quiet)(f"antiphon: {sentence}")

    folder, suffix = folder_and_suffix(order.output)
    order = replace(order, output=folder, suffix=suffix)
    opened = OpenBlocks(order, predictor, answers, say)
    share = share_of(named)
    own = Shard(opened, share)
    which = "" if share.is_all else f"shard {share}: "
    if own.done:
        say(f"{which}{len(own.done):,} of {len(own.blocks):,} blocks are done already.")
    try:
        written = own.write() if engine is None or not own.waiting else write_with_ray(order, own.waiting, order.workers)
        tally = _written(written, len(own.waiting), quiet=quiet)
    except KeyboardInterrupt as interruption:
        interruption.add_note("; finished blocks stay, and the same command does the others.")
        raise
    for sentence in (*predictor.remarks, *tally.sentences(predictor.limits)):
        say(sentence)
    there, total = opened.folder.count_done(), len(opened.blocks)
    say(f"{which}{len(own.blocks):,} of {len(own.blocks):,} blocks are done; {order.output} has {there:,} of {total:,}.")
    if there == total:
        opened.folder.place.tidy()
    if refused := tally.refused + sum(done.refused for done in own.done.values()):
        raise DataError(refused_inputs(refused))


def _written(written: Iterable["Written"], count: int, *, quiet: bool) -> "Tally":
    """Go through blocks as they are written, and tell of them."""
    from antiphon.cli.refusals import Refusals
    from antiphon.prediction.tally import Tally

    refusals = Refusals(lambda sentence: print(sentence, file=sys.stderr))
    show = counter("blocks", quiet=quiet)
    tally = Tally()
    for number, one in enumerate(written, 1):
        for refused in one.refused:
            refusals.add(*refused)
        tally.add_all(one.tally)
        if one.remark and not quiet:
            print(f"antiphon: block {one.block.number}: {one.remark}", file=sys.stderr)
        if show is not None:
            show(number, count)
    refusals.tell_others()
    return tally
