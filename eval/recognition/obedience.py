"""Whether a text model does what sentences ask for, as the captioner of motion sees it, which never reads the sentence.

A file of sentences has a line `group | expectation | sentence` for each (`expectations` reads the middle). A sentence
is obeyed if more than half of its motions are what is expected. How they move stands beside real motion of the kind
where a label names it (`REAL_KINDS`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_loaders.captioner.agreement import BELIEVED, agrees
from data_loaders.captioner.detect import phases_of
from data_loaders.captioner.phases import Phase
from data_loaders.representations import hml
from data_loaders.text import humanml
from data_loaders.text.captions import kind_of
from data_loaders.texts import mirrored
from eval.recognition import expectations, paraphrases
from eval.recognition.classifier import KINDS, RealMotions, Recogniser, equal_windows
from eval.recognition.expectations import Expectation
from sample.common.request import read_lines
from sample.common.session import Session
from utils.geometry.contacts import penetration
from utils.run.errors import DataError
from utils.run.files import read_json, write_json
from utils.run.folders import atomic_folder
from utils.run.parser import nearest
from utils.run.provenance import provenance
from visualize.sticks.contact_sheet import write_world_sheet

GROUPS = ("direction", "side", "turn", "speed", "count", "order", "posture", "gesture", "style", "plain")
METRICS = (*paraphrases.METRICS, "penetration")  # the last in cm: how deep the lowest joint lies in the floor
# The label whose real clips a phase of a kind is set beside; what has none has nothing beside it.
REAL_KINDS = {
    "walk": "walk", "turn": "walk", "run": "run", "jump": "jump", "sit down": "sit", "sit": "sit",
    "raise arm": "raise arms", "hold arm up": "raise arms", "wave": "wave", "punch": "punch", "kick": "kick",
    "bow": "bow", "stand": "idle",
}  # fmt: skip
PLAIN = {"walk": "a person walks", "run": "a person runs", "wave": "a person waves"}  # what manners are compared with
REAL_SECONDS, REAL_EACH = 6.0, 3  # windows of a real clip that the captioner is tried on: how long, at most how many


@dataclass(frozen=True)
class Asked:
    """A sentence, what it asks for, and the group that it counts in."""

    group: str
    asks: str
    sentence: str
    expectation: Expectation

    @property
    def kind(self) -> str:
        """The kind of labelled real motion that it is set beside, or nothing."""
        steps = [step for step in self.expectation.steps if not step.negated]
        return self.expectation.looks or next((REAL_KINDS.get(step.kinds[0], "") for step in steps), "")

    @property
    def plain(self) -> str:
        """The plain sentence whose motion its own is compared with, or nothing."""
        compared = [step.kinds[0] for step in self.expectation.steps if any(c.plain for c in step.conditions)]
        return PLAIN[compared[0]] if compared else ""


def read_sentences(path: str) -> list[Asked]:
    """The sentences of a file. Raises MissingFileError, or DataError for a line that cannot be read."""
    return [_asked(line, path) for line in read_lines(path, "--prompts")]


def _asked(line: str, path: str) -> Asked:
    parts = [part.strip() for part in line.split(" | ")]
    if len(parts) != 3 or not all(parts):
        raise DataError(f"{path}: {line!r} is not `group | expectation | sentence`")
    group, asks, sentence = parts
    if group not in GROUPS:
        raise DataError(f"{path}: {group!r} is no group{nearest(group, GROUPS)}; groups are {', '.join(GROUPS)}")
    try:
        asked = Asked(group, asks, sentence, expectations.parse(asks, KINDS))
        _ = asked.plain
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except KeyError as error:
        raise DataError(
            f"{path}: {asks!r}: there is no plain sentence of {error}; there are {', '.join(PLAIN)}"
        ) from None
    return asked


def plain_sentences(asked: Sequence[Asked]) -> list[str]:
    """The plain sentences that have to be sampled as well."""
    return sorted({each.plain for each in asked} - {""})


def make_motions(session: Session, asked: Sequence[Asked]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """`--num_samples` motions of each sentence [S, N, T, J, 3], and of each plain one [S, T, J, 3].

    Raises UsageError for a model that reads no sentences, NumericError.
    """
    plain = plain_sentences(asked)
    prompts = [paraphrases.Prompt(each.kind, each.sentence) for each in asked]
    motions = paraphrases.make_motions(session, [*prompts, *(paraphrases.Prompt("", sentence) for sentence in plain)])
    return motions[:, : len(asked)], {sentence: motions[:, len(asked) + i] for i, sentence in enumerate(plain)}


def judge(
    asked: Sequence[Asked],
    motions: np.ndarray,
    plain: Mapping[str, np.ndarray],
    learnt: RealMotions,
    recogniser: Recogniser | None,
) -> list[dict[str, Any]]:
    """What came of each sentence: a row each, of motions [S, N, T, J, 3].

    `learnt` is the real motion that figures stand beside, in whose captions the sentences are looked for as well; the
    classifier may be left out where no expectation asks for it.
    """
    spec = learnt.motions.spec
    fps, frames = spec.fps, motions.shape[2]
    beside = {kind: _real_figures(learnt, kind, frames) for kind in sorted({each.kind for each in asked} - {""})}
    known = paraphrases.known_sentences(
        [paraphrases.Prompt("", each.sentence) for each in asked], learnt.motions.captions
    )
    plain_phases = {sentence: [phases_of(clip, fps) for clip in clips] for sentence, clips in plain.items()}
    rows = []
    for index, each in enumerate(asked):
        clips = list(motions[:, index])
        found = [phases_of(clip, fps) for clip in clips]
        looks = (
            [KINDS[kind] for kind in recogniser(clips)] if recogniser and each.expectation.looks else [""] * len(clips)
        )
        compared = plain_phases.get(each.plain, [None] * len(clips))
        answers = [
            expectations.obeys(each.expectation, phases, seen, other)
            for phases, seen, other in zip(found, looks, compared, strict=True)
        ]
        made, real = np.mean([_figures(clip, learnt) for clip in clips], axis=0), beside.get(each.kind)
        rows.append(
            {
                "group": each.group,
                "expectation": each.asks,
                "sentence": each.sentence,
                "in_training": known[index],
                "obeyed": answers,
                "share": float(np.mean(answers)),
                "right": sum(answers) > len(answers) / 2,
                "shown": [_told(phases, seen) for phases, seen in zip(found, looks, strict=True)],
                "kind": each.kind,
                "made": dict(zip(METRICS, made.tolist(), strict=True)),
                "real": None if real is None else dict(zip(METRICS, real.tolist(), strict=True)),
            }
        )
    return rows


def _told(phases: Sequence[Phase], looks: str) -> str:
    return expectations.shown(phases) + (f"; looks like {looks}" if looks else "")


def _figures(clip: np.ndarray, real: RealMotions) -> np.ndarray:
    """The `METRICS` [4] of a clip [T, J, 3]."""
    spec = real.motions.spec
    deep = penetration(clip, range(clip.shape[1]), [0.0] * clip.shape[1])
    return np.array([*paraphrases.metrics_of(clip, spec.fps, hml.layout_of(spec.skeleton)), 100 * deep])


def _real_figures(real: RealMotions, kind: str, frames: int) -> np.ndarray | None:
    """The mean metrics [4] of real windows of a kind, or None where there are none."""
    windows = equal_windows(real, KINDS.index(kind), frames, paraphrases.REAL_WINDOWS)
    return np.mean([_figures(clip, real) for _, clip in windows], axis=0) if windows else None


def summed_up(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of each group and of all: sentences, those obeyed, share of motions; and the metrics together over the real ones.

    Of sentences that have real motion beside them, `over_real` is the median of the ratios, and `together` the sum of
    what was made over the sum of the real, which one motion that flies apart can spoil.
    """

    def counted(some: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {
            "sentences": len(some),
            "right": sum(row["right"] for row in some),
            "motions": sum(len(row["obeyed"]) for row in some),
            "share": float(np.mean([row["share"] for row in some])),
        }

    groups = {group: [row for row in rows if row["group"] == group] for group in GROUPS}
    beside = [row for row in rows if row["real"]]
    made, real = (np.array([[row[side][name] for name in METRICS] for row in beside]) for side in ("made", "real"))
    over = np.median(made / np.maximum(real, 1e-9), axis=0) if beside else []
    together = made.sum(0) / np.maximum(real.sum(0), 1e-9) if beside else []
    return {
        "all": counted(rows),
        "groups": {group: counted(some) for group, some in groups.items() if some},
        "in_training": sum(row["in_training"] for row in rows),
        "beside_real": len(beside),
        "over_real": dict(zip(METRICS, map(float, over), strict=False)),
        "together": dict(zip(METRICS, map(float, together), strict=False)),
        "penetration": {
            name: float(np.median([row[name]["penetration"] for row in beside])) if beside else 0.0
            for name in ("made", "real")
        },
    }


def tried_on_real(folder: str | Path, real: RealMotions) -> list[dict[str, Any]]:
    """How often the captioner sees what labels of real clips say: a row for each kind that it can see.

    `shown`: the share of windows of the kind that show it; `mirrored`: that show its mirror image, where that is
    another thing; `elsewhere`: the share of the windows of all other kinds that show it. Labels are of whole clips, so
    that a window need not show what its label says, and may show more.
    """
    spec = real.motions.spec
    clips = read_json(Path(folder) / "index.json")["clips"]
    windows: list[tuple[str, bool, tuple[Phase, ...]]] = []
    for item, name in enumerate(real.motions.names):
        clip = humanml.clip_of(name)
        kind, flip = kind_of(clips[clip])
        have, shown = int(real.motions.frames[item]), round(REAL_SECONDS * spec.fps)
        for first in range(0, max(have - shown // 2, 1), shown)[:REAL_EACH]:
            window = real.window(item, first, min(shown, have - first)).astype(float)
            windows.append((kind, flip ^ _is_mirrored(clip, clips), phases_of(window, spec.fps)))
    return [_row_of(kind, windows) for kind in sorted({kind for kind, *_ in windows} - BELIEVED)]


def _is_mirrored(clip: str, clips: Mapping[str, Any]) -> bool:
    """Whether a clip is the mirror image of another: M before its name."""
    return clip.startswith("M") and clip[1:] in clips


def _row_of(kind: str, windows: Sequence[tuple[str, bool, tuple[Phase, ...]]]) -> dict[str, Any]:
    own = [(flip, phases) for other, flip, phases in windows if other == kind]
    others = [phases for other, _, phases in windows if other != kind]
    sided = mirrored(kind) != kind
    return {
        "kind": kind,
        "windows": len(own),
        "shown": float(np.mean([agrees(kind, flip, phases) for flip, phases in own])),
        "mirrored": float(np.mean([agrees(kind, not flip, phases) for flip, phases in own])) if sided else None,
        "elsewhere": float(np.mean([agrees(kind, False, phases) for phases in others])) if others else None,
    }


def markdown(rows: Sequence[dict[str, Any]], total: dict[str, Any], tried: Sequence[dict[str, Any]]) -> str:
    """The groups, the sum, how the captioner does, and every sentence with what its motions showed."""
    lines = ["| group | sentences obeyed | motions |", "|---|---|---|"]
    for name, group in [*total["groups"].items(), ("all", total["all"])]:
        lines.append(f"| {name} | {group['right']} of {group['sentences']} | {100 * group['share']:.0f} % |")
    lines += ["", *summary_lines(total), "", *_tried_table(tried), ""]
    for group in total["groups"]:
        lines += ["", f"## {group}", "", "| sentence | asks for | obeyed | missed by |", "|---|---|---|---|"]
        for row in (row for row in rows if row["group"] == group):
            missed = [text for text, right in zip(row["shown"], row["obeyed"], strict=True) if not right]
            asks = row["expectation"].replace("|", "\\|")
            known = " (in training)" if row["in_training"] else ""
            lines.append(
                f"| {row['sentence']}{known} | {asks} | {sum(row['obeyed'])} of {len(row['obeyed'])} "
                f"| {'<br>'.join(missed)} |"
            )
    return "\n".join(lines)


def summary_lines(total: dict[str, Any]) -> list[str]:
    """What it comes to, in sentences."""
    every, over, together, deep = (total[name] for name in ("all", "over_real", "together", "penetration"))
    lines = [
        f"Obeyed: {every['right']} of {every['sentences']} sentences ({100 * every['share']:.0f} % of "
        f"{every['motions']} motions); {total['in_training']} of the sentences are training sentences."
    ]
    if over:
        lines.append(
            f"Over real motion of the kind ({total['beside_real']} sentences that have some): "
            + ", ".join(
                f"{said} median {over[name]:.2f}, together {together[name]:.2f}"
                for said, name in (("speed", "speed"), ("foot sliding", "sliding"), ("jitter", "jitter"))
            )
            + f"; penetration median {deep['made']:.1f} cm (real {deep['real']:.1f})."
        )
    return lines


def _tried_table(tried: Sequence[dict[str, Any]]) -> list[str]:
    """How the captioner does on real clips."""

    def share(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.0f} %"

    lines = [
        "| label of real clips | windows | shown | its mirror image shown | shown by other kinds |",
        "|---|---|---|---|---|",
    ]
    for row in tried:
        cells = (share(row[name]) for name in ("shown", "mirrored", "elsewhere"))
        lines.append(f"| {row['kind']} | {row['windows']} | {' | '.join(cells)} |")
    return lines


def misses(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each sentence that is not obeyed, with what its first motion that missed showed."""
    lines = []
    for row in rows:
        if not row["right"]:
            first = row["obeyed"].index(False)
            counts = f"{sum(row['obeyed'])} of {len(row['obeyed'])}"
            lines.append(f"{row['group']}: {row['sentence']} [{row['expectation']}] {counts}: {row['shown'][first]}")
    return lines


def _caption(row: Mapping[str, Any]) -> str:
    return f"{row['sentence']} [{sum(row['obeyed'])} of {len(row['obeyed'])}] {row['shown'][0]}"


def write(
    folder: Path, session: Session, motions: np.ndarray, rows: list[dict[str, Any]], tried: list[dict[str, Any]]
) -> str:
    """Write obedience.md, obedience.json and a sheet a group (each sentence's first motion); return the short table."""
    total = summed_up(rows)
    sampling, spec = session.sampling, session.spec
    content = {
        "sentences": rows,
        "summary": total,
        "captioner": tried,
        "guidance_param": sampling.guidance_param,
        "guided_share": sampling.guided_share,
        "sampler": sampling.sampler,
        "sampling_steps": sampling.sampling_steps,
        "seconds": motions.shape[2] / spec.fps,
        "provenance": provenance(session.run.seed, session.path),
    }
    text = markdown(rows, total, tried)
    with atomic_folder(folder, sampling.overwrite) as target:
        (target / "obedience.md").write_text(text + "\n", encoding="utf-8")
        write_json(target / "obedience.json", content)
        for group in total["groups"]:
            numbers = [number for number, row in enumerate(rows) if row["group"] == group]
            captions = [_caption(rows[number]) for number in numbers]
            clips = [motions[0, number] for number in numbers]
            write_world_sheet(target / f"{group}.png", clips, spec.skeleton, captions, fps=spec.fps)
    return text.partition("\n## ")[0].rstrip()
