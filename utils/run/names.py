"""Names that come from files and from users (clips, prompts, actions, subjects) as names of files, on any system."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from utils.run.errors import DataError

LONGEST = 120  # bytes of UTF-8: file systems take 255 (some 143), and endings and names in the making are added
_UNFIT = re.compile(r'[/\\:*?"<>|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³]|conin\$|conout\$)(\..*)?", re.IGNORECASE)
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control and format characters, what is no Unicode, separators of lines
_JOINER = "\u200d"  # holds emoji together


def file_name(name: str, limit: int = LONGEST) -> str:
    """A name as that of a file, without its ending, of at most `limit` bytes: one that every system takes.

    Separators, control characters and what Windows refuses become `_`, so do dots and hyphens in front; a name that is
    cut ends in a digest of the whole.
    """
    plain = "".join(
        "_" if letter != _JOINER and unicodedata.category(letter) in _UNSEEN else letter
        for letter in unicodedata.normalize("NFC", name)
    )
    plain = _UNFIT.sub("_", plain).strip().rstrip(". ")
    plain = re.sub(r"^[.-]+", "_", plain) or "unnamed"
    plain = f"_{plain}" if _RESERVED.fullmatch(plain) else plain
    if len(plain.encode()) > limit:
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
        begin = plain.encode()[: limit - len(digest) - 1].decode(errors="ignore")
        plain = f"{begin.rstrip('. ')}-{digest}"
    return plain


def file_names(names: Sequence[str], limit: int = LONGEST) -> list[str]:
    """Names as those of files in one folder: distinct, also where case does not count; a later one gets a number."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain = chosen = file_name(name, limit)
        number = 1
        while chosen.casefold() in taken:
            number += 1
            chosen = f"{plain}__{number}"
        taken.add(chosen.casefold())
        found.append(chosen)
    return found


def is_file_name(name: str) -> bool:
    """Whether a name, with an ending of some letters, is that of a file in whatever folder."""
    plain = name not in ("", ".", "..") and not any(letter in name for letter in "/\\\0")
    return plain and len(name.encode(errors="surrogatepass")) <= 240


def inside(folder: str | Path, name: str) -> Path:
    """The path of a file of that name in a folder. Raises DataError if it would lie anywhere else."""
    path = Path(folder, name)
    if not is_file_name(name) or path.parent != Path(folder):
        raise DataError(f"{name!r} is not the name of a file in {folder}")
    return path
