"""The records of evaluations as one page that people look at: table, intervals as a plot, samples, settings.

`python -m eval.report RECORD.json [RECORD2.json ...] --output page.html` (or page.md, with its pictures in page_files).
A record is what eval.evaluate, eval.eval_humanml and eval.eval_humanact12_uestc leave beside their tables. Several
records become one section each, if one evaluator made them all.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from utils.run.errors import UsageError, run_command
from utils.run.options import option, parse


@dataclass(frozen=True)
class ReportOptions:
    """Which records, and where the page goes."""

    records: tuple[str, ...] = option((), "JSON records of evaluations (the first words do too)", many=True)
    output: str = option("", "page to write, .html or .md (default: beside the first record, .html)")
    overwrite: bool = option(False, "replace a page that exists")


def main(argv: list[str]) -> None:
    """Run the command."""
    (requested,) = parse("eval.report", __doc__ or "", (ReportOptions,), argv, first_word="records")
    if not requested.records:
        raise UsageError("eval.report needs one or several records of evaluations: python -m eval.report RECORD.json")
    page = Path(requested.output) if requested.output else Path(requested.records[0]).with_suffix(".html")

    from eval.reporting import content as report_content
    from eval.reporting import page as report_page

    report_page.check_output(page, requested.overwrite)
    sections = report_content.load(requested.records)
    for note in (note for section in sections for note in section.notes):
        print(f"note: {note}", file=sys.stderr)
    print("\n".join(map(str, report_page.write(page, sections, requested.overwrite))))


if __name__ == "__main__":
    run_command(main)
