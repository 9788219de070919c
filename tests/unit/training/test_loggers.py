"""The lines of the terminal, the last event of a log, and functions of the caller."""

import io
import itertools
import json

from rich.cells import cell_len
from rich.console import Console

from antiphon.training.loggers import CallbackLogger, ConsoleLogger, JsonLinesLogger, Pace, last_event, warn

VALIDATION = {"kind": "validation", "step": 7, "scores": {"mase": 0.37081, "bleu": 33.4142, "loss": 12345.6}, "best": True}
SAMPLE = {"kind": "sample", "step": 7, "source": "1.25 " * 96, "reference": "two\nlines", "prediction": "日本" * 100}


def printed(events, *, width=60, terminal=True, quiet=False):
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, quiet=quiet, color_system=None)
    logger = ConsoleLogger(console)
    if logger.status:
        logger.status.stop()
        logger.status = None
        out.seek(0)
        out.truncate()
    for event in events:
        logger.log(event)
    logger.close()
    return out.getvalue().splitlines()


def test_scores_have_four_digits_that_matter():
    assert printed([VALIDATION])[0].split("validation: ")[1] == "mase 0.3708  bleu 33.41  loss 12346   <- best"


def test_samples_are_no_longer_than_a_line():
    lines = printed([SAMPLE])
    assert len(lines) == 3
    assert all(cell_len(line) <= 60 for line in lines)
    assert lines[0].startswith("    source      1.25 1.25")
    assert lines[0].endswith("…")
    assert lines[1] == "    reference   two lines"
    assert lines[2].endswith("…")
    assert all(cell_len(line) <= 160 for line in printed([SAMPLE], terminal=False))


def test_a_remark_among_samples_is_a_line():
    remark = {"kind": "sample", "step": 7, "source": "", "reference": "", "prediction": "(9 of 10 outputs are the same text.)"}
    assert printed([remark]) == ["    (9 of 10 outputs are the same text.)"]


def test_a_quiet_console_still_warns():
    skipped = {"kind": "skipped", "step": 3, "loss": "nan", "gradient_norm": 1.0, "records": [1]}
    assert [line.strip() for line in printed([VALIDATION, skipped, SAMPLE], quiet=True)] == [
        "step      3  skipped: loss nan, gradient 1.0; records 1"
    ]
    out = io.StringIO()
    console = Console(file=out, quiet=True)
    console.print("unheard")
    warn(console, "heard")
    console.print("unheard")
    assert out.getvalue() == "heard\n"


def test_the_last_event_of_a_log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert last_event(path) is None
    path.write_text("")
    assert last_event(path) is None
    path.write_text('{"kind": "train"}\n{"kind": "end"}\n')
    assert last_event(path) == {"kind": "end"}
    path.write_text('{"kind": "train"}\n{"kind": "e')
    assert last_event(path) is None, "cut short by a kill"


def test_a_validation_that_will_happen_again_leaves_the_log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    events = [{"kind": kind, "step": step} for step in (2, 4) for kind in ("train", "validation", "sample")]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    JsonLinesLogger(path, keep_until=4, validation_due=True).close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == events[:4]
    JsonLinesLogger(path, keep_until=4).close()
    assert len(path.read_text().splitlines()) == 4


def test_a_callback_hears_every_event():
    heard = []
    CallbackLogger(heard.append).log(VALIDATION)
    assert heard == [VALIDATION]


def test_lines_are_as_dense_as_a_person_reads() -> None:
    pace = Pace()
    due = [second for second in range(8 * 3600) if pace.is_due(float(second))]
    assert due[:4] == [0, 3, 6, 9], "every few seconds at first"
    later = [after - before for before, after in itertools.pairwise(due) if before > 3600]
    assert set(later) == {300}, "every five minutes of a night"
    assert len(due) < 150
