"""Entry: make a tiny dataset of procedural figures in the published layout, to try training and sampling with.

`python -m prepare.toy_motion --dataset nba --output_dir dataset/nba --num_motions 64 --seed 0`
"""

from dataclasses import dataclass

from data_loaders.registry import dataset_spec
from utils.run.errors import UsageError, run_command
from utils.run.files import atomic_folder, refuse_existing
from utils.run.options import option, parse

TOY_DATASETS = ("nba", "horse", "gymnastics")


@dataclass(frozen=True)
class ToyOptions:
    """What to make and where to put it."""

    dataset: str = option("nba", "whose skeleton, camera and file format", TOY_DATASETS)
    output_dir: str = option("", "the dataset folder to make (default: ./dataset/toy_<dataset>)")
    num_motions: int = option(64, "number of motions, of 2.5 to 9 seconds each")
    seed: int = option(0, "motion i depends on (seed, i) only")
    overwrite: bool = option(False, "replace the folder if it exists")


def main(argv: list[str]) -> None:
    """Write `<output_dir>/motions/toy_<i>.npy` and say what to run next."""
    (toy,) = parse("prepare.toy_motion", __doc__ or "", [ToyOptions], argv)
    if toy.num_motions < 1:
        raise UsageError(f"--num_motions must be at least 1, not {toy.num_motions}")
    spec = dataset_spec(toy.dataset)
    folder = toy.output_dir or f"dataset/toy_{toy.dataset}"
    refuse_existing(folder, toy.overwrite)

    import numpy as np

    from data_loaders.toy import toy_motion

    frames = 0
    with atomic_folder(folder, toy.overwrite) as made:
        (made / "motions").mkdir()
        for index in range(toy.num_motions):
            points, _, _ = toy_motion(spec, toy.seed, index)
            np.save(made / "motions" / f"toy_{index:05d}.npy", points)
            frames += len(points)
    seconds = frames / (spec.source_fps or spec.fps)
    print(
        f"{toy.num_motions} motions, {seconds:.0f} s in all, of {len(spec.skeleton.joints)} joints in {folder}/motions"
    )
    save = f"save/toy_{toy.dataset}"
    print("\nnext, train on them (a minute or two) and sample 3D motion from the model:")
    print(
        f"  python -m train.train_mdm --dataset {toy.dataset} --datapath {folder} --save_dir {save} --arch dit "
        "--latent_dim 64 --layers 4 --ff_size 256 --lr 3e-3 --lr_schedule cosine --num_steps 2000 --save_interval 2000 "
        "--train_batch_size 16 --data_augmentations length_aug"
    )
    print(f"  python -m sample.mas --model_path {save}/checkpoint_2000.pth --num_samples 3")


if __name__ == "__main__":
    run_command(main)
