"""The scorer in the interfaces of other libraries, each in three lines."""

import multiprocessing

import numpy as np
import pytest
import torch
from PIL import Image

import rsfiqa
from rsfiqa.datasets import demo
from rsfiqa.errors import InputError
from rsfiqa.score.scorer import Scorer


@pytest.fixture(scope="module")
def scorer():
    return Scorer.load(device="cpu")


@pytest.fixture(scope="module")
def pixels():
    return np.stack(
        [
            demo.photograph(f"skimage/data/{name}.png")[:96, :128]
            for name in ("chelsea", "coffee", "astronaut")
        ]
    )


@pytest.fixture(scope="module")
def batch(pixels):
    return torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255


def test_as_a_metric_of_pyiqa(scorer, pixels, batch, tmp_path):
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    metric = rsfiqa.create_metric("rsfiqa", device=torch.device("cpu"))
    scores = metric(batch)
    assert scores.shape == (3,)
    expected = scorer.score(pixels[0]).score
    assert metric(str(tmp_path / "a.png")).item() == pytest.approx(expected, abs=1e-3)
    assert scores[0].item() == pytest.approx(expected, abs=1e-3)
    assert (metric.lower_better, metric.score_range) == (False, (0, 100))


def test_a_metric_of_another_name_is_refused():
    with pytest.raises(InputError, match="metric: must be rsfiqa or the folder of a checkpoint"):
        rsfiqa.create_metric("musiq")
    with pytest.raises(InputError, match=r"^device: must be auto or one of torch.* found gpu"):
        rsfiqa.create_metric(device="gpu")


def test_arguments_of_pyiqa_are_taken(scorer, batch):
    metric = rsfiqa.create_metric("rsfiqa", False, device="cpu")
    expected = scorer(batch[:1]).tolist()
    assert metric(batch[:1], batch[1:2]).tolist() == metric(batch[:1], ref=None).tolist()
    assert metric(batch[:1], None).tolist() == pytest.approx(expected)
    with pytest.raises(InputError, match=r"^as_loss: must be False, .* gradient, found True; "):
        rsfiqa.create_metric("rsfiqa", device="cpu", as_loss=True)


def test_as_a_metric_of_torchmetrics(scorer, batch):
    torchmetrics = pytest.importorskip("torchmetrics", reason="needs 'rsfiqa[adapters]'")
    from rsfiqa.adapters.torchmetrics import MeanScore

    metric = MeanScore(scorer)
    metric.update(batch[:2])
    metric.update(batch[2:])
    assert isinstance(metric, torchmetrics.Metric)
    assert metric.compute().item() == pytest.approx(scorer(batch).mean().item(), abs=1e-4)
    metric.reset()
    assert int(metric.count) == 0
    assert metric.higher_is_better


def half(rank, port, batch, queue):
    """The mean of two processes, of which one has two images and the other one."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    from rsfiqa.adapters.torchmetrics import MeanScore

    metric = MeanScore(Scorer.load(device="cpu"))
    metric.update(batch[:2] if rank == 0 else batch[2:])
    queue.put(metric.compute().item())
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_the_mean_of_torchmetrics_is_that_of_all_processes(scorer, batch):
    pytest.importorskip("torchmetrics", reason="needs 'rsfiqa[adapters]'")
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [
        context.Process(target=half, args=(rank, port, batch, queue), daemon=True)
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    found = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(60)
    assert found == pytest.approx([scorer(batch).mean().item()] * 2, abs=1e-3)


def test_as_a_function_of_datasets(scorer, pixels, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    datasets = pytest.importorskip("datasets", reason="needs 'rsfiqa[adapters]'")
    from rsfiqa.adapters.datasets import ScoreColumns

    pictures = [Image.fromarray(each) for each in pixels]
    dataset = datasets.Dataset.from_dict({"image": pictures}).cast_column("image", datasets.Image())
    scored = dataset.map(ScoreColumns(scorer), batched=True, batch_size=2)
    expected = scorer.score(pixels[0])
    assert scored["score"][0] == pytest.approx(expected.score, abs=1e-4)
    assert (scored["word"][0], scored["reason"][0]) == (expected.word, expected.reason)
    assert len(scored["worst_box"][0]) == 4
    assert list(scored["score_error"]) == [None] * 3


def test_a_damaged_file_of_a_data_set_gets_an_error_alone(scorer, pixels, tmp_path, monkeypatch):
    """Undecoded, by path and by bytes, as the documentation sets it up."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets", reason="needs 'rsfiqa[adapters]'")
    from rsfiqa.adapters.datasets import ScoreColumns

    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(content[: len(content) // 3])
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "gone.png")]
    images = [*paths, {"bytes": content, "path": None}, {"bytes": b"", "path": "c.png"}, None]
    dataset = datasets.Dataset.from_dict(
        {"image": images}, features=datasets.Features({"image": datasets.Image(decode=False)})
    )
    scored = dataset.map(ScoreColumns(scorer), batched=True)
    errors = list(scored["score_error"])
    assert (errors[0], errors[3]) == (None, None)
    assert scored["score"][0] == scored["score"][3] == pytest.approx(scorer.score(pixels[0]).score)
    assert "damaged" in errors[1] or "cut" in errors[1]
    assert errors[2:] == ["no such file", None, "empty file (0 bytes)", "no image"]
    with pytest.raises(InputError, match=r"^column: image must be a batch .* with batched=True$"):
        dataset.map(ScoreColumns(scorer))


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), 5, {"url": "a.jpg"}])
def test_a_source_of_the_wrong_type_is_no_damaged_image(scorer, image):
    from rsfiqa.adapters.datasets import ScoreColumns

    with pytest.raises(InputError, match=r"^image: must be "):
        ScoreColumns(scorer)({"image": [image]})


@pytest.mark.parametrize("image", [Image.new("RGB", (8, 8)), "a.jpg", b"x", {"bytes": b""}, None])
def test_one_image_instead_of_a_batch_is_refused(scorer, image):
    from rsfiqa.adapters.datasets import ScoreColumns

    with pytest.raises(InputError, match=r"image must be a batch of images, found one .*batched"):
        ScoreColumns(scorer)({"image": image})


def test_an_image_that_cannot_be_read_gets_an_error_and_no_score(scorer, pixels):
    from rsfiqa.adapters.datasets import ScoreColumns

    found = ScoreColumns(scorer)({"image": [b"no picture", pixels[0]]})
    assert (found["score"][0], found["worst_box"][0]) == (None, None)
    assert found["score_error"][0]
    assert found["score_error"][1] is None


def test_a_missing_column_is_refused(scorer):
    from rsfiqa.adapters.datasets import ScoreColumns

    with pytest.raises(InputError, match="column: must be one of picture, found image"):
        ScoreColumns(scorer)({"picture": []})
