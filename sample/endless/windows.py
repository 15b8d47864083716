"""Motion that goes on window after window, from models that are shown the frames before it (DiP, Tevet et al. 2025).

Window w of sample i draws its noise from (seed, noise, w, i): a longer motion begins as a shorter one does.
The world of a motion: its first frame stands at x = z = 0 and faces +z.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from data_loaders.registry import RIGHT, load_dataset
from data_loaders.representations import hml
from data_loaders.text.goals import HEADING, goal_joints
from diffusion.autoregressive import continued
from diffusion.noise import per_sample
from diffusion.sampling import sample
from model.options import GOALS, ModelOptions
from sample.common.request import frames_of, make_request, read_lines
from sample.common.samples import Samples
from sample.common.session import Request, Session
from sample.common.sources import first_clips, source_of
from sample.endless.planning import WindowPlans, frames_left
from sample.options import EndlessOptions, PrefixOptions
from utils.formats.options import ReadingOptions
from utils.geometry.kinematics import mirror
from utils.geometry.rotations import about_axis
from utils.run.errors import DataError, UsageError
from utils.run.parser import nearest
from utils.run.randomness import numpy_rng

STANDING = "standing"
NEAR = 0.3  # metres: nobody need turn towards a place that is no further away
Condition = dict[str, Tensor]
Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Prefix:
    """What a model is shown first: features [N, C, F] in data units, where they come from, and what those clips show.

    `captions` has one a clip, or none.
    """

    features: Tensor
    source: str
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Window:
    """Some frames of each motion: features [B, T, F] in data units, and where in the world the first of them is."""

    features: Tensor
    start: hml.Start


def window_frames(model: ModelOptions) -> int:
    """How many frames a model that is shown a prefix makes at a time."""
    return model.pred_len or model.context_len


def origin(count: int) -> hml.Start:
    """Headings [N] and places [N, 2] of first frames, in double precision: paths are long."""
    return torch.zeros(count, dtype=torch.float64), torch.zeros(count, 2, dtype=torch.float64)


def advanced(features: Tensor, start: hml.Start) -> hml.Start:
    """Heading and place of the frame that follows features [B, T, F] in data units whose first frame is at `start`."""
    yaw, root = hml.root_motion(pad(features[..., :4].double(), (0, 0, 0, 1)))
    heading, place = start
    turned = -2 * torch.atan2(yaw[:, -1, 2], yaw[:, -1, 0])
    return wrapped(heading + turned), place + _about_y(root[:, -1], heading)[:, ::2]


def wrapped(angle: Tensor) -> Tensor:
    """The angle within half a turn of 0."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def windows(
    session: Session,
    prefix: Tensor,
    ask: Callable[[int, hml.Start], tuple[Condition, int]],
    start: hml.Start,
    stream: Callable[[str], str] = str,
) -> Iterator[Window]:
    """Windows for ever, the first of which follows `prefix` [B, C, F] (data units) and is at `start` in the world.

    `ask(index, start)` gives the condition of a window, and how many of its frames count. The callback of the session
    is called after each step of each window. `stream(name)` names the stream of draws (`Request.stream`).
    """
    frames, rows, seed = window_frames(session.model_options), len(prefix), session.run.seed
    here = start

    def make(shown: Tensor, index: int) -> Tensor:
        condition, kept = ask(index, here)
        request = Request(torch.full((rows,), frames), condition | {"prefix": shown})
        noise = per_sample(seed, [frames] * rows, session.frame_shape, stream=stream(f"noise/{index}"))
        denoise, step = session.denoiser(request), session.stepper(noise)
        x0 = sample(denoise, step, noise(), session.process.steps, session.last, callback=session.callback)
        return x0[:, :kept]

    for window in continued(make, session.to_model(prefix), session.model_options.context_len):
        features = session.to_data(window)
        yield Window(features, here)
        here = advanced(features, here)


def endless_request(session: Session, begin: PrefixOptions, options: EndlessOptions) -> tuple[Request, str]:
    """What to sample, `inputs` being the prefix that each motion follows, and where that comes from.

    Titles that change from frame to frame are the prompts of those frames. Raises the errors of bad options.
    """
    prompts = _prompts(session, options)
    sampling = session.sampling
    if prompts:
        count = sampling.num_samples * sampling.num_repetitions
        titles = [[prompt for prompt, frames in prompts for _ in range(frames)]] * count
        request = Request(torch.full((count,), len(titles[0])), titles=titles)
    else:
        request = replace(make_request(session), condition={})
    samples = len(request.titles) // sampling.num_repetitions
    prefix = find_prefix(session, begin, samples)
    if prefix.captions and session.encode and not (prompts or sampling.text_prompt or sampling.input_text):
        titles = prefix.captions * sampling.num_repetitions
        request = replace(request, titles=titles, lengths=torch.tensor(frames_of(session, titles)))
    goals = read_targets(session, options.target, len(request.titles)) if options.target else {}
    shown = prefix.features.repeat(sampling.num_repetitions, 1, 1)
    return replace(request, condition=goals, inputs={"prefix": shown}), prefix.source


def aimed_request(session: Session, options: EndlessOptions) -> Request:
    """What to sample from a model that makes motions whole, with the targets of `--target`. Raises UsageError."""
    request = make_request(session)
    if not options.target:
        return request
    if request.segments:
        raise UsageError("--target: this model makes motions whole; give one prompt, not several")
    count = len(request.lengths)
    goals = aimed(session, read_targets(session, options.target, count), origin(count), left=0)
    return replace(request, condition=request.condition | goals)


def _prompts(session: Session, options: EndlessOptions) -> list[tuple[str, int]]:
    """Prompts that follow each other, each with its frames; none where a motion has one prompt."""
    if path := options.dynamic_text_path:
        if not session.encode:
            raise UsageError(f"--dynamic_text_path {path}: this model reads no text")
        return [(text, window_frames(session.model_options)) for text in read_lines(path, "--dynamic_text_path")]
    texts = session.sampling.text_prompt if session.encode else ()
    return list(zip(texts, frames_of(session, texts), strict=True)) if len(texts) > 1 else []


def sample_endless(session: Session, request: Request, include_prefix: bool = False) -> Samples:
    """The motions that `endless_request` asks for; with `include_prefix` they begin with the frames that were given."""
    shown = (request.inputs or {})["prefix"]
    given = shown.shape[1] if include_prefix else 0
    frames = window_frames(session.model_options)
    todo = spans(request.titles, given, request.frames, frames, whole_last="goal" in request.condition)

    plans = WindowPlans(session)

    def ask(index: int, here: hml.Start) -> tuple[Condition, int]:
        first, kept = todo[index]
        texts = [title if isinstance(title, str) else title[first] for title in request.titles]
        condition = plans.condition(texts, frames_left(request.titles, first, request.frames), frames, kept)
        if request.condition:
            condition |= aimed(session, request.condition, here, len(todo) - 1 - index)
        return condition, kept

    start = origin(len(shown))
    parts = [shown] if include_prefix else []
    start = advanced(shown, start) if include_prefix else start
    sampled = windows(_counting(session, len(todo)), shown, ask, start, request.stream)
    parts += [window.features for _, window in zip(todo, sampled, strict=False)]
    features = torch.cat(parts, dim=1)[:, : request.frames] * request.valid[..., None]
    marks = torch.zeros(*features.shape[:2], len(session.spec.skeleton.joints), dtype=torch.bool)
    marks[:, :given] = True
    return Samples(features, request.lengths, request.titles, marks if include_prefix else None)


def _counting(session: Session, windows: int) -> Session:
    """The session whose callback counts the steps of so many windows, one after another, as those of one sampling."""
    before = 0

    def callback(done: int, total: int) -> None:
        nonlocal before
        session.callback(before + done, windows * total)
        before += total if done == total else 0

    return replace(session, callback=callback)


def spans(titles: Sequence[str | Sequence[str]], first: int, end: int, longest: int, whole_last: bool = False) -> Spans:
    """First frame and number of frames of each window of frames `first` to `end`, none of which has two titles.

    A window that is cut short is the last of its title, or with `whole_last` the first of it.
    """
    changing = [title for title in titles if not isinstance(title, str)]
    cuts = [f for f in range(first + 1, end) if any(title[f] != title[f - 1] for title in changing)]
    found = []
    for begin, stop in zip([first, *cuts], [*cuts, max(first, end)], strict=True):
        short = (stop - begin) % longest if whole_last else 0
        starts = [begin] * (short > 0) + list(range(begin + short, stop, longest))
        found += [(a, b - a) for a, b in pairwise([*starts, stop])]
    return found


def find_prefix(session: Session, options: PrefixOptions, count: int) -> Prefix:
    """The frames that the model is shown before each of `count` motions.

    Raises UsageError for motion that cannot be shown or joined, and the errors of files.
    """
    spec, context = session.spec, session.model_options.context_len
    if spec.representation != "hml":
        raise UsageError(f"motion of {spec.name} is not made window after window; that of HumanML3D's features is")
    if options.prefix_motion and options.prefix_motion != STANDING:
        shown, note = prefix_of_file(session, options.prefix_motion, options)
        source = f"the motion follows {options.prefix_motion}" + (f" ({note})" if note else "")
        return Prefix(shown.expand(count, -1, -1), source)
    folder = spec.folder(session.data.datapath)
    if options.prefix_motion != STANDING and folder.is_dir():
        return prefix_of_data(session, folder, count)
    shown = standing(session.mean, hml.layout_of(spec.skeleton), context)
    return Prefix(shown.expand(count, -1, -1), "the motion follows a person who stands still")


def prefix_of_data(session: Session, folder: Path, count: int) -> Prefix:
    """Frames of motions of the dataset's test part: for sample i by (seed, i)."""
    context = session.model_options.context_len
    options = replace(session.data, data_split="test", data_augmentations=())
    dataset = load_dataset(session.spec, options, session.run.compat, session.run.seed, exact=context)
    shown, captions = [], []
    for i in range(count):
        rng = numpy_rng(session.run.seed, "prefix", i)
        index = rng.randint(len(dataset))
        clip, texts = dataset.item(index), dataset.texts[index]
        first = rng.randint(len(clip) - context + 1)
        shown.append(torch.from_numpy(clip[first : first + context]))
        captions.append(dataset.captions[texts[rng.randint(len(texts))]])
    return Prefix(torch.stack(shown), f"each motion follows one of the test part of {folder}", tuple(captions))


def prefix_of_file(session: Session, path: str, how: ReadingOptions) -> tuple[Tensor, str]:
    """The features [C, F] of the last frames of the first clip of a file, and what was concluded in reading it.

    Raises the errors of files, or DataError.
    """
    spec, context = session.spec, session.model_options.context_len
    (motion,) = first_clips(path, how, 1)
    source = source_of(motion, spec)
    features = source.frames
    if len(features) < context:
        raise DataError(
            f"{path}: {motion.name} makes {len(features)} frames of features at {spec.fps:g} a second; the model is "
            f"shown {context}"
        )
    return features[-context:], source.note


def standing(mean: Tensor, layout: hml.Layout, frames: int) -> Tensor:
    """Features [frames, F] of a person who stands still, in the mean pose of the data made symmetric."""
    pose = hml.decode(torch.cat((torch.zeros(3), mean[3:]))[None], layout)
    pose = (pose + mirror(pose, layout.skeleton)) / 2
    return hml.encode([pose.expand(frames + 1, -1, -1)], layout, **RIGHT)[0]


def read_targets(session: Session, texts: Sequence[str], count: int) -> Condition:
    """Where joints shall be at the end, as `--target` says: `goal` [N, 8, 3] in the world and data units (the heading
    in radians), `goal_asked` [N, 8]. Raises UsageError."""
    goal, requested = torch.zeros(len(GOALS), 3), torch.zeros(len(GOALS), dtype=torch.bool)
    names = {joint: name for name, joint in goal_joints(session.spec.skeleton).items() if name != "traj"}
    for text in texts:
        said, _, numbers = text.partition(":")
        name = names.get(said, said)
        if name not in GOALS:
            near = nearest(said, [*GOALS, *names])
            raise UsageError(f"--target {text}: unknown joint {said!r}{near}; choose from {', '.join(GOALS)}")
        row = GOALS.index(name)
        if requested[row]:
            raise UsageError(f"--target {text}: {said} is told twice")
        goal[row], requested[row] = _goal(text, name, numbers, session.spec.skeleton.metres_per_unit), True
    return {"goal": goal.repeat(count, 1, 1), "goal_asked": requested.repeat(count, 1)}


def _goal(text: str, name: str, numbers: str, unit: float) -> Tensor:
    """The three numbers of a goal. Raises UsageError."""
    wanted = {"traj": ("x", "z"), HEADING: ("degrees",)}.get(name, ("x", "y", "z"))
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if len(values) != len(wanted) or not all(map(math.isfinite, values)):
        raise UsageError(f"--target {text}: say {text.partition(':')[0]}:{','.join(wanted)}, numbers without blanks")
    if name == HEADING:
        return wrapped(torch.tensor((math.radians(values[0]), 0.0, 0.0)))
    x, *y, z = values
    return torch.tensor((x, *(y or [0.0]), z)) / unit


def aimed(session: Session, goals: Condition, here: hml.Start, left: int) -> Condition:
    """The goals of a window that begins `here`, by those of the whole motion, `left` windows before the last one.

    The last window gets the goals themselves, those before it for an even share of the way of the root and of the turn.
    Who has a way to go faces where it leads, but for a last window whose heading is said: models have seen places
    together with a heading.
    """
    heading, place = here
    goal, requested = goals["goal"].double(), goals["goal_asked"]
    places, facing = requested[:, :-1], requested[:, -1]
    there = (goal[:, :-1, ::2] * places[..., None]).sum(1) / places.sum(1, keepdim=True).clamp_min(1)
    way = (there - place) * places.any(1, keepdim=True)
    far = torch.linalg.vector_norm(way, dim=-1) > NEAR / session.spec.skeleton.metres_per_unit
    turn = wrapped(goal[:, -1, 0] - heading) / (left + 1) * facing
    goal = goal.clone()
    along = far if left else far & ~facing
    goal[:, -1, 0] = torch.where(along, torch.atan2(way[:, 0], way[:, 1]), heading + turn)
    if left:
        path = torch.tensor([name == "traj" for name in GOALS[:-1]])
        goal[:, :-1, ::2] = (place + way / (left + 1))[:, None]
        places = places.any(1, keepdim=True) & path
    requested = torch.cat((places, torch.ones_like(facing)[:, None]), 1)
    return {"goal": _seen_from(goal, requested, here).float(), "goal_asked": requested}


def _seen_from(goal: Tensor, requested: Tensor, here: hml.Start) -> Tensor:
    """Goals [B, 8, 3] of the world in the frame of a window that begins `here`; 0 where not requested for."""
    heading, place = here
    ground = torch.stack((place[:, 0], torch.zeros_like(heading), place[:, 1]), -1)
    places = _about_y(goal[:, :-1] - ground[:, None], -heading[:, None])
    turn = wrapped(goal[:, -1:, :1] - heading[:, None, None])
    return torch.cat((places, pad(turn, (0, 2))), 1) * requested[..., None]


def _about_y(points: Tensor, angle: Tensor) -> Tensor:
    """Points [..., 3] turned about y by angles [...]."""
    return (about_axis("Y", angle.expand(points.shape[:-1])) @ points[..., None])[..., 0]
