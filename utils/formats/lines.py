"""What the readers of line-based text formats share: a complaint with its line number, and strict numbers."""

import math
from collections.abc import Sequence


class Refused(Exception):
    """What is wrong in which line (counted from 1); a reader's `read` adds the path and raises DataError."""

    def __init__(self, line: int, reason: str):
        super().__init__(f"line {line}: {reason}")


def numbers(words: Sequence[str], count: int, line: int) -> list[float]:
    """Exactly `count` finite numbers. Raises Refused."""
    if len(words) != count:
        raise Refused(line, f"{count} numbers were expected and {len(words)} are there")
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise Refused(line, str(error)[:80]) from error
    if not all(map(math.isfinite, values)):
        raise Refused(line, "a number is infinite or not a number")
    return values
