"""The mask generator against the package's own, with a small model of the same classes."""

import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score

from rsfiqa.errors import InputError
from rsfiqa.runtime.devices import device_of
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.sam import checkpoint as sam_checkpoint
from rsfiqa.segmenters.sam.decoder import decode_points
from rsfiqa.segmenters.sam.generator import MARGIN, MaskGenerator, point_rounds
from rsfiqa.segmenters.sam.masks import (
    boxes_of,
    enlarge,
    smooth_stability_score,
    stability_score,
    visible,
)
from rsfiqa.segmenters.sam.prefetch import resize_for_sam
from tests.support.sam import SIZES


@pytest.fixture(scope="session")
def embedding():
    """Of an image, float (256, 64, 64); any tensor will do for the decoder."""
    return torch.randn(256, 64, 64, generator=torch.Generator().manual_seed(0))


def options(**changes) -> SegmentOptions:
    return SegmentOptions(backend="sam", checkpoint="x", **changes)


def blobs(count: int, side: int = 64) -> torch.Tensor:
    """Logits float (K, side, side) of discs of several sizes, 1 per pixel of distance."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    result = [
        radius - np.hypot(y - cy, x - cx)
        for cy, cx, radius in zip(
            *random.uniform(0, side, (2, count)), random.uniform(2, side / 3, count), strict=True
        )
    ]
    return torch.from_numpy(np.stack(result)).float()


def test_the_decoder_gives_what_the_packages_own_gives(model, embedding):
    points = torch.tensor([[100.0, 200.0], [500.0, 300.0], [900.0, 700.0]]).double()
    with torch.inference_mode():
        logits, iou = decode_points(model, embedding[None], points, -np.inf, (256, 256))
        labels = torch.ones(3, 1, dtype=torch.int)
        sparse, dense = model.prompt_encoder((points[:, None].float(), labels), None, None)
        expected, rated = model.mask_decoder(
            image_embeddings=embedding[None],
            image_pe=model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
    torch.testing.assert_close(logits.view(3, 3, 256, 256), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(iou.view(3, 3), rated, atol=1e-5, rtol=0)


def test_masks_with_a_low_predicted_iou_are_not_computed(model, embedding):
    points = torch.tensor([[100.0, 200.0], [500.0, 300.0]]).double()
    with torch.inference_mode():
        every, iou = decode_points(model, embedding[None], points, -np.inf, (40, 50))
        bound = iou.sort().values[3].item()  # two of six lie above
        some, rated = decode_points(model, embedding[None], points, bound, (40, 50))
        none, _ = decode_points(model, embedding[None], points, 99.0, (40, 50))
    assert some.shape == (2, 40, 50)
    torch.testing.assert_close(rated, iou[iou > bound])
    torch.testing.assert_close(some, every[iou > bound], atol=1e-5, rtol=0)
    assert none.shape == (0, 40, 50)


@pytest.mark.parametrize(("side", "strides"), [(1, (4, 2, 1)), (7, (4, 2, 1)), (32, (1,))])
def test_every_point_is_prompted_once(side, strides):
    rounds = point_rounds(side, strides)
    every = {tuple(point) for points in rounds for point in points.tolist()}
    centres = [(i + 0.5) / side for i in range(side)]
    assert sum(map(len, rounds)) == side * side
    assert every == {(x, y) for x in centres for y in centres}


def test_the_first_round_is_a_coarse_grid():
    first, second, third = point_rounds(8, (4, 2, 1))
    assert sorted(first[:, 0]) == [2.5 / 8] * 2 + [6.5 / 8] * 2
    assert (len(first), len(second), len(third)) == (4, 16, 44)


def test_stability_is_that_of_the_package():
    logits = blobs(20)
    ours = stability_score(logits, 1.0)
    torch.testing.assert_close(ours, calculate_stability_score(logits, 0.0, 1.0))
    large = model_size(logits)
    theirs = calculate_stability_score(large, 0.0, 1.0)
    smooth = smooth_stability_score(logits, 1.0)
    assert (smooth - theirs).abs().median() < 0.004
    assert (smooth - theirs).abs().max() < MARGIN


def model_size(logits: torch.Tensor) -> torch.Tensor:
    """As the package enlarges masks: four pixels for one."""
    return torch.nn.functional.interpolate(logits[None], scale_factor=4, mode="bilinear")[0]


def test_boxes_are_those_of_the_package():
    logits = blobs(20)
    theirs = batched_mask_to_box(model_size(logits) > 0)
    ours = boxes_of(logits, (256, 256), (256, 256))
    assert (ours - theirs).abs().max() <= 1


def test_stability_by_hand():
    row = torch.tensor([[[2.0, 0.5, -0.5, -2.0]]])
    assert stability_score(row, 1.0).tolist() == pytest.approx([1 / 3])
    assert stability_score(row - 9, 1.0).isnan().all()
    ramp = torch.arange(-8.0, 8.0)[None, None].expand(1, 16, 16) + 0.5  # columns, 1 a pixel
    assert smooth_stability_score(ramp, 1.0).tolist() == pytest.approx([7 / 9])


def test_covered_masks_are_not_visible():
    masks = torch.zeros(4, 4, 4, dtype=torch.bool)
    masks[0, :2] = True  # hidden by the next two
    masks[1, :2, :2] = True
    masks[2, :2, 2:] = True
    masks[3] = True
    assert visible(masks).tolist() == [1, 2, 3]
    assert visible(masks[:0]).tolist() == []


@pytest.mark.parametrize(
    ("size", "shape"),
    [((1024, 1024), (500, 500)), ((683, 1024), (334, 501)), ((1024, 33), (512, 16))],
)
def test_enlarged_masks_are_those_of_the_package(model, size, shape):
    logits = torch.nn.functional.interpolate(blobs(5)[None], (256, 256), mode="bilinear")
    theirs = model.postprocess_masks(logits, size, shape)[0] > 0
    rows, columns = (min(-(-side // 4) + 1, 256) for side in size)
    ours = enlarge(logits[0, :, :rows, :columns].half(), size, shape) > 0
    assert ours.shape == theirs.shape
    assert (ours != theirs).float().mean() < 0.003  # two interpolations against one


class Discs:
    """A decoder of discs: the masks of a point are the disc it lies in, and its core."""

    def __init__(self, model, most: int = 10**9, cores: tuple[float, ...] = ()) -> None:
        self.model, self.most, self.cores, self.prompted = model, most, (1.0, *cores), 0
        side = model.image_encoder.img_size
        self.centres = torch.tensor([[200.0, 200.0], [700.0, 300.0], [500.0, 800.0]])
        self.radii = torch.tensor([120.0, 200.0, 150.0])
        y, x = torch.meshgrid(*[torch.arange(2.0, side, 4)] * 2, indexing="ij")
        near = (torch.stack([x, y], -1) - self.centres[:, None, None]).norm(dim=-1)
        self.near = near

    def __call__(self, model, embedding, points, least_iou, shape):
        assert model is self.model
        self.prompted += len(points)
        if len(points) > self.most:
            raise torch.OutOfMemoryError
        near = (points[:, None].float() - self.centres).norm(dim=-1)
        hit = near < self.radii
        chosen = near.argmin(1)[hit.any(1)]
        radii = torch.cat([self.radii[chosen] * fraction for fraction in self.cores])
        logits = radii[:, None, None] - self.near[chosen.repeat(len(self.cores))]
        return logits[:, : shape[0], : shape[1]], torch.full((len(logits),), 0.9)


@pytest.mark.parametrize("mode", ["exact", "adaptive"])
def test_discs_become_regions(model, embedding, mode):
    decode = Discs(model)
    generator = MaskGenerator(model, options(mode=mode, points_per_side=16), decode)
    result = generator.partition(embedding, (1024, 1024), (512, 512))
    assert result.labels.shape == (512, 512)
    assert result.labels.max() == 3
    y, x = np.mgrid[:512, :512] * 2 + 1
    areas = np.bincount(result.labels.ravel())
    for label, (centre, radius) in enumerate(
        sorted(zip(decode.centres, decode.radii, strict=True), key=lambda both: -both[1]), start=1
    ):
        disc = np.hypot(x - centre[0].item(), y - centre[1].item()) < radius.item()
        inside = (result.labels == label) & disc
        assert inside.sum() / ((result.labels == label) | disc).sum() > 0.98
        assert areas[label] == pytest.approx(disc.sum(), rel=0.02)
    assert np.isnan(result.predicted_iou[0])  # what no mask claimed
    np.testing.assert_allclose(result.predicted_iou[1:], 0.9, rtol=1e-6)
    assert (result.stability[1:] > 0.95).all()


def test_adaptive_prompts_fewer_points_and_finds_as_much(model, embedding):
    result = {}
    for mode in ("exact", "adaptive"):
        decode = Discs(model, cores=(0.8, 0.64))
        generator = MaskGenerator(model, options(mode=mode, points_per_side=16), decode)
        labels = generator.partition(embedding, (1024, 1024), (512, 512)).labels
        result[mode] = (decode.prompted, labels)
    assert result["exact"][0] == 256
    assert result["adaptive"][0] < 250
    np.testing.assert_array_equal(result["adaptive"][1], result["exact"][1])
    assert result["exact"][1].max() == 8  # of 9, the ring in the smallest disc is below 1 %


def test_memory_runs_out(model, embedding):
    decode = Discs(model, most=3)
    generator = MaskGenerator(model, options(points_per_side=8, points_per_batch=64), decode=decode)
    result = generator.partition(embedding, (1024, 1024), (64, 64))
    plenty = MaskGenerator(model, options(points_per_side=8), decode=Discs(model))
    expected = plenty.partition(embedding, (1024, 1024), (64, 64))
    np.testing.assert_array_equal(result.labels, expected.labels)
    assert (generator.points_per_batch, generator.out_of_memory) == (2, 2)


def test_memory_for_a_single_point_must_be_there(model, embedding):
    generator = MaskGenerator(model, options(points_per_side=2), decode=Discs(model, most=0))
    with pytest.raises(torch.OutOfMemoryError):
        generator.partition(embedding, (1024, 1024), (64, 64))


def test_thin_images_are_one_region(model, embedding):
    result = MaskGenerator(model, options(), decode=None).partition(embedding, (1, 1024), (1, 512))
    assert result.labels.shape == (1, 512)
    assert not result.labels.any()
    assert np.isnan(result.predicted_iou).tolist() == [True]


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_less_precision_gives_nearly_the_same(model, embedding, precision):
    few = {"points_per_side": 1, "pred_iou_thresh": -9.0, "stability_score_thresh": 0.0}
    result = {}
    for name in ("fp32", precision):
        generator = MaskGenerator(model, options(**few, precision=name, box_nms_thresh=1.0))
        with torch.inference_mode():
            result[name] = generator.masks(embedding, (1024, 1024), (64, 64))
        assert result[name].logits.dtype == torch.float16
        assert result[name].iou.dtype == result[name].stability.dtype == torch.float32
    before, after = result["fp32"], result[precision]
    order = [masks.iou.argsort() for masks in (before, after)]
    assert len(order[0]) == len(order[1]) == 3
    torch.testing.assert_close(after.iou[order[1]], before.iou[order[0]], atol=0.01, rtol=0)
    same = (after.logits[order[1]] > 0) == (before.logits[order[0]] > 0)
    assert same.float().mean() > 0.9  # noise of random weights lies close to its threshold


def test_masks_are_those_of_the_package(model):
    """All points of a small grid on a photograph, with thresholds that random weights pass."""
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    few = {
        "points_per_side": 3,
        "pred_iou_thresh": -9.0,
        "stability_score_thresh": 0.0,
        "stability_score_offset": 0.01,
        "box_nms_thresh": 1.0,
    }
    generator = MaskGenerator(model, options(**few))
    resized = resize_for_sam("a", image, 1024, 512)
    ((_, embedding),) = generator.embed([[resized]])
    with torch.inference_mode():
        result = generator.masks(embedding, resized.size, resized.shape)
    masks = enlarge(result.logits, resized.size, resized.shape) > 0
    stock = SamAutomaticMaskGenerator(model, **few).generate(image)
    stock.sort(key=lambda row: -row["predicted_iou"])
    assert len(stock) == len(masks) > 0
    for ours, theirs in zip(masks.numpy(), stock, strict=True):
        both = (ours & theirs["segmentation"]).sum() / (ours | theirs["segmentation"]).sum()
        assert both > 0.9


def test_the_architecture_follows_from_the_tensors(checkpoint, model):
    state = torch.load(checkpoint, weights_only=True)
    assert sam_checkpoint.architecture(checkpoint, state) == SIZES
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert not model.training
    assert sam_checkpoint.check(options_of(checkpoint)) == checkpoint


def options_of(path, **changes) -> SegmentOptions:
    return SegmentOptions(backend="sam", checkpoint=str(path), **changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"segment.checkpoint: must be a file, found none at .*x.pth; get one at https://"),
        ("text", r"x.pth: must be a checkpoint of segment-anything, found no state dict \(.*get"),
        ([1], r"x.pth: must be a checkpoint of segment-anything, found a list; get one at"),
        ({"a": torch.zeros(1)}, r"x.pth: must be a checkpoint .*, found other tensors \(.*get"),
        ("less", r"x.pth: must be a checkpoint .*, found 1 other tensors, mask_decoder"),
        ("more", r"x.pth: must be a checkpoint .*, found 1 other tensors, unknown the first"),
    ],
)
def test_a_file_that_is_not_a_checkpoint(tmp_path, checkpoint, content, message):
    path = tmp_path / "x.pth"
    if content == "text":
        path.write_text("no checkpoint", "utf-8")
    elif content in ("less", "more"):
        state = torch.load(checkpoint, weights_only=True)
        if content == "less":
            del state["mask_decoder.iou_token.weight"]
        else:
            state["unknown"] = torch.zeros(1)
        torch.save(state, path)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(InputError, match=message) as caught:
        sam_checkpoint.check(options_of(path))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_type(checkpoint):
    message = r"must hold vit_b \(segment.model_type\), found an encoder of width 96; set model"
    with pytest.raises(InputError, match=message):
        sam_checkpoint.check(options_of(checkpoint, model_type="vit_b"))


def test_no_checkpoint_is_given():
    with pytest.raises(InputError, match=r"segment.checkpoint: must be given for the backend sam"):
        sam_checkpoint.check(SegmentOptions(backend="sam"))


def test_a_gpu_that_is_not_there():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(
        InputError, match=r"segment.device: must be a device of this machine, found no cuda"
    ):
        device_of("cuda", "segment.device")
    assert device_of("auto", "segment.device") == torch.device("cpu")
