"""Puts what the tests tried, and how often, into the tables of RELIABILITY.md.

`python -m tests.reliability.counts FILE`, where FILE holds the records that the fixture `tally` wrote.
"""

import datetime
import json
import platform
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "RELIABILITY.md"
BEGIN, END = "<!-- counts: make test-reliability writes from here -->\n", "<!-- to here -->\n"
KINDS = {
    "faults": "Faults of file operations, one at a time",
    "kills": "Processes killed, or told to stop, at a random instant",
    "full disk": "Runs on a disk that was full, or files that could not grow",
    "clock": "Runs under a clock that jumps, among files from the past and the future",
    "mutations": "Files changed at random",
    "page": "Hostile texts in a page that a browser opened",
}


def tables(records: list[dict[str, Any]]) -> str:
    """The tables of all kinds: what was tried, how often, and what was counted beside; the latest of equal records."""
    rows: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for record in records:
        before = rows[record["kind"]].get(record["what"])
        if before is None or record["tried"] >= before["tried"]:
            rows[record["kind"]][record["what"]] = record
    parts = [f"Measured {datetime.date.today()} on Python {platform.python_version()}, {platform.system()}.\n"]
    for kind, title in KINDS.items():
        if not rows[kind]:
            continue
        total = sum(row["tried"] for row in rows[kind].values())
        lines = [f"| {what} | {row['tried']:,} | {beside(row)} |" for what, row in sorted(rows[kind].items())]
        parts.append(
            f"**{title}**: {total:,}\n\n| what | how often | of these |\n|---|---|---|\n" + "\n".join(lines) + "\n"
        )
    return "\n".join(parts)


def beside(row: dict[str, Any]) -> str:
    """What else a record counts."""
    more = {name: value for name, value in row.items() if name not in ("kind", "what", "tried", "test")}
    return ", ".join(f"{value:,} {name}" for name, value in more.items())


def main(path: str) -> None:
    """Write the page."""
    records = [json.loads(line) for line in Path(path).read_text().splitlines()]
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + tables(records) + "\n" + rest[rest.index(END) :])
    print(re.sub(r"\n\n+", "\n", tables(records)))


if __name__ == "__main__":
    main(sys.argv[1])
