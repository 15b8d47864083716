"""The few ways in which a command ends badly, and the one place that turns them into a sentence."""

import atexit
import contextlib
import errno
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator

from utils.run.program import command_name
from utils.run.streams import secure_streams

# What code ends in that is given other content than it was written for.
_MISFITS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
_SHORT = re.compile(r"\d+ requested and \d+ written")  # numpy's words where a disk takes a part of an array only
# Words of torch, and of oneDNN, whose own tables did not fit.
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|could not create a (primitive|memory)")
_LOWER = {
    "sample": "--max_batch, --num_samples or --motion_length",
    "eval": "--max_batch or --eval_num_samples",
    "train": "--train_batch_size, or raise --accumulate, which takes the batch in parts",
    "visualize": "the number of motions (--samples), or cut them shorter",
}
LONGEST = 300  # characters of a sentence; files are quoted in it, and may hold anything


class PolykineError(Exception):
    """What is wrong, the value, and what is allowed or which command mends it: one sentence for the user.

    It is one printable line; of a long one the middle, where files are quoted, is left out. A `command` that mends it
    is put at its end, whole: it is to be copied.
    """

    exit_code = 1

    def __init__(self, said: object = "", command: str = ""):
        super().__init__(one_line(str(said)) + (f": {command}" if command else ""))


class UsageError(PolykineError):
    """A flag, or a combination of flags, that cannot be obeyed."""

    exit_code = 2


class MissingFileError(PolykineError):
    """A file, folder or optional part that is not there."""

    exit_code = 3


class DataError(PolykineError):
    """A file that is there but does not hold what it should."""

    exit_code = 4


class NumericError(PolykineError):
    """NaN or infinity where a number must be."""

    exit_code = 5


@contextlib.contextmanager
def reading(path: object, what: str) -> Iterator[None]:
    """A block that makes sense of a file's content: whatever does not fit becomes a DataError that names the file.

    For readers only: the same errors in a program's own work are its faults, and shall be seen as such.
    """
    try:
        yield
    except _MISFITS as error:
        raise DataError(f"{path} is not {what}: {str(error) or type(error).__name__}") from error


def one_line(text: str) -> str:
    """At most 300 printable characters of a text, its beginning and its end."""
    if len(text) > LONGEST:
        end = text[-LONGEST // 3 :]
        text = f"{text[: LONGEST - len(end) - 5]} ... {end}"
    return "".join(letter if letter.isprintable() else " " for letter in text)


def sentence(error: Exception) -> str:
    """What an error says, in one line; an error of the system with its file."""
    if isinstance(error, PolykineError):
        return str(error)
    if _lacks_memory(error):
        folder = command_name().partition(".")[0]
        return f"out of memory; lower {_LOWER.get(folder, 'the number or the length of the motions')}, and run it again"
    if isinstance(error, OSError) and _SHORT.fullmatch(str(error)):
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if not isinstance(error, OSError) or not error.strerror:
        return one_line(" ".join(str(error).split()))
    where = f"{error.filename}: " if error.filename else ""
    advice = "; what was being written is removed, make room and run it again" if error.errno == errno.ENOSPC else ""
    return one_line(f"{where}{error.strerror}{advice}")


def is_for_users(error: Exception) -> bool:
    """Whether an error is one to be told in a sentence: not a fault of the program."""
    return isinstance(error, PolykineError | OSError) or _lacks_memory(error)


def _lacks_memory(error: Exception) -> bool:
    """Whether an error says that memory is used up: Python's and numpy's own type, torch's words."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))


def _refuse_bytes(argv: list[str]) -> None:
    """Raise UsageError for a word that is no UTF-8: no tokenizer, film or JSON file could hold it."""
    for word in argv:
        if not is_text(word):
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")
            raise UsageError(f"{shown[:120]} is no UTF-8 text: rename the file, or set the terminal to UTF-8")


def is_text(word: str) -> bool:
    """Whether a text can be written as UTF-8: one from undecodable bytes cannot."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


OBJECTS_BETWEEN_COLLECTIONS = 10_000


def run_command(main: Callable[[list[str]], None], whoever_reads: bool = True) -> None:
    """Run an entry module's `main(argv)` and leave the process with the exit code of what happened.

    A `PolykineError` becomes one line on stderr; `--debug` anywhere on the line shows the traceback instead.
    A full disk, a missing permission and too little memory are reported the same way (exit code 4). `whoever_reads` is
    that of `secure_streams`: False for commands whose result is what they print.
    """
    secure_streams(whoever_reads)
    # Threads that wait by spinning make a command twenty times slower where other work shares the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Importing torch makes half a million objects that stay: to look through them again and again takes a tenth of a
    # cold start, to look through them at the end another.
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)
    argv = sys.argv[1:]
    try:
        _refuse_bytes(argv)
        main(argv)
    except KeyboardInterrupt:
        sys.exit(130)
    except (PolykineError, OSError, MemoryError, RuntimeError) as error:
        if "--debug" in argv or not is_for_users(error):
            raise
        print(f"error: {sentence(error)}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", DataError.exit_code))
