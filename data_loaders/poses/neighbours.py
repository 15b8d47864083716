"""The exact nearest neighbours of poses [N, 21, 4] among many, by geodesic distance.

The nearest reference is that of the largest score s = sum_j w_j |q_j . r_j|. Without the bars a score is one product of
vectors of 84 numbers, and those of many pairs one product of matrices. To have the signs right without the bars, both
are turned to the half space of a mean quaternion c_j of each joint. Where q_j and r_j are both within 45 degrees of
c_j, q_j . r_j cannot be negative. References that have a joint or a few beyond are entered with either sign of these
joints: the largest product counts. Queries with such joints have 2 max(0, -q_j . r_j) added for these.

The product is taken in bfloat16 where the processor can, of poses less their mean and less the score of an equal pose,
so that its error has a small bound (2^-8 of each product, 2^-9 of the sum). The pairs that may still be among the
nearest are scored one by one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from data_loaders.poses.distances import JOINTS, WEIGHTS, distance_of
from utils.geometry.rotations import quaternion_normalise

_QUERIES = 256  # looked up at a time: little enough that memory is not given back to the system in between
_OPENED = 64  # the same of queries with joints of open sign
_GROUP = 8  # entries of which the best stands for all; the variants of a reference are in one group
_GROUPS = 128  # multiplied at a time, which gives a result that the cache holds
_BEYOND = 0.5**0.5  # cosine to the mean quaternion below which the sign of a product is open
_OPEN = 3  # joints of a reference that may be so, 2^3 entries; with more it is compared with every query
_FURTHER = 3  # neighbours beyond k that are kept until they are compared in double precision
_PAIRS = 1 << 11  # groups scored at a time
_SUMS = torch.eye(JOINTS).repeat_interleave(4, 0)  # of the four products of a joint: quicker than a sum over four
_ERROR = {torch.bfloat16: (2.0**-8, 2.0**-9), torch.float32: (2.0**-20, 2.0**-20)}  # of a product, of the sum


@dataclass(frozen=True)
class Index:
    """References [M, 21, 4] made ready; weights [21] and mean quaternions [21, 4] of the joints.

    Entries are references with signs, in groups of 8: `members` [G, 8] says which (-1: one that the group has already).
    `tables` hold them less their mean, a column each, of up to 128 groups the first entries before the second;
    `signed` [21, 4, 8 G] are their quaternions in the same order. `odd` [O] are in no table. `shift` [84] is taken from
    queries, `sizes` [G] are the greatest lengths of the columns of each group.
    """

    references: Tensor
    weights: Tensor
    means: Tensor
    members: Tensor
    tables: list[Tensor]
    signed: Tensor
    odd: Tensor
    shift: Tensor
    sizes: Tensor


def build_index(references: Tensor, metric: str = "geodesic") -> Index:
    """Make references [M, 21, 4], M > 0, ready to be searched by the `geodesic` or the `weighted` distance."""
    references = quaternion_normalise(references.float())
    weights = torch.tensor(WEIGHTS) if metric == "weighted" else torch.ones(JOINTS)
    means = torch.linalg.eigh(torch.einsum("njk,njl->jkl", references, references))[1][..., -1]
    toward = (references * means).sum(-1)
    aligned = torch.where(toward[..., None] < 0, -references, references)
    members, entries = _entries(aligned, toward.abs() < _BEYOND)
    mean = aligned.flatten(1).mean(0)
    shift = (mean.view(JOINTS, 4) * weights[:, None]).flatten()
    tables, signed, sizes = [], [torch.zeros(0, JOINTS, 4)], [torch.zeros(0)]
    for part in entries.split(_GROUPS):
        columns = part.transpose(0, 1).reshape(-1, JOINTS, 4)
        rest = columns.flatten(1) - mean
        tables.append(_table(rest, rest @ shift))
        signed.append(columns)
        sizes.append(rest.norm(dim=1).view(_GROUP, -1).amax(0))
    odd = ((toward.abs() < _BEYOND).sum(1) > _OPEN).nonzero()[:, 0]
    columns = torch.cat(signed).permute(1, 2, 0).contiguous()
    return Index(references, weights, means, members, tables, columns, odd, shift, torch.cat(sizes))


def _entries(aligned: Tensor, open_signs: Tensor) -> tuple[Tensor, Tensor]:
    """Members [G, 8] and quaternions [G, 8, 21, 4] of all references with at most `_OPEN` joints of open sign."""
    members, entries = [], []
    counts = open_signs.sum(1)
    for count in range(_OPEN + 1):
        rows = (counts == count).nonzero()[:, 0]
        if not len(rows):
            continue
        joints = open_signs[rows].nonzero()[:, 1].view(len(rows), count)
        patterns = 1.0 - 2 * (torch.arange(2**count)[:, None] >> torch.arange(count) & 1)  # [2^count, count]
        signs = torch.ones(len(rows), len(patterns), JOINTS)
        signs.scatter_(2, joints[:, None].expand(-1, len(patterns), -1), patterns.expand(len(rows), -1, -1))
        made = (aligned[rows, None] * signs[..., None]).flatten(0, 1)
        whose = torch.full((len(rows), len(patterns)), -1)
        whose[:, 0] = rows
        spare = -len(made) % _GROUP
        entries.append(torch.cat([made, made[-1:].expand(spare, -1, -1)]))
        members.append(torch.cat([whose.flatten(), torch.full((spare,), -1)]))
    if not members:
        return torch.empty(0, _GROUP, dtype=torch.long), torch.empty(0, _GROUP, JOINTS, 4)
    return torch.cat(members).view(-1, _GROUP), torch.cat(entries).view(-1, _GROUP, JOINTS, 4)


def _table(columns: Tensor, own: Tensor) -> Tensor:
    """Columns [88, n] of products: vectors [n, 84], what each adds of its own [n], and ones for what a query adds."""
    dtype = torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32
    return torch.cat([columns.to(dtype), *_parts(own, dtype), torch.ones(len(own), 2, dtype=dtype)], 1).T.contiguous()


def _parts(values: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Two numbers [n, 1] of a type whose sum is nearer to the values [n] than one is."""
    high = values.to(dtype)
    return high[:, None], (values - high.float()).to(dtype)[:, None]


def nearest_of(queries: Tensor, references: Tensor, k: int, metric: str = "geodesic") -> tuple[Tensor, Tensor]:
    """Distances [N, k] and numbers [N, k] of the k nearest references of each query, the nearest first.

    `metric` is one of `distances.METRICS`. Where there are fewer than k references, the last of them is repeated.
    """
    if metric == "euclidean":
        numbers = _nearest_euclidean(queries, references, k)
    else:
        numbers = nearest(queries, build_index(references, metric), k)
    return distances_of(queries, references[numbers], metric), numbers


def distances_of(queries: Tensor, found: Tensor, metric: str = "geodesic") -> Tensor:
    """Distances [N, k] in float32, worked out in float64, of queries [N, 21, 4] from poses found [N, k, 21, 4]."""
    unit = torch.nn.functional.normalize
    apart = distance_of(metric)(unit(queries.double(), dim=-1)[:, None], unit(found.double(), dim=-1))
    return apart.clamp(min=0).float()


def nearest(queries: Tensor, index: Index, k: int) -> Tensor:
    """The numbers [N, k] of the k nearest references of each query [N, 21, 4], the nearest first."""
    queries = quaternion_normalise(queries.float())
    opened = ((queries * index.means).sum(-1).abs() < _BEYOND).any(1)
    found = torch.empty(len(queries), k, dtype=torch.long)
    for rows in (*(~opened).nonzero()[:, 0].split(_QUERIES), *opened.nonzero()[:, 0].split(_OPENED)):
        if len(rows):
            found[rows] = _nearest(queries[rows], index, k)
    return found


def _nearest(queries: Tensor, index: Index, k: int) -> Tensor:
    """The same for some unit queries."""
    best = torch.full((len(queries), k + _FURTHER), -torch.inf)
    numbers = torch.zeros(best.shape, dtype=torch.long)
    if len(index.odd):
        every = _scores(queries, index.references[index.odd], index.weights)
        values, chosen = every.topk(min(best.shape[1], len(index.odd)), 1)
        best[:, : values.shape[1]], numbers[:, : values.shape[1]] = values, index.odd[chosen]
    if len(index.members):
        bounds, error_of = _bounds(queries, index)
        certain = torch.full((len(queries), 1), -torch.inf)
        if k <= bounds.shape[1]:
            most, group = bounds.topk(k, 1)
            certain = (most - 2 * error_of(most, group)).amin(1, keepdim=True)
        row, group = (bounds >= certain).nonzero().unbind(1)
        for some, which in zip(row.split(_PAIRS), group.split(_PAIRS), strict=True):
            _score_groups(queries, index, some, which, best, numbers)
    return _sorted_in_double(queries, best, numbers, index, k)


def _scores(queries: Tensor, references: Tensor, weights: Tensor) -> Tensor:
    """sum_j w_j |q_j . r_j| [N, M] of all pairs."""
    products = torch.bmm((queries * weights[:, None]).transpose(0, 1), references.permute(1, 2, 0))
    return products.abs_().sum(0)


def _bounds(queries: Tensor, index: Index) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """What the best score of each query in each group is at most [N, G], less the score of an equal pose.

    Also a function of some of these bounds [N, k] and their groups: what each is too high by, at most twice.
    """
    toward = (queries * index.means).sum(-1)
    opened = toward.abs() < _BEYOND
    signed = torch.where(toward[..., None] < 0, -queries, queries)
    along = (signed * index.weights[:, None]).flatten(1)
    rest, equal = along - index.shift, signed.flatten(1) @ index.shift - index.weights.sum()
    dtype = index.tables[0].dtype
    of_product, of_sum = _ERROR[dtype]
    size, added = 1.01 * of_product * rest.norm(dim=1), of_sum * 2 * (opened.float() @ index.weights)
    left = torch.cat([rest.to(dtype), torch.ones(len(rest), 2, dtype=dtype), *_parts(equal, dtype)], 1)
    missed = _missed(along.view_as(signed), opened, index).add_(added[:, None]) if opened.any() else None
    bounds = torch.empty(len(queries), len(index.members))
    start = 0
    for part, table, sizes in zip(bounds.split(_GROUPS, 1), index.tables, index.sizes.split(_GROUPS), strict=True):
        product = left @ table
        if missed is not None:
            product = product + missed[:, start : start + table.shape[1]]
        best = product.view(len(product), _GROUP, -1).amax(1).float()
        torch.addr(best, size, sizes, beta=1 - of_sum, out=part)  # no score is above 0 but by rounding
        start += table.shape[1]

    def error_of(found: Tensor, groups: Tensor) -> Tensor:
        return size[:, None] * index.sizes[groups] + of_sum * found.abs() + added[:, None]

    return bounds, error_of


def _missed(along: Tensor, opened: Tensor, index: Index) -> Tensor:
    """2 sum_j max(0, -q_j . r_j) [N, 8 G] over the joints of weighted queries that are `opened` [N, 21]."""
    missed = torch.zeros(len(along), index.signed.shape[2])
    for joint in opened.any(0).nonzero()[:, 0].tolist():
        rows = opened[:, joint].nonzero()[:, 0]
        missed.index_add_(0, rows, (-2 * along[rows, joint] @ index.signed[joint]).clamp_(min=0))
    return missed


def _score_groups(queries: Tensor, index: Index, rows: Tensor, groups: Tensor, best: Tensor, numbers: Tensor) -> None:
    """Score the members of `groups` [P] with the queries `rows` [P], which rise, and enter them in place.

    `best` [N, k] are the best scores so far, `numbers` the references that have them.
    """
    members = index.members[groups]
    others = index.references[members.clamp(min=0)]  # [P, 8, 21, 4]
    products = (queries[rows, None] * others).flatten(2) @ _SUMS  # [P, 8, 21]
    found = (products.abs_() @ index.weights).masked_fill_(members < 0, -torch.inf).flatten()
    some, counts = rows.unique_consecutive(return_counts=True)
    counts = counts * _GROUP
    place = torch.arange(len(found)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    line = torch.arange(len(some)).repeat_interleave(counts)
    more = torch.full((len(some), int(counts.max())), -torch.inf)
    whose = torch.zeros(more.shape, dtype=torch.long)
    more[line, place], whose[line, place] = found, members.flatten()
    values, chosen = torch.cat([best[some], more], 1).topk(best.shape[1], 1)
    best[some], numbers[some] = values, torch.cat([numbers[some], whose], 1).gather(1, chosen)


def _sorted_in_double(queries: Tensor, best: Tensor, numbers: Tensor, index: Index, k: int) -> Tensor:
    """The k best numbers [N, k], by scores in double precision and, where these are equal, by number."""
    unit = torch.nn.functional.normalize
    found = unit(index.references[numbers].double(), dim=-1)
    exact = (unit(queries.double(), dim=-1)[:, None] * found).sum(-1).abs() @ index.weights.double()
    exact = exact.masked_fill(best == -torch.inf, -torch.inf)
    order = numbers.argsort(dim=1)
    order = order.gather(1, exact.gather(1, order).argsort(dim=1, descending=True, stable=True))
    there = min(k, len(index.references))
    chosen = numbers.gather(1, order)[:, :there]
    return torch.cat([chosen, chosen[:, -1:].expand(-1, k - there)], 1)


def _nearest_euclidean(queries: Tensor, references: Tensor, k: int) -> Tensor:
    """The numbers [N, k] of the references nearest by the mean length of q - r: all are compared."""
    there, found = min(k, len(references)), []
    for part in queries.split(_QUERIES):
        apart = torch.zeros(len(part), len(references))
        for joint in range(JOINTS):
            apart += torch.cdist(part[:, joint], references[:, joint], compute_mode="donot_use_mm_for_euclid_dist")
        found.append(apart.topk(there, 1, largest=False)[1])
    chosen = torch.cat(found)
    return torch.cat([chosen, chosen[:, -1:].expand(-1, k - there)], 1)
