"""antiphon report: a run as one HTML file."""

from antiphon.cli.options import Run, TrustCode


def report(run: Run, trust_code: TrustCode = False) -> None:
    """Write report.html into the run: recipe, data, curves, scores, examples and attention in one file.

    Example: antiphon report runs/german
    """
    from antiphon.report.page import write_report

    print(f"Wrote {write_report(run, trust_code=trust_code)}")
