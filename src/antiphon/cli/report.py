"""antiphon report: a run as one HTML file."""

from antiphon.cli.options import Quiet, Run, TrustCode


def report(run: Run, quiet: Quiet = False, trust_code: TrustCode = False) -> None:
    """Write report.html into the run: recipe, data, curves, scores, examples and attention in one file. Of a sweep: its trials.

    Example: antiphon report runs/german
    """
    from antiphon.report.page import write_report
    from antiphon.report.sweep_page import write_sweep_report

    page = write_sweep_report(run) if (run / "sweep.json").is_file() else write_report(run, trust_code=trust_code)
    if not quiet:
        print(f"Wrote {page}")
