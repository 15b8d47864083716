"""What a frame of 3D motion is made of for a network: features from positions and back, one module a representation."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from utils.geometry.skeleton import Skeleton


def joints_of(representation: str, skeleton: Skeleton, centred: bool = False) -> Callable[[Tensor], Tensor]:
    """The function from features [..., T, F] in data units to joints [..., T, J, 3], y up.

    `centred`, for rotations, leaves the pelvis at the origin and the axes the data's, as the published losses do.
    """
    if representation == "hml":
        from data_loaders.representations import hml

        return partial(hml.decode, layout=hml.layout_of(skeleton))
    from data_loaders.representations import rot6d
    from utils.geometry.rest import rest_offsets

    offsets = rest_offsets()
    if centred:
        return partial(rot6d.decode, offsets=offsets, root="centred")
    return lambda features: rot6d.upright(rot6d.decode(features, offsets))


def rotations_of(representation: str, skeleton: Skeleton) -> Callable[[Tensor], Tensor]:
    """The function from features [..., T, F] in data units to rotations [..., T, J, 3, 3] relative to the parents.

    Those of HumanML3D's features know no twist: each is that of the bone ending at its joint (see `hml`).
    """
    if representation == "hml":
        from data_loaders.representations import hml
        from utils.geometry.kinematics import global_rotations, local_rotations

        layout = hml.layout_of(skeleton)

        def relative(features: Tensor) -> Tensor:
            world = global_rotations(hml.decode_rotations(features, layout)[0], layout.turning_parents)
            return local_rotations(world, skeleton.parents)

        return relative
    from data_loaders.representations import rot6d

    return rot6d.rotations
