"""Make a tiny dataset of procedural figures in the published layout, to try training and sampling with.

`python -m prepare.toy_motion --dataset nba --output_dir dataset/nba --num_motions 64 --seed 0`
"""

from dataclasses import dataclass

from data_loaders.registry import DatasetSpec, dataset_spec
from utils.run.errors import UsageError, run_command
from utils.run.folders import atomic_folder, refuse_existing
from utils.run.options import option, parse

TOY_DATASETS = ("nba", "horse", "gymnastics", "humanml", "mocap")


@dataclass(frozen=True)
class ToyOptions:
    """What to make and where to put it."""

    dataset: str = option("nba", "whose skeleton, camera and file format", TOY_DATASETS)
    output_dir: str = option("", "the dataset folder to make (default: ./dataset/toy_<dataset>)")
    num_motions: int = option(64, "number of motions, of 2.5 to 9 seconds each")
    seed: int = option(0, "motion i depends on (seed, i) only")
    overwrite: bool = option(False, "replace what an earlier run wrote there; everything else stays")


def write_points(folder: str, spec: DatasetSpec, toy: ToyOptions) -> list[str]:
    """Write `motions/toy_<i>.npy`, 2D keypoints; what to say of them and to run next."""
    import numpy as np

    from data_loaders.points.toy import toy_motion

    frames = 0
    with atomic_folder(folder, toy.overwrite) as made:
        (made / "motions").mkdir()
        for index in range(toy.num_motions):
            points, _, _ = toy_motion(spec, toy.seed, index)
            np.save(made / "motions" / f"toy_{index:05d}.npy", points)
            frames += len(points)
    seconds = frames / (spec.source_fps or spec.fps)
    joints, save = len(spec.skeleton.joints), f"save/toy_{spec.name}"
    return [
        f"{toy.num_motions} motions, {seconds:.0f} s in all, of {joints} joints in {folder}/motions",
        "\nnext, train on them (a minute or two) and sample 3D motion from the model:",
        f"  python -m train.train_mdm --dataset {spec.name} --datapath {folder} --save_dir {save} --arch dit "
        "--latent_dim 64 --layers 4 --ff_size 256 --lr 3e-3 --lr_schedule cosine --num_steps 2000 --save_interval 2000 "
        "--train_batch_size 16 --data_augmentations length_aug",
        f"  python -m sample.mas --model_path {save}/checkpoint_2000.pth --num_samples 3",
    ]


def write_bodies(folder: str, spec: DatasetSpec, toy: ToyOptions) -> list[str]:
    """Write 3D motion with sentences in the layout of HumanML3D; what to say of it and to run next."""
    from data_loaders.points.toy import body_motion
    from prepare.text import folder as text_folder

    clips = []
    for index in range(toy.num_motions):
        positions, label = body_motion(spec.fps, toy.seed, index)
        part = ("val", "test", *["train"] * 6)[index % 8] if toy.num_motions > 8 else "train"
        record = {"name": f"{index:05d}", "source": "toy", "split": part, "licence": "CC0 1.0"}
        record |= {"actions": [label.split("-")[0]], "content": label, "style": ""}
        clips.append(text_folder.Clip(positions, record))
    made = text_folder.write(folder, clips, spec.fps, mirror=True, overwrite=toy.overwrite)
    save = f"save/toy_{spec.name}"
    return [
        f"{sum(made.parts.values())} motions (half of them mirror images), {made.frames / spec.fps:.0f} s in all, with "
        f"{made.captions} different sentences in {folder}",
        "\nnext, train on them (a few minutes) and sample motion from the model:",
        f"  python -m train.train_mdm --dataset {spec.name} --datapath {folder} --save_dir {save} --latent_dim 64 "
        "--layers 2 --ff_size 128 --diffusion_steps 50 --lr 1e-3 --num_steps 1000 --save_interval 1000 "
        "--train_batch_size 16",
        f'  python -m sample.generate --model_path {save}/checkpoint_1000.pth --text_prompt "a person waves"',
    ]


def main(argv: list[str]) -> None:
    """Write the folder and say what to run next."""
    (toy,) = parse("prepare.toy_motion", __doc__ or "", [ToyOptions], argv)
    if toy.num_motions < 1:
        raise UsageError(f"--num_motions must be at least 1, not {toy.num_motions}")
    spec = dataset_spec(toy.dataset)
    folder = toy.output_dir or f"dataset/toy_{toy.dataset}"
    refuse_existing(folder, toy.overwrite, sure=("motions/toy_00000.npy" if spec.family.flat else "index.json",))
    print("\n".join((write_points if spec.family.flat else write_bodies)(folder, spec, toy)))


if __name__ == "__main__":
    run_command(main)
