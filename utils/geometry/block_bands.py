"""Least squares over time whose frames are coupled with the next only: block tridiagonal systems."""

import torch
from torch import Tensor


def eliminated(blocks: Tensor, neighbours: Tensor, right: Tensor, damping: float) -> Tensor:
    """The block tridiagonal matrix, damped, against right sides [T, N, C]: values [T, N, C]."""
    size = blocks.shape[-1]
    damped = blocks.diagonal(dim1=-2, dim2=-1) * (1 + damping) + 1e-6
    factors, solved = [], []  # L of each block, and L^-1 of what stands to the right of it
    for frame, block in enumerate(blocks):
        row = torch.cat([block, right[frame]], -1)
        row.diagonal().copy_(damped[frame])
        if frame:
            row.addmm_(solved[-1][:, :size].T, solved[-1], alpha=-1)
        factors.append(torch.linalg.cholesky(row[:, :size]))
        if frame < len(neighbours):
            row[:, :size] = neighbours[frame]
        else:
            row[:, :size] = 0
        solved.append(torch.linalg.solve_triangular(factors[-1], row, upper=False))
    values = torch.empty_like(right)
    for frame in range(len(blocks) - 1, -1, -1):
        value = solved[frame][:, size:]
        if frame + 1 < len(blocks):
            value = torch.addmm(value, solved[frame][:, :size], values[frame + 1], alpha=-1)
        values[frame] = torch.linalg.solve_triangular(factors[frame].T, value, upper=True)
    return values
