"""What an evaluator knows: real clips encoded and made again, clips of random latents, and the videos of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from data_loaders.common.order import epoch_order
from data_loaders.options import DataOptions
from data_loaders.points.keypoints import denormalise
from data_loaders.points.upright import UprightDataset
from data_loaders.registry import DatasetSpec, load_dataset
from eval.mas.evaluators import Evaluator
from sample.common.pictures import check_frames, frames_shown, write_video
from utils.run.errors import DataError, NumericError
from utils.run.folders import atomic_folder
from utils.run.randomness import numpy_rng, torch_generator


@dataclass(frozen=True)
class Clips:
    """Motions [N, T, J, C] in data units, their lengths [N], and of real ones what was seen [N, T, J, 1]."""

    points: Tensor
    lengths: Tensor
    mask: Tensor | None = None


def real_clips(
    evaluator: Evaluator, data: DataOptions, count: int, longest: int | None, compat: str, seed: int
) -> Clips:
    """The first `count` motions of the dataset's order by `seed`, of at most `longest` frames.

    Raises DataError where there are fewer.
    """
    dataset = load_dataset(evaluator.spec, data, compat, seed)
    if evaluator.truth == "3d":
        dataset = UprightDataset(dataset, evaluator.mean.numpy(), evaluator.std.numpy())
    if len(dataset) < count:
        raise DataError(f"the {data.data_split} part holds {len(dataset)} motions; --num_samples {count}")
    chosen = epoch_order(seed, 0, len(dataset), dataset.weights)[:count].tolist()
    batch = dataset.batch(chosen, lambda position: numpy_rng(seed, "data", 0, position))
    lengths = batch["lengths"].clamp(max=longest or batch["motion"].shape[1])
    frames = slice(int(lengths.max()))
    return Clips(denormalise(batch["motion"], dataset.mean, dataset.std)[:, frames], lengths, batch["mask"][:, frames])


def reconstructed(evaluator: Evaluator, real: Clips) -> Clips:
    """What the decoder makes of the embeddings of clips."""
    latents = torch.from_numpy(evaluator.encode(real.points, real.lengths))
    return Clips(evaluator.decode(latents, real.lengths), real.lengths)


def generated(evaluator: Evaluator, count: int, frames: int, seed: int) -> Clips:
    """What the decoder makes of standard normal latents; sample i's depends on (seed, i) alone."""
    width = evaluator.options.e_latent_dim
    latents = [torch.randn(width, generator=torch_generator(seed, "latent", i)) for i in range(count)]
    lengths = torch.full((count,), frames)
    return Clips(evaluator.decode(torch.stack(latents), lengths), lengths)


def write(folder: Path, spec: DatasetSpec, clips: Mapping[str, Clips], overwrite: bool) -> None:
    """Write <name>_<i>.mp4 of each clip, unseen joints marked, into a folder that appears whole or not at all.

    Raises NumericError for motion that is not finite.
    """
    for name, each in clips.items():
        if not torch.isfinite(each.points).all():
            raise NumericError(f"the motions {name} hold NaN or infinity: nothing was written")
    with atomic_folder(folder, overwrite) as made:
        for name, each in clips.items():
            is_3d = each.points.shape[-1] == 3
            for i, length in enumerate(each.lengths.tolist()):
                seen = None if each.mask is None or is_3d else each.mask[i, :length, :, 0].numpy()
                path, clip = made / f"{name}_{i}.mp4", each.points[i, :length].numpy()
                write_video(path, clip, spec, "", seen)
                check_frames(path, frames_shown(clip))
