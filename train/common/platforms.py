"""Where a training can be followed: TensorBoard, ClearML, W&B, or nowhere. Each is imported only when asked for."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from utils.run.errors import MissingFileError
from utils.run.parallel import is_first

MEDIA = "Predicted Motion"


class Platform(Protocol):
    """What the training loop tells a platform."""

    def report_scalar(self, name: str, value: float, step: int, group: str) -> None:
        """One point of the curve `group/name`."""
        ...

    def report_media(self, videos: Sequence[Path], step: int) -> None:
        """Show what the model makes after so many updates: mp4 files."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


class TensorboardPlatform:
    """Event files in the run's folder (`tensorboard --logdir save_dir`)."""

    def __init__(self, save_dir: Path, args: Mapping[str, Any]):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(log_dir=str(save_dir))
        self.writer.add_text("args", str(dict(args)))

    def report_scalar(self, name: str, value: float, step: int, group: str) -> None:
        self.writer.add_scalar(f"{group}/{name}", value, step)

    def report_media(self, videos: Sequence[Path], step: int) -> None:
        """Nothing: event files hold videos only in a form that takes another package to make."""

    def close(self) -> None:
        self.writer.close()


class ClearmlPlatform:
    """A ClearML task named after the run's folder, in the published project `motion_diffusion`."""

    def __init__(self, save_dir: Path, args: Mapping[str, Any]):
        from clearml import Task  # pyright: ignore[reportMissingImports]

        self.task = Task.init(project_name="motion_diffusion", task_name=save_dir.name)
        self.task.connect(dict(args), name="Args")

    def report_scalar(self, name: str, value: float, step: int, group: str) -> None:
        self.task.get_logger().report_scalar(title=group, series=name, iteration=step, value=value)

    def report_media(self, videos: Sequence[Path], step: int) -> None:
        for video in videos:
            self.task.get_logger().report_media(title=MEDIA, series=video.stem, iteration=step, local_path=str(video))

    def close(self) -> None:
        self.task.close()


class WandBPlatform:
    """A Weights & Biases run named after the run's folder."""

    def __init__(self, save_dir: Path, args: Mapping[str, Any]):
        import wandb  # pyright: ignore[reportMissingImports]

        self.video = wandb.Video
        self.run = wandb.init(project="motion_diffusion", name=save_dir.name, config=dict(args), dir=str(save_dir))

    def report_scalar(self, name: str, value: float, step: int, group: str) -> None:
        self.run.log({f"{group}/{name}": value}, step=step)

    def report_media(self, videos: Sequence[Path], step: int) -> None:
        self.run.log({MEDIA: [self.video(str(video), format="mp4") for video in videos]}, step=step)

    def close(self) -> None:
        self.run.finish()


_PLATFORMS: dict[str, tuple[Callable[[Path, Mapping[str, Any]], Platform], str]] = {
    "TensorboardPlatform": (TensorboardPlatform, "tensorboard"),
    "ClearmlPlatform": (ClearmlPlatform, "clearml"),
    "WandBPlatform": (WandBPlatform, "wandb"),
}


def check_platform(name: str) -> None:
    """Raise MissingFileError if the package of a platform is not installed."""
    package = _PLATFORMS[name][1] if name in _PLATFORMS else ""
    if package and importlib.util.find_spec(package) is None:
        raise MissingFileError(f"--train_platform_type {name} needs the package {package}: pip install {package}")


def open_platform(name: str, save_dir: str | Path, args: Mapping[str, Any]) -> Platform | None:
    """The platform of `--train_platform_type`, or None for `NoPlatform` and on all ranks but the first."""
    return _PLATFORMS[name][0](Path(save_dir), args) if name in _PLATFORMS and is_first() else None
