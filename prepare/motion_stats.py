"""Measure the mean and spread of a dataset's joints and write them beside it as Mean.npy and Std.npy.

`python -m prepare.motion_stats --dataset nba --datapath dataset/my_nba`
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_loaders.options import DataOptions
from data_loaders.registry import DATASETS, dataset_defaults, dataset_spec, load_dataset
from utils.run.errors import UsageError, run_command
from utils.run.files import atomic_write
from utils.run.options import option, parse

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

STEADY = 1e-6  # a joint that moves less than this (normalised units) is constant
EPOCHS_OF_VIEWS = 4  # a dataset that draws its views at random is looked at this often
CHUNK = 64
_FLAT = [row.name for row in DATASETS.values() if row.family.flat]  # 3D folders get their figures when they are made


@dataclass(frozen=True)
class StatsOptions:
    """Which dataset to measure."""

    dataset: str = option("nba", "which dataset of 2D keypoints", tuple(_FLAT))
    datapath: str = option("", "its folder, which the figures are written into (default: the dataset's)")
    data_split: str = option("train", "which part to measure", ("train", "test"))
    seed: int = option(0, "of the random views of mocap2d")
    overwrite: bool = option(False, "replace figures that are there")


def moments(batches: "Iterable[dict[str, Tensor]]") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Mean and standard deviation [J, 2] of `motion` [B, T, J, 2] where `mask` [B, T, J, 1] is 1, and how often [J].

    In the units of the batches. A joint that is never seen has mean 0 and deviation 0.
    """
    count, total, squares = 0.0, 0.0, 0.0
    for batch in batches:
        motion, seen = batch["motion"].double().numpy(), batch["mask"].double().numpy()
        count = count + seen.sum((0, 1))
        total = total + (motion * seen).sum((0, 1))
        squares = squares + (motion**2 * seen).sum((0, 1))
    import numpy as np

    at_least_one = np.maximum(count, 1)
    mean = total / at_least_one
    return mean, np.sqrt(np.maximum(squares / at_least_one - mean**2, 0)), np.asarray(count)[:, 0]


def main(argv: list[str]) -> None:
    """Write Mean.npy and Std.npy into the dataset folder and print them."""
    (stats,) = parse("prepare.motion_stats", __doc__ or "", [StatsOptions], argv, defaults_of=dataset_defaults)
    spec = dataset_spec(stats.dataset)
    folder = Path(stats.datapath)
    for name in ("Mean.npy", "Std.npy"):
        if (folder / name).exists() and not stats.overwrite:
            raise UsageError(f"{folder / name} exists already; add --overwrite to replace it")

    import numpy as np

    from data_loaders.common.order import epoch_order
    from data_loaders.points.keypoints import denormalise
    from utils.run.randomness import numpy_rng

    # Crops would only weigh the frames of a clip unevenly.
    varied = tuple(name for name in spec.defaults.get("data_augmentations", ()) if name != "length_aug")
    dataset = load_dataset(
        spec,
        DataOptions(dataset=spec.name, datapath=stats.datapath, data_split=stats.data_split, data_augmentations=varied),
    )
    epochs = 1 if dataset.weights is None else EPOCHS_OF_VIEWS

    def batches() -> "Iterable[dict[str, Tensor]]":
        for epoch in range(epochs):
            order = epoch_order(stats.seed, epoch, len(dataset), dataset.weights)
            for first in range(0, len(order), CHUNK):
                chosen = order[first : first + CHUNK]
                yield dataset.batch(chosen, lambda k, first=first, epoch=epoch: numpy_rng(stats.seed, epoch, first, k))

    mean, spread, seen = moments(batches())
    mean, std = denormalise(mean, dataset.mean, dataset.std), np.where(spread < STEADY, 1.0, spread * dataset.std)
    with atomic_write(folder / "Mean.npy") as first, atomic_write(folder / "Std.npy") as second:
        np.save(first, mean)
        np.save(second, std)
    print(f"{'joint':<16}{'mean x':>9}{'mean y':>9}{'std x':>9}{'std y':>9}{'points':>10}")
    for joint, name in enumerate(spec.skeleton.joints):
        cells = "".join(f"{value:>9.3f}" for value in (*mean[joint], *std[joint]))
        print(f"{name:<16}{cells}{seen[joint]:>10.0f}")
    print(f"{len(dataset)} {stats.data_split} motions -> {folder}/Mean.npy, {folder}/Std.npy")
    print("training takes these from now on; models keep the figures that they were trained with in their own folder")


if __name__ == "__main__":
    run_command(main)
