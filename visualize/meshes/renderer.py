"""What renderers of meshes share: they get triangles that are projected and lit, and fill the box that these cover."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ProjectedMesh:
    """A mesh in the axes of a picture.

    Its vertices lie at `pixels` [V, 2] (x to the right, y downwards, whole numbers at the middles of pixels) with
    `nearness` [V], one over the depth, and `colours` [V, 3] from 0 to 255; `faces` [F, 3] run counter-clockwise seen
    from outside, and those seen from behind are left out.
    """

    pixels: np.ndarray
    nearness: np.ndarray
    colours: np.ndarray
    faces: np.ndarray


class Renderer(ABC):
    """Draws meshes into pictures. `name` is that of the way."""

    name: str

    def paint(
        self, image: np.ndarray, pixels: np.ndarray, nearness: np.ndarray, colours: np.ndarray, faces: np.ndarray
    ) -> None:
        """Draw one mesh (see `ProjectedMesh`) into `image` [H, W, 3], RGB uint8, in place."""
        box = covered_box(pixels, image.shape)
        if box is not None:
            rows, columns = box
            mesh = ProjectedMesh(pixels, nearness, colours, faces)
            self.fill(image[rows, columns], (columns.start, rows.start), mesh)

    @abstractmethod
    def fill(self, box: np.ndarray, corner: tuple[int, int], mesh: ProjectedMesh) -> None:
        """Draw a mesh into the part of a picture [H, W, 3] that it covers, which begins at `corner` (x, y)."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held."""


def covered_box(pixels: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Rows and columns of a picture that a mesh with corners `pixels` [V, 2] can touch; None where there are none."""
    low = np.maximum(np.floor(pixels.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(pixels.max(0)).astype(int) + 1, (shape[1], shape[0]))
    return None if (low >= high).any() else (slice(low[1], high[1]), slice(low[0], high[0]))
