"""The command line. Each command stands in its own file and loads what it needs when it is called, so that `--help` answers at once."""

import sys
import warnings

import typer
from rich.console import Console

from antiphon.cli import (
    check,
    distill,
    doctor,
    encode,
    evaluate,
    export,
    import_,
    inspect,
    listing,
    new,
    predict,
    report,
    schema,
    score,
    serve,
    sweep,
    train,
    tune,
)
from antiphon.cli.comparing import Comparing
from antiphon.cli.stopping import Commands, stoppable
from antiphon.cli.threads import bound_spinning
from antiphon.errors import AntiphonError

app = typer.Typer(
    name="antiphon",
    help="Turn one sequence into another: look at data, train, measure and use sequence-to-sequence models.",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("new")(new.new)
app.command("check")(check.check)
app.command("inspect")(inspect.inspect)
app.command("encode")(encode.encode)
app.command("train")(train.train)
app.command("distill")(distill.distill)
app.command("tune")(tune.tune)
app.command("sweep")(sweep.sweep)
app.command("evaluate", cls=Comparing)(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("score")(score.score)
app.command("serve")(serve.serve)
app.command("report")(report.report)
app.command("doctor")(doctor.doctor)
app.command("export")(export.export)
app.command("import")(import_.import_)
app.command("list")(listing.list_plugins)
app.command("schema")(schema.schema)


@app.callback(invoke_without_command=True)
def version(show: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if show:
        from antiphon import __version__

        print(f"antiphon {__version__}")
        raise typer.Exit


def _shown(message: Warning | str, *_: object) -> str:
    """A warning as a sentence, without the place in the code where it was noticed."""
    return f"antiphon: warning: {message}\n"


def main() -> None:
    """Run a command. Errors that a user can mend are one sentence on stderr, without a traceback; the exit status is then 1.

    After Ctrl-C it is 130, after SIGTERM 143.
    """
    bound_spinning()
    warnings.formatwarning = _shown  # type: ignore[assignment]
    try:
        with stoppable():
            app(prog_name="antiphon")
    except AntiphonError as error:
        Console(stderr=True).print(f"antiphon: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        sys.stderr.close()
        sys.exit(0)
