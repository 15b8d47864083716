"""The held-out part of a folder of our own: where it is too small, what makes a larger one."""

import contextlib
from collections.abc import Iterator

from data_loaders.registry import DatasetSpec
from utils.run.errors import DataError, MissingFileError

# What prepares a folder of a dataset, and the file by which it is told.
MAKERS = {"mocap": ("prepare.humanml", "train.txt"), "mocap2d": ("prepare.mocap", "index.json")}


@contextlib.contextmanager
def held_out_part(spec: DatasetSpec, datapath: str) -> Iterator[None]:
    """Read the test part inside: a DataError or MissingFileError of a folder that is there names `--test_share`."""
    try:
        yield
    except (DataError, MissingFileError) as error:
        maker, sign = MAKERS.get(spec.name, ("", ""))
        if not maker or not (spec.folder(datapath) / sign).is_file():
            raise
        advice = f"`python -m {maker} --test_share 0.5` holds out half of the clips"
        raise type(error)(f"{error}; {advice}") from error
