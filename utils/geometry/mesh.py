"""Triangle meshes: their normals, and the few joints that move a vertex."""

import numpy as np

INFLUENCES = 4  # joints that move a vertex in what plays meshes


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [..., V, 3] float32 of vertices [..., V, 3], each the mean of its faces' by area.

    A vertex without a face that has an area points up.
    """
    first, second, third = (vertices[..., faces[:, corner], :] for corner in range(3))
    across = np.cross(second - first, third - first)  # [..., F, 3], twice the area long
    summed = np.zeros(vertices.shape, np.float64)
    flat, parts = summed.reshape(-1, *vertices.shape[-2:]), across.reshape(-1, *across.shape[-2:])
    for frame, part in zip(flat, parts, strict=True):
        for axis in range(3):
            frame[:, axis] = sum(np.bincount(faces[:, corner], part[:, axis], len(frame)) for corner in range(3))
    length = np.linalg.norm(summed, axis=-1, keepdims=True)
    return np.where(length > 0, summed / np.where(length > 0, length, 1), (0.0, 1.0, 0.0)).astype(np.float32)


def influences(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four joints [V, 4] with the largest of weights [V, K] and their shares of 1, largest first."""
    count = min(INFLUENCES, weights.shape[1])
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    shares = np.take_along_axis(weights.astype(np.float64), joints, 1)
    missing = ((0, 0), (0, INFLUENCES - count))
    return np.pad(joints, missing), np.pad(shares / shares.sum(1, keepdims=True), missing)


def whole_shares(shares: np.ndarray, full: int) -> np.ndarray:
    """Shares [V, 4] of 1 in units that are `full` together: what rounding down leaves goes to the largest rests."""
    scaled = shares * full
    whole = np.floor(scaled).astype(np.int64)
    rank = np.argsort(np.argsort(whole - scaled, axis=1, kind="stable"), axis=1)
    return whole + (rank < full - whole.sum(1, keepdims=True))
