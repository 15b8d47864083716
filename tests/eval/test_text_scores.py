"""The evaluation of text models: what is asked for, how it is made, put together and evaluated, the published log."""

import dataclasses
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.registry import dataset_spec
from eval.text import evaluators as text_evaluators
from eval.text import published_evaluator
from eval.text import record as text_record
from eval.text import scores as text_scores
from eval.text.evaluators import load_text_evaluator
from eval.text.scores import GENERATED, REAL, REPEATED, TextSettings
from model.evaluators.text_motion import from_published
from sample.common.session import Session
from tests.commands import run
from tests.dip import CONTEXT, WINDOW, dip_session, told
from tests.evaluators import write_evaluator, write_words
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError
from utils.run.randomness import torch_generator

SPEC = dataset_spec("mocap")
SMALL = TextSettings(replications=2, samples=40, multimodality=True)
REPEATS = 4


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch):
    """4 motions of each of 32 sentences, and 3 pairs: multimodality of the published size takes minutes."""
    for name, value in (("REPEATS", REPEATS), ("REPEATED_PAIRS", 3), ("SENTENCES", 1)):
        monkeypatch.setattr(text_scores, name, value)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Toy people whose test part is all of them: 48."""
    folder = tmp_path_factory.mktemp("toy") / "mocap"
    run("prepare.toy_motion", "--dataset mocap --num_motions 24", "--output_dir", folder)
    (folder / "test.txt").write_text((folder / "all.txt").read_text())
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluators")
    write_words(folder / "glove")
    write_evaluator(folder / "finest.tar")
    return folder


@pytest.fixture
def embedder(files: Path):
    return load_text_evaluator(SPEC, files / "finest.tar", files / "glove")


class Plain:
    """An evaluator by whose numbers a motion and a sentence can be told: length and first feature, letters."""

    identity = {"name": "plain", "path": "", "sha256": "0"}

    def embed_motion(self, features, lengths):
        first = features[:, 0, 3]
        beyond = [row[int(length) :].abs().sum() for row, length in zip(features, lengths, strict=True)]
        return torch.stack((lengths.float(), first, torch.stack(beyond)), 1).numpy()

    def embed_text(self, captions, tags):
        told = zip(captions, tags, strict=True)
        return np.array([[len(caption), caption.count("a"), len(words)] for caption, words in told], float)


def whole_session(folder: Path, seed: int = 0, masked: bool = True) -> Session:
    """A session on a model that makes motions whole: it answers with half of what it is shown."""
    session = dip_session(folder=folder, seed=seed)
    options = dataclasses.replace(session.model_options, context_len=0, pred_len=0, mask_frames=masked)
    return dataclasses.replace(session, model_options=options, model=Halving())


def evaluate(session: Session, evaluator, settings: TextSettings) -> text_scores.Values:
    """The metrics of a model, here and now."""
    evaluation = text_scores.prepared(session, evaluator, settings)
    return evaluation.scores(evaluation.gather())


class Halving(torch.nn.Module):
    """A network that remembers the shapes it saw."""

    def __init__(self):
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x, step, condition):
        self.seen.append(tuple(x.shape))
        return x / 2


def test_each_replication_asks_for_a_set_of_its_own(data):
    session = whole_session(data)
    evaluation = text_scores.prepared(session, Plain(), SMALL)
    first, second = (evaluation.requested(k) for k in range(2))
    again = text_scores.prepared(whole_session(data), Plain(), SMALL).requested(0)
    assert len(first.lengths) == 64 == SMALL.count, "whole batches"
    np.testing.assert_array_equal(first.captions, again.captions)
    assert torch.equal(first.lengths, again.lengths)
    assert not np.array_equal(first.captions, second.captions)
    other = text_scores.prepared(whole_session(data, seed=1), Plain(), SMALL).requested(0)
    assert not np.array_equal(first.captions, other.captions)
    assert (first.lengths % 4 == 0).all() and int(first.lengths.max()) <= SPEC.max_frames


def test_no_real_motion_is_asked_for_twice_in_a_batch(data, monkeypatch):
    evaluation = text_scores.prepared(whole_session(data), Plain(), TextSettings(samples=96))
    taken: list[int] = []
    real = evaluation.dataset.batch
    recording = type("Recording", (), {"batch": lambda self, chosen, rng: (taken.extend(chosen), real(chosen, rng))[1]})
    dataclasses.replace(evaluation, dataset=recording()).requested(0)
    assert len(taken) == 96
    for first in range(0, 96, 32):
        assert len(set(taken[first : first + 32])) == 32


def test_embeddings_come_back_in_the_order_of_what_was_asked(data):
    session = whole_session(data)
    evaluation = text_scores.prepared(session, Plain(), SMALL)
    work = evaluation.units()
    drawn: list[float] = []
    for k in range(2):
        wanted = evaluation.requested(k)
        made = evaluation.gathered(lambda name: work[name](), k, GENERATED)
        np.testing.assert_array_equal(made["motion"][:, 0], wanted.lengths.numpy())
        assert made["text"][:, 0].tolist() == [len(evaluation.dataset.captions[index]) for index in wanted.captions]
        repeats = evaluation.gathered(lambda name: work[name](), k, REPEATED)["motion"]
        repeats = repeats.reshape(32, REPEATS, 3)
        assert (repeats[..., 0] == wanted.lengths.numpy()[:32, None]).all(), "so many motions of each sentence"
        assert (repeats[..., 1].std(1) > 0).all(), "each with other noise"
        assert not made["motion"][:, 2].any(), "nothing beyond the end"
        drawn += [*made["motion"][:, 1], *repeats[..., 1].ravel()]
    assert len(set(drawn)) == len(drawn) == 2 * (64 + 32 * REPEATS), "no noise is drawn twice"


def test_no_unit_is_made_twice_and_motions_of_a_length_are_made_together(data):
    session = whole_session(data)
    settings = TextSettings(replications=1, samples=96)
    evaluate(session, Plain(), settings)
    steps = session.process.steps - session.last
    shapes = session.model.seen[::steps]
    assert [shape[0] // 2 for shape in shapes] == [64, 32], "the guided and the other half of each unit"
    assert shapes[0][1] <= shapes[1][1]


def test_a_model_that_looks_at_padding_is_asked_for_whole_motions(data):
    session = whole_session(data, masked=False)
    lengths = torch.tensor([40, 60])
    made = text_scores.generated(session, ["a", "b"], lengths, None, False)
    assert {shape[1] for shape in session.model.seen} == {196}
    assert made.shape[1] == 60 and not made[0, 40:].any() and made[0, :40].any()
    masked = whole_session(data)
    text_scores.generated(masked, ["a", "b"], lengths, None, False)
    assert {shape[1] for shape in masked.model.seen} == {60}


def test_an_endless_model_goes_on_from_the_beginning_of_the_clip(data):
    session = dip_session(folder=data)
    evaluation = text_scores.prepared(session, Plain(), TextSettings(replications=1, samples=32))
    assert (evaluation.dataset.frames[evaluation.usable] >= CONTEXT + WINDOW).all()
    wanted = evaluation.requested(0)
    beginnings = {evaluation.dataset.item(i)[at : at + CONTEXT].tobytes() for i in evaluation.usable for at in range(5)}
    assert all(row.numpy().tobytes() in beginnings for row in wanted.prefix)
    session.encode.encoder.asked.clear()
    made = text_scores.generated(session, ["a", "b"], torch.tensor([20, 28]), wanted.prefix[:2], False)
    assert made.shape == (2, 28, SPEC.features) and not made[0, 20:].any()
    assert len(told(session)) == 3, "windows of 12 frames"
    torch.testing.assert_close(told(session)[0]["prefix"][:2], session.to_model(wanted.prefix[:2]))
    begun = text_scores.generated(session, ["a", "b"], torch.tensor([20, 28]), wanted.prefix[:2], True)
    torch.testing.assert_close(begun[:, :CONTEXT], wanted.prefix[:2])


def test_figures_of_a_set(data, embedder):
    values = evaluate(whole_session(data), embedder, SMALL)
    assert list(values) == [REAL, GENERATED]
    assert set(values[GENERATED]) - set(values[REAL]) == {"multimodality"}
    assert all(len(found) == 2 and np.isfinite(found).all() for row in values.values() for found in row.values())
    assert values[REAL]["fid"][0] < values[GENERATED]["fid"][0], "real motion is nearer to real motion than noise"
    assert values == evaluate(whole_session(data), embedder, SMALL), "the same seed, the same figures"
    alone = evaluate(whole_session(data), embedder, dataclasses.replace(SMALL, replications=1))
    assert alone[GENERATED]["fid"] == values[GENERATED]["fid"][:1], (
        "a replication does not depend on how many there are"
    )
    more = values[GENERATED]["r_precision_top1"][0], values[GENERATED]["r_precision_top3"][0]
    assert more[0] <= more[1]


def test_matched_embeddings_are_found_and_a_set_is_at_no_distance_from_itself():
    rng = np.random.RandomState(0)
    x = rng.normal(0, 1, (64, 8))
    found = text_scores.metrics_of(x, x, x, rng)
    assert found["matching_score"] == 0 and found["r_precision_top1"] == 1
    assert found["fid"] == pytest.approx(0, abs=1e-9)


def test_multimodality_has_the_published_size(monkeypatch):
    monkeypatch.undo()
    settings = TextSettings(multimodality=True)
    assert (settings.count, settings.sentences) == (1024, 128)
    assert (text_scores.REPEATS, text_scores.REPEATED_PAIRS, text_scores.DIVERSITY_PAIRS) == (30, 10, 300)
    assert TextSettings(samples=64, multimodality=True).sentences == 64
    assert TextSettings().sentences == 0
    assert text_scores.MODES == {"wo_mm": (20, False), "mm_short": (5, True), "debug": (5, False), "full": (20, True)}


def test_published_names_for_a_platform():
    values = {
        REAL: {"fid": [0.0], "r_precision_top1": [0.5]},
        GENERATED: {"fid": [1.0, 2.0], "r_precision_top1": [0.25, 0.75], "multimodality": [3.0]},
    }
    assert text_scores.scalars(values) == {
        "FID_ground truth": 0.0,
        "FID_vald": 1.5,
        "top1_R_precision_ground truth": 0.5,
        "top1_R_precision_vald": 0.5,
        "MultiModality_vald": 3.0,
    }


def test_what_cannot_be_evaluated_is_refused(data, embedder, tmp_path):
    silent = dip_session(folder=data, text=False)
    with pytest.raises(UsageError, match="reads no sentences"):
        text_scores.prepared(silent, embedder, SMALL)
    few = tmp_path / "few"
    few.mkdir()
    for entry in data.iterdir():
        if entry.name != "cache":
            (few / entry.name).symlink_to(entry)
    (few / "test.txt").unlink()
    (few / "test.txt").write_text("\n".join((data / "all.txt").read_text().split()[:20]))
    with pytest.raises(DataError, match="holds 20 motions.*32"):
        text_scores.prepared(whole_session(few), embedder, SMALL)
    broken = whole_session(data)
    broken.model.forward = lambda x, step, condition: x * float("nan")
    with pytest.raises(NumericError, match="NaN"):
        evaluate(broken, embedder, TextSettings(replications=1, samples=32))


def test_the_published_evaluator_normalises_and_pads_as_it_was_trained(embedder, files):
    lengths = torch.tensor([24, 196, 40])
    features = torch.randn(3, 196, 263, generator=torch_generator(0))
    found = embedder.embed_motion(features, lengths)
    mean, std = embedder.mean, embedder.std
    by_hand = (features - torch.from_numpy(mean)) / torch.from_numpy(std)
    for row, length in zip(by_hand, lengths, strict=True):
        row[length:] = 0
    network = from_published(checkpoint.load(files / "finest.tar"))
    torch.testing.assert_close(torch.from_numpy(found), network.embed_motion(by_hand, lengths), atol=1e-5, rtol=0)
    for k, length in enumerate(lengths.tolist()):
        alone = embedder.embed_motion(features[k : k + 1, :length], lengths[k : k + 1])
        np.testing.assert_allclose(alone[0], found[k], atol=1e-5)
    assert mean.shape == std.shape == (263,)
    # The spread of the root is 25 times smaller than that of the data: what the published evaluators were trained with.
    assert np.load(published_evaluator.STATS / "t2m_std.npy")[0] == pytest.approx(
        np.load(Path("data_loaders/stats/humanml/Std.npy"))[0] / 25, rel=0.01
    )


def test_sentences_are_embedded_alone_as_among_others(embedder):
    said = ["a/DET person/NOUN walks/VERB", "the/DET person/NOUN", "left/ADJ"]
    together = embedder.embed_text(said, said)
    for k, sentence in enumerate(said):
        np.testing.assert_allclose(embedder.embed_text(["?"], [sentence])[0], together[k], atol=1e-6)


def test_motion_that_the_evaluator_does_not_read_is_refused(embedder):
    features = torch.zeros(2, 40, 263)
    for wrong, lengths, error in (
        (features[..., 1:], [40, 40], DataError),
        (features, [40], DataError),
        (features, [40, 3], DataError),
        (features, [40, 44], DataError),
        (features + float("nan"), [40, 40], NumericError),
    ):
        with pytest.raises(error):
            embedder.embed_motion(wrong, torch.tensor(lengths))


def test_which_evaluator(files, tmp_path):
    kit = dataset_spec("kit")
    assert text_evaluators.default_path(kit) == "./kit/text_mot_match/model/finest.tar"
    assert text_evaluators.default_path(dataset_spec("humanml")) == "./t2m/text_mot_match/model/finest.tar"
    embedder = load_text_evaluator(SPEC, files / "finest.tar", files / "glove")
    digest = checkpoint.digest(files / "finest.tar")
    assert embedder.identity == {"name": "t2m", "path": str(files / "finest.tar"), "sha256": digest}
    with pytest.raises(MissingFileError, match=r"no evaluator of sentences at .*download_t2m_evaluators.sh"):
        load_text_evaluator(dataset_spec("humanml"), tmp_path / "finest.tar")
    with pytest.raises(DataError, match="263 features a frame, kit has 251"):
        load_text_evaluator(kit, files / "finest.tar", files / "glove")
    with pytest.raises(MissingFileError, match="glove lacks our_vab_data.npy"):
        load_text_evaluator(SPEC, files / "finest.tar", tmp_path / "glove")
    with pytest.raises(DataError, match="numbers, those in"):
        load_text_evaluator(SPEC, files / "finest.tar", write_words(tmp_path / "narrow", width=50))
    with pytest.raises(UsageError, match="humanact12"):
        load_text_evaluator(dataset_spec("humanact12"), files / "finest.tar")
    (tmp_path / "finest.tar").write_bytes(b"no weights")
    with pytest.raises(DataError, match="not a checkpoint"):
        load_text_evaluator(SPEC, tmp_path / "finest.tar")
    torch.save({"model": {}}, tmp_path / "finest.tar")
    with pytest.raises(DataError, match="no published evaluator"):
        load_text_evaluator(SPEC, tmp_path / "finest.tar")


LOG = """\
==================== Replication 0 ====================
Time: 2025-11-21 17:40:01.000002
---> [ground truth] Matching Score: 2.9740
---> [ground truth] R_precision: (top 1): 0.5110 (top 2): 0.7030 (top 3): 0.7970 
---> [vald] Matching Score: 3.3300
---> [vald] R_precision: (top 1): 0.4550 (top 2): 0.6450 (top 3): 0.7490 
Time: 2025-11-21 17:40:01.000002
---> [ground truth] FID: 0.0020
---> [vald] FID: 0.4000
Time: 2025-11-21 17:40:01.000002
---> [ground truth] Diversity: 9.5030
---> [vald] Diversity: 9.9200
Time: 2025-11-21 17:40:01.000002
---> [vald] Multimodality: 2.2900
!!! DONE !!!
==================== Replication 1 ====================
Time: 2025-11-21 17:40:01.000002
---> [ground truth] Matching Score: 2.9740
---> [ground truth] R_precision: (top 1): 0.5110 (top 2): 0.7030 (top 3): 0.7970 
---> [vald] Matching Score: 3.3300
---> [vald] R_precision: (top 1): 0.4550 (top 2): 0.6450 (top 3): 0.7490 
Time: 2025-11-21 17:40:01.000002
---> [ground truth] FID: 0.0020
---> [vald] FID: 0.6000
Time: 2025-11-21 17:40:01.000002
---> [ground truth] Diversity: 9.5030
---> [vald] Diversity: 9.9200
Time: 2025-11-21 17:40:01.000002
---> [vald] Multimodality: 2.2900
!!! DONE !!!
========== Matching Score Summary ==========
---> [ground truth] Mean: 2.9740 CInterval: 0.0000
---> [vald] Mean: 3.3300 CInterval: 0.0000
========== R_precision Summary ==========
---> [ground truth](top 1) Mean: 0.5110 CInt: 0.0000;(top 2) Mean: 0.7030 CInt: 0.0000;(top 3) Mean: 0.7970 CInt: 0.0000;
---> [vald](top 1) Mean: 0.4550 CInt: 0.0000;(top 2) Mean: 0.6450 CInt: 0.0000;(top 3) Mean: 0.7490 CInt: 0.0000;
========== FID Summary ==========
---> [ground truth] Mean: 0.0020 CInterval: 0.0000
---> [vald] Mean: 0.5000 CInterval: 0.1386
========== Diversity Summary ==========
---> [ground truth] Mean: 9.5030 CInterval: 0.0000
---> [vald] Mean: 9.9200 CInterval: 0.0000
========== MultiModality Summary ==========
---> [vald] Mean: 2.2900 CInterval: 0.1386
"""  # noqa: W291, E501 published: long lines, and one that ends in a blank


def example() -> dict[str, dict[str, list[float]]]:
    tops = {f"r_precision_top{k}": 0 for k in (1, 2, 3)}
    real = {"matching_score": 2.974, **tops, "fid": 0.002, "diversity": 9.503}
    real |= {"r_precision_top1": 0.511, "r_precision_top2": 0.703, "r_precision_top3": 0.797}
    made = real | {"matching_score": 3.33, "diversity": 9.92, "multimodality": 2.29}
    made |= {"r_precision_top1": 0.455, "r_precision_top2": 0.645, "r_precision_top3": 0.749}
    values = {
        row: {name: [value] * 2 for name, value in found.items()} for row, found in ((REAL, real), (GENERATED, made))
    }
    values[GENERATED]["fid"] = [0.4, 0.6]
    return values


def test_the_published_log_byte_for_byte():
    found = text_record.log_text(example(), datetime(2025, 11, 21, 17, 40, 1, 2))
    assert found == LOG.replace("Mean: 2.2900 CInterval: 0.1386", "Mean: 2.2900 CInterval: 0.0000")
    without = {row: {n: v for n, v in of.items() if n != "multimodality"} for row, of in example().items()}
    short = text_record.log_text(without, datetime(2025, 11, 21))
    assert short.endswith("========== MultiModality Summary ==========\n"), "published: its title stays"
    assert "Multimodality:" not in short and short.count("Time: ") == 6


@pytest.mark.parametrize(
    ("path", "guidance", "hidden", "name"),
    [
        ("save/humanml_enc/model000475000.pt", 2.5, 0.1, "eval_humanml_humanml_enc_000475000_gscale2.5_wo_mm"),
        ("save/humanml_enc/model000475000.pt", 1.0, 0.1, "eval_humanml_humanml_enc_000475000_wo_mm"),
        ("save/humanml_enc/model000475000.pt", 7.5, 0.0, "eval_humanml_humanml_enc_000475000_wo_mm"),
        ("save/mocap_text/checkpoint_12000.pth", 7.5, 0.1, "eval_humanml_mocap_text_12000_gscale7.5_wo_mm"),
    ],
)
def test_the_published_name_of_the_log(data, path, guidance, hidden, name):
    session = dip_session(folder=data, guidance_param=guidance)
    options = dataclasses.replace(session.model_options, cond_mask_prob=hidden)
    session = dataclasses.replace(session, path=Path(path), model_options=options)
    assert text_record.log_stem(session, "wo_mm") == Path(path).parent / name


def test_too_few_motions_for_the_pairs_are_told(data):
    evaluation = text_scores.prepared(whole_session(data), Plain(), TextSettings(samples=64))
    assert text_record.few_pairs(evaluation) == (
        "Diversity is that of fewer than 300 pairs: 31 of ground truth, 63 of vald\n"
    )
    assert text_scores.diversity_pairs(1024) == 300
