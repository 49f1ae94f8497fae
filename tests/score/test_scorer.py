"""A single image scored in process, against the stages of the pipeline."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import rsfiqa
from rsfiqa import checkpoints, samples
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.encoders.files import PACKAGED, encoder_folder
from rsfiqa.errors import ImageError, InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import read_json_with_checksum
from rsfiqa.products.versions import VERSIONS
from rsfiqa.scale import itu_level
from rsfiqa.score.scorer import Scorer
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.sam import segmenter as sam_segmenter
from tests.support.checkpoints import with_card
from tests.support.completion_server import MODEL, Server, completion
from tests.support.pipeline import made
from tests.support.sam import write_checkpoint

CHECKPOINT = "train/tiny.full/split-00"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made(tmp_path_factory)


@pytest.fixture(scope="module")
def scorer(root):
    return Scorer(root / CHECKPOINT)


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("sam") / "small.pth")


def test_the_score_is_that_of_the_pipeline(root, scorer):
    data = samples.load(root / "tiny")
    model, _ = checkpoints.read(root / "train/tiny.full/split-00")
    qualities = benchmark.predict_quality(model, data)
    for path, quality in zip(data.rows["path"].to_pylist()[:4], qualities, strict=False):
        result = scorer.score(path)
        assert result.score == pytest.approx(1 + 4 * quality, abs=4e-4)  # MOS in [1, 5]


def test_the_parts_add_up(root, scorer):
    data = samples.load(root / "tiny")
    result = scorer.score(data.rows["path"][0].as_py())
    regional = sum(region.weight * region.score for region in result.regions)
    assert result.score == pytest.approx(regional, abs=1e-5)
    lost = 5 - result.score  # MOS in [1, 5]
    assert sum(region.cost for region in result.regions) == pytest.approx(lost, abs=1e-5)
    assert result.cost_grid.sum() == pytest.approx(lost, abs=1e-5)
    assert (result.cost_map.shape, result.cost_map.dtype) == (result.attention.shape, np.float32)
    assert result.cost_map.sum(dtype=np.float64) == pytest.approx(lost, abs=1e-4)
    assert sum(region.weight for region in result.regions) == pytest.approx(1, abs=1e-5)
    assert result.attention.sum() == pytest.approx(1, abs=1e-4)
    height, width = result.attention.shape
    for region in result.regions:
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
    assert 0 <= result.quality <= 1


def test_a_path_an_array_and_an_image_score_the_same(root, scorer):
    path = samples.load(root / "tiny").rows["path"][1].as_py()
    image = Image.open(path)
    scores = {scorer.score(x).score for x in (path, Path(path), image, np.asarray(image))}
    assert len(scores) == 1


@pytest.mark.parametrize(("shape", "dtype"), [((8, 8, 2), "uint8"), ((8, 8, 3), "float32")])
def test_an_array_that_is_no_picture(scorer, shape, dtype):
    with pytest.raises(InputError, match=r"image: must be uint8 \(H, W, 3\), found"):
        scorer.score(np.zeros(shape, dtype))


def test_a_file_that_is_no_picture(scorer, tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(ImageError, match="not an image"):
        scorer.score(tmp_path / "a.jpg")


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (16, 16), (700, 20)])
def test_pictures_of_odd_shapes(scorer, shape):
    result = scorer.score(np.full((*shape, 3), 128, np.uint8))
    assert np.isfinite(result.score)
    assert result.attention.shape == result.cost_map.shape == shape
    lost = sum(region.cost for region in result.regions)
    assert result.cost_map.sum(dtype=np.float64) == pytest.approx(lost, abs=1e-4)


def test_the_package_brings_it_without_importing_it():
    line = "import rsfiqa, sys; print('torch' in sys.modules, rsfiqa.Scorer.__name__)"
    result = subprocess.run(
        [sys.executable, "-c", line], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "Scorer"]
    with pytest.raises(AttributeError, match="'rsfiqa' has no attribute 'Score'"):
        rsfiqa.Score  # noqa: B018


def test_load_takes_the_packaged_checkpoint(root, monkeypatch):
    monkeypatch.setattr(checkpoints, "PACKAGED", root / CHECKPOINT)
    assert Scorer.load().digest == Scorer.load(str(root / CHECKPOINT), "cpu").digest


def test_an_option_that_is_none(root):
    with pytest.raises(InputError, match=r"Scorer: .*endpoint.*found 'nowhere'"):
        Scorer.load(root / CHECKPOINT, endpoint=("nowhere",))


def test_a_device_of_torch(root):
    assert Scorer.load(root / CHECKPOINT, torch.device("cpu")).mean.device.type == "cpu"
    for device in ("cuda:99", torch.device("cuda", 99)):
        with pytest.raises(InputError, match=r"^device: must be a device .* found no cuda:99; set"):
            Scorer.load(root / CHECKPOINT, device)
    with pytest.raises(InputError, match=r"^Scorer: device: .* found 'xla'"):
        Scorer.load(root / CHECKPOINT, "xla")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_missing_is_no_option_of_the_command(root, device):
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("needs a machine without GPU")
    with pytest.raises(InputError, match=rf"^device: must be a device .* found no {device}; set"):
        Scorer.load(root / CHECKPOINT, device)


def test_a_packed_checkpoint_scores_the_same(root, scorer, tmp_path):
    checkpoints.pack(root / CHECKPOINT, tmp_path, {})
    path = samples.load(root / "tiny").rows["path"][0].as_py()
    assert Scorer(tmp_path).score(path).score == pytest.approx(scorer.score(path).score, abs=4e-3)


def test_it_is_called_as_a_metric(scorer, noise):
    batch = torch.from_numpy(np.stack([noise, 255 - noise])).permute(0, 3, 1, 2).float() / 255
    result = scorer(batch.requires_grad_())
    expected = [scorer.score(image).score for image in (noise, 255 - noise)]
    assert result.tolist() == pytest.approx(expected, abs=1e-5)
    assert (result.shape, result.dtype, result.requires_grad) == ((2,), torch.float32, False)
    assert (scorer.lower_better, scorer.score_range) == (False, (1, 5))
    assert scorer(batch[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.zeros(3, 8, 8), r"must be float \(B, 3, H, W\), found torch.float32 \(3, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "must be float .*, found torch.uint8"),
        (torch.full((1, 3, 8, 8), 200.0), r"must lie in \[0, 1\], found \[200, 200\]; scale"),
    ],
)
def test_a_batch_that_is_none(scorer, batch, message):
    with pytest.raises(InputError, match=message):
        scorer(batch)


def test_many_images_one_of_them_damaged(scorer, noise, tmp_path):
    (tmp_path / "a.png").write_text("text")
    first, bad, last = scorer.score_many([noise, tmp_path / "a.png", noise])
    assert first.score == last.score
    assert str(bad) == "not an image of a known format"


def test_one_picture_is_a_batch_of_one(scorer, noise, tmp_path):
    Image.fromarray(noise).save(tmp_path / "a.png")
    expected = scorer.score(noise).score
    for source in (str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes(), noise):
        result = scorer(source)
        assert (result.shape, result.dtype) == ((1,), torch.float32)
        assert result.tolist() == pytest.approx([expected], abs=1e-5)
    with pytest.raises(InputError, match=r"image: must be a path, bytes, .*, found NoneType"):
        scorer(None)


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (90, 120, 200)])
def test_borders_do_not_count(scorer, color):
    picture = np.random.default_rng(1).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    whole = np.full((96 + 40 + 30, 128 + 20, 3), color, np.uint8)
    whole[40:136, 20:] = picture
    whole = np.concatenate([whole, np.full_like(whole[:, :10], color)], axis=1)
    expected, result = scorer.score(picture), scorer.score(whole)
    assert result.score == expected.score
    assert (result.size, result.content) == ((158, 166), (20, 40, 148, 136))
    for ours, theirs in zip(result.regions, expected.regions, strict=True):
        assert ours == replace(theirs, box=tuple(np.add(theirs.box, (20, 40, 20, 40))))
    assert result.reason == expected.reason
    assert result.worst == result.regions[expected.regions.index(expected.worst)]
    assert result.labels.shape == (166, 158)
    np.testing.assert_array_equal(result.labels[40:136, 20:148], expected.labels)
    np.testing.assert_array_equal(result.scored_labels[40:136, 20:148], expected.labels)
    assert (result.scored_labels >= 0).sum() == expected.labels.size
    assert result.attention.shape == (166, 158)
    assert result.attention[40:136, 20:148].sum() == pytest.approx(1, abs=1e-4)
    assert result.attention_grid.sum() == pytest.approx(1, abs=1e-5)
    lost = expected.cost_map.sum(dtype=np.float64)
    assert result.cost_map.sum(dtype=np.float64) == pytest.approx(lost, abs=1e-5)
    assert result.cost_map[40:136, 20:148].sum(dtype=np.float64) == pytest.approx(lost, abs=1e-5)
    assert expected.content == (0, 0, 128, 96)


def test_the_border_of_a_file_is_flagged_and_left_out_by_the_command(root, scorer, tmp_path):
    """Also for the first picture, which another process describes."""
    picture = np.random.default_rng(1).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    bars = np.zeros((24, 128, 3), np.uint8)
    Image.fromarray(np.concatenate([bars, picture, bars])).save(tmp_path / "a.png")
    line = [sys.executable, "-m", "rsfiqa", "score", "a.png", "-o", "s.jsonl", "--workers=1"]
    subprocess.run([*line, "--checkpoint", root / CHECKPOINT], cwd=tmp_path, check=True)
    row = json.loads((tmp_path / "s.jsonl").read_text())
    assert row["score"] == pytest.approx(scorer.score(picture).score, abs=1e-4)
    assert row["flags"] == ["border"]
    assert row["worst_box"][1] >= 24


def test_many_images_of_which_some_are_none(scorer, noise):
    good, none, empty, last = scorer.score_many([noise, None, noise[:0], noise])
    assert good == last
    assert "found NoneType" in str(none)
    assert "must have pixels" in str(empty)
    assert {type(none), type(empty)} == {ImageError}
    with pytest.raises(InputError, match=r"images: must be several, found str; give a list of it"):
        scorer.score_many("photo.jpg")


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_copy_scores_as_the_upright_picture(scorer, tmp_path, orientation):
    picture = np.random.default_rng(1).integers(0, 256, (10, 8, 3)).astype(np.uint8)
    picture = np.kron(picture, np.ones((16, 16, 1), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "upright.png")
    stored = np.rot90(picture, {3: 2, 6: 1}[orientation])
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    upright, turned = (scorer.score(tmp_path / f"{name}.png") for name in ("upright", "turned"))
    assert upright.score == turned.score
    assert upright.regions == turned.regions
    assert turned.size == (128, 160)


def test_a_huge_picture_scores_alike_however_it_is_read(scorer, tmp_path):
    """Whole, in blocks, by JPEG's decoder: within a hundredth of the range."""
    coarse = np.random.default_rng(2).integers(0, 256, (17, 25)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((6100, 4100), Image.Resampling.BICUBIC)
    image = image.convert("RGB")
    image.save(tmp_path / "a.png", compress_level=1)
    image.save(tmp_path / "a.jpg", quality=95)
    whole = scorer.score(np.asarray(image))
    for name in ("a.png", "a.jpg"):
        result = scorer.score(tmp_path / name)
        assert result.score == pytest.approx(whole.score, abs=0.04)
        assert result.size == (6100, 4100)
        assert max(region.box[2] for region in result.regions) == 6100


def test_a_checkpoint_of_another_version_of_a_stage(root, tmp_path):
    card = read_json_with_checksum(root / CHECKPOINT / "card.json")
    folder = with_card(
        root / CHECKPOINT, tmp_path / "old", caption=card["caption"] | {"version": 1}
    )
    current = VERSIONS["caption"]
    message = rf"old: must be trained on products of caption {current}, found 1; train it again$"
    with pytest.raises(InputError, match=message):
        Scorer.load(folder)


def test_an_encoder_whose_weights_were_with_card(root, tmp_path):
    encoder = tmp_path / "encoder"
    shutil.copytree(encoder_folder(PACKAGED), encoder)
    weights = encoder / "model.safetensors"
    before = sha256_of(weights)
    tensors = load_file(weights)
    tensors["embeddings.LayerNorm.bias"] += 0.1
    save_file(tensors, weights, {"format": "pt"})
    made_by = read_json_with_checksum(root / CHECKPOINT / "card.json")["encoder"]
    made_by |= {"encoder": str(encoder), "sha256": before}
    folder = with_card(root / CHECKPOINT, tmp_path / "old", encoder=made_by)
    with pytest.raises(
        InputError, match=r"encoder: must hold the weights of the encoder trained o"
    ):
        Scorer.load(folder)


@pytest.mark.parametrize("lower_better", [False, True])
def test_costs_are_points_below_the_best_end_in_either_direction(
    root, scorer, noise, tmp_path, lower_better
):
    turned = with_card(
        root / CHECKPOINT, tmp_path / "dmos", mos_range=[0.0, 80.0], lower_better=lower_better
    )
    result, quality = Scorer.load(turned).score(noise), (scorer.score(noise).score - 1) / 4
    assert result.score == pytest.approx(80 * (1 - quality if lower_better else quality), abs=1e-4)
    for region in result.regions:
        lost = region.score if lower_better else 80 - region.score
        assert region.cost == pytest.approx(region.weight * lost, abs=1e-4)
    lost = 80 * (1 - quality)
    assert sum(region.cost for region in result.regions) == pytest.approx(lost, abs=1e-4)
    assert result.cost_map.sum(dtype=np.float64) == pytest.approx(lost, abs=1e-3)


def test_the_word_of_a_region_is_that_of_its_predicted_quality(scorer, noise):
    for region in scorer.score(noise).regions:
        level = itu_level((region.score - 1) / 4)
        assert region.text.endswith(f"Overall {level}.")
        is_undistorted = not region.distortions and level in ("good", "excellent")
        assert ("no distortion" in region.text) == is_undistorted


class TestSAM:
    """A checkpoint whose regions come from segment-anything."""

    @pytest.fixture
    def folder(self, root, sam, tmp_path):
        options = SegmentOptions(backend="sam", checkpoint=str(sam), points_per_side=2)
        made_by = {"version": VERSIONS["segment"], "sha256": sha256_of(sam), **options.recorded()}
        return with_card(root / CHECKPOINT, tmp_path / "sam", segment=made_by)

    def test_regions_are_those_of_the_stage(self, folder, sam, noise):
        scorer = Scorer.load(folder, sam_checkpoint=str(sam))
        options = SegmentOptions(backend="sam", checkpoint=str(sam), points_per_side=2)
        expected = sam_segmenter.load(options).segment(noise).labels
        np.testing.assert_array_equal(scorer.score(noise).labels, expected)

    def test_it_is_not_given(self, folder):
        with pytest.raises(InputError, match=r"--sam-checkpoint: must be given .*; give the file"):
            Scorer.load(folder)

    def test_another_is_given(self, root, sam, tmp_path):
        made_by = {"version": VERSIONS["segment"], "backend": "sam", "sha256": "0" * 64}
        folder = with_card(root / CHECKPOINT, tmp_path / "sam", segment=made_by)
        with pytest.raises(
            InputError, match=r"small.pth: must be the checkpoint .*\(0000.*, found"
        ):
            Scorer.load(folder, sam_checkpoint=str(sam))


class TestModel:
    """A checkpoint whose captions come from a model behind a server."""

    @pytest.fixture
    def folder(self, root, tmp_path):
        options = CaptionOptions(backend="vllm", model=MODEL, attempts=1)
        made_by = {"version": VERSIONS["caption"], **options.recorded()}
        return with_card(root / CHECKPOINT, tmp_path / "vllm", caption=made_by)

    def test_regions_have_the_models_ratings(self, folder, noise):
        with Server() as server:
            result = Scorer.load(folder, endpoint=(server.url,)).score(noise)
        assert len(server.bodies) == len(result.regions)
        for region in result.regions:
            assert region.content == "a wall"
            assert region.ratings["noise"] == pytest.approx(2, abs=0.5)
            assert region.ratings["overall"] == pytest.approx(min(max(region.score, 1), 5))
            level = itu_level((region.score - 1) / 4)
            assert region.text == f"a wall with strong noise and slight blur. Overall {level}."
            assert region.distortions == [("noise", 4), ("blur", 2)]

    def test_an_answer_that_cannot_be_used(self, folder, noise):
        """The region counts as one without caption, as in the pipeline."""
        with Server(lambda body, number: completion("no JSON")) as server:
            result = Scorer.load(folder, endpoint=(server.url,)).score(noise)
        assert np.isfinite(result.score)
        for region in result.regions:
            assert region.text == ""
            *others, overall = region.ratings.values()
            assert np.isnan(others).all()
            assert overall == pytest.approx(min(max(region.score, 1), 5))  # MOS in [1, 5]

    def test_no_server_is_named(self, folder):
        with pytest.raises(InputError, match=r"--endpoint: must be given .* server of tiny$"):
            Scorer.load(folder)
