"""Heat maps: what they show, what they are called, and what they never replace."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.images.listing import expand_paths
from rsfiqa.images.location import file_state
from rsfiqa.scale import MosScale
from rsfiqa.score import heatmap
from rsfiqa.score.result import Score
from tests.support.scoring import Recorder, run

SCALE = MosScale(0, 100)


def test_heat_maps_have_the_pictures_shape_and_names_of_their_own(
    pictures, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.chdir(pictures)
    (pictures / "c.png").write_bytes((pictures / "b/c.png").read_bytes())
    output = tmp_path / "s.csv"
    run(["a.png"], checkpoint, output)
    run(["a.png", "c.png", "b/c.png"], checkpoint, output, heatmaps=tmp_path / "heat")
    result = sorted(str(p.relative_to(tmp_path / "heat")) for p in tmp_path.glob("heat/**/*.png"))
    assert result == ["a.png.png", "b/c.png.png", "c.png.png"]  # that of a.png too
    with Image.open(tmp_path / "heat/a.png.png") as image:
        assert image.height == 70 + heatmap.LEGEND_HEIGHT
        assert image.width >= 90  # as wide as the legend
    assert heatmap.heatmap_path(Path("h"), "/x/a.jpg") == Path("h/x/a.jpg.png")
    assert ".." not in heatmap.heatmap_path(Path("h"), "../a.jpg").parts


def save(path: Path, value: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (70, 90, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


def test_a_picture_of_the_same_name_is_not_replaced(checkpoint, tmp_path, monkeypatch):
    """A picture of the user's own that is called as the heat map of another would be."""
    save(tmp_path / "a.jpg")
    own = save(tmp_path / "a.jpg.png", 1).read_bytes()
    with pytest.raises(
        InputError, match=r"a.jpg.png: must not exist or be a heat map of rsfiqa, f"
    ):
        run([tmp_path], checkpoint, tmp_path / "s.csv", heatmaps=Path("/"))
    assert (tmp_path / "a.jpg.png").read_bytes() == own
    assert not (tmp_path / "s.csv").exists()


def test_any_other_file_is_not_replaced(checkpoint, tmp_path):
    picture = save(tmp_path / "a.jpg")
    target = heatmap.heatmap_path(tmp_path / "heat", str(picture))
    target.parent.mkdir(parents=True)
    (tmp_path / "elsewhere.png").write_bytes(picture.read_bytes())
    for make in (
        lambda: target.write_text("mine"),
        lambda: target.symlink_to(tmp_path / "elsewhere.png"),
        lambda: target.symlink_to(tmp_path / "nowhere.png"),
        target.mkdir,
    ):
        make()
        with pytest.raises(InputError, match="must not exist or be a heat map of rsfiqa"):
            heatmap.check_paths(tmp_path / "heat", [str(picture)])
        target.rmdir() if target.is_dir() and not target.is_symlink() else target.unlink()
    heatmap.check_paths(tmp_path / "heat", [str(picture)])


def test_heat_maps_beside_the_pictures_are_not_scored(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.jpg")
    assert run(["."], checkpoint, Path("s.csv"), heatmaps=Path())
    assert (tmp_path / "a.jpg.png").is_file()
    second = Recorder(tmp_path / "second.log")
    assert run(["."], checkpoint, Path("s.csv"), heatmaps=Path(), score_one=second)
    assert second.paths == []
    assert expand_paths(["."]).paths == ["a.jpg"]


def test_a_heat_map_is_drawn_again_for_another_picture_or_checkpoint(
    checkpoint, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.jpg")
    run(["a.jpg"], checkpoint, Path("s.csv"), heatmaps=Path("heat"))
    first = (tmp_path / "heat/a.jpg.png").read_bytes()
    save(tmp_path / "a.jpg", 2)
    run(["a.jpg"], checkpoint, Path("s.csv"))  # scored anew, without a heat map
    recorder = Recorder(tmp_path / "log")
    run(["a.jpg"], checkpoint, Path("s.csv"), heatmaps=Path("heat"), score_one=recorder)
    assert recorder.paths == ["a.jpg"]
    second = (tmp_path / "heat/a.jpg.png").read_bytes()
    assert second != first
    run(["a.jpg"], checkpoint.parent / "all-00", Path("t.csv"), heatmaps=Path("heat"))
    assert (tmp_path / "heat/a.jpg.png").read_bytes() != second


def test_pictures_whose_heat_maps_have_one_name(checkpoint, tmp_path, monkeypatch):
    for day in ("day1", "day2"):
        save(tmp_path / day / "a.jpg", int(day[-1]))
    monkeypatch.chdir(tmp_path / "day1")
    run(["a.jpg"], checkpoint, heatmaps=Path("../heat"))
    first = (tmp_path / "heat/a.jpg.png").read_bytes()
    monkeypatch.chdir(tmp_path / "day2")
    with pytest.raises(InputError, match=r"must be the heat map of a.jpg, found that of .*/day1/a"):
        run(["a.jpg"], checkpoint, heatmaps=Path("../heat"))
    assert (tmp_path / "heat/a.jpg.png").read_bytes() == first
    absolute = str(tmp_path / "day1/a.jpg")
    with pytest.raises(InputError, match=r"must be the heat map of one picture, found /.* and "):
        heatmap.check_paths(tmp_path / "new", [absolute, absolute[1:]])


def test_a_name_that_leaves_no_room(checkpoint, tmp_path):
    names = ["x" * 229, "x" * 251, "é" * 126, "x" * 255]
    pictures = [save(tmp_path / "p" / name) for name in names]
    assert run(pictures, checkpoint, tmp_path / "s.csv", heatmaps=tmp_path / "heat")
    drawn = [path for path in (tmp_path / "heat").rglob("*") if path.is_file()]
    assert len(drawn) == 4
    assert all(heatmap.read_record(path) for path in drawn)


def test_a_heat_map_of_attention_is_drawn_again(checkpoint, tmp_path, monkeypatch):
    """Earlier versions drew those; their record does not say what they show."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.jpg")
    run(["a.jpg"], checkpoint, Path("s.csv"), heatmaps=Path("heat"))
    target = tmp_path / "heat/a.jpg.png"
    drawn = target.read_bytes()
    earlier = {key: value for key, value in heatmap.read_record(target).items() if key != "Shows"}
    heatmap.write(target, Image.new("RGB", (90, 70)), earlier)
    run(["a.jpg"], checkpoint, Path("s.csv"), heatmaps=Path("heat"))
    assert target.read_bytes() == drawn


def scored(cost_grid: np.ndarray, content: tuple[int, int, int, int]) -> Score:
    """The score of a picture of 400 x 240 pixels whose cells have these costs."""
    labels = np.zeros((240, 400), np.uint16)
    uniform = np.full_like(cost_grid, 1 / cost_grid.size)
    return Score(50.0, 0.5, [], labels, uniform, cost_grid, (400, 240), content, "")


def test_it_is_bright_where_points_are_lost_and_dark_on_a_good_picture():
    picture = np.full((240, 400, 3), 128, np.uint8)
    costs = np.zeros((8, 8), np.float32)
    costs[2, 6] = 30
    bad, good, best = (
        np.asarray(heatmap.heatmap(picture, scored(factor * costs, (0, 0, 400, 240)), SCALE))
        for factor in (1, 0.01, -1)
    )
    light = bad[:240, :400].sum(axis=2)
    row, column = np.unravel_index(light.argmax(), light.shape)
    assert (row * 8 // 240, column * 8 // 400) == (2, 6)
    assert light.max() == sum((196, 197, 163))  # 0.45 of grey, 0.55 of magma's end (252, 253, 191)
    assert good[:240, :400].max() < 150
    assert len(np.unique(best[:240, :400].reshape(-1, 3), axis=0)) == 1  # nothing is lost


def test_the_map_of_a_good_picture_stays_dark():
    """Although its costs are in few cells, as attention is uneven: this one scores 78."""
    costs = np.full((8, 8), 0.2, np.float32)
    costs[3:5, 3:5] = 2.5
    picture = np.full((240, 400, 3), 128, np.uint8)
    drawn = np.asarray(heatmap.heatmap(picture, scored(costs, (0, 0, 400, 240)), SCALE))
    assert drawn[:240, :400].mean(axis=2).max() < 140


def test_a_heat_map_of_other_colors_is_drawn_again(tmp_path):
    target, expected = tmp_path / "a.png", heatmap.record(file_state(str(save(tmp_path / "a"))), "")
    heatmap.write(target, Image.new("RGB", (9, 9)), expected)
    assert heatmap.is_current(target, expected)
    heatmap.write(target, Image.new("RGB", (9, 9)), expected | {"Brightest": "1"})
    assert not heatmap.is_current(target, expected)


def test_the_legend_stays_within_the_scale(monkeypatch):
    """The score of such a picture is shown as 0 of 100."""
    texts = []
    monkeypatch.setattr(heatmap.ImageDraw.ImageDraw, "text", lambda *args: texts.append(args[2]))
    costs = np.full((8, 8), 101.4 / 64, np.float32)
    heatmap.heatmap(np.zeros((240, 400, 3), np.uint8), scored(costs, (0, 0, 400, 240)), SCALE)
    assert texts == ["0", "6.2 points lost per 1/64 of the picture; 100.0 in all"]


def test_costs_add_up_over_pixels_and_spare_a_border():
    random = np.random.default_rng(0)
    grid = random.normal(0.5, 1, (8, 8)).astype(np.float32)  # some beyond the best end
    costs = scored(grid, (100, 0, 300, 240)).cost_map
    assert (costs.shape, costs.dtype) == ((240, 400), np.float32)
    assert costs.sum(dtype=np.float64) == pytest.approx(grid.sum(), abs=1e-4)
    assert not costs[:, :100].any()
    assert not costs[:, 300:].any()
    assert np.abs(np.diff(costs[:, 100:300], axis=1)).max() < 0.1 * np.ptp(costs)  # no steps


def test_a_thin_picture_between_borders_keeps_a_row():
    """Rows 19 and 20 of 40 lie between 4.9 and 5.4 of the ten rows of the heat map."""
    labels = np.zeros((40, 4000), np.uint16)
    costs = np.full((8, 8), 1.0, np.float32)
    uniform = np.full((8, 8), 1 / 64)
    score = Score(50.0, 0.5, [], labels, uniform, costs, (4000, 40), (0, 19, 4000, 21), "")
    drawn = np.asarray(heatmap.heatmap(np.zeros((40, 4000, 3), np.uint8), score, SCALE))[:10]
    assert [row for row in range(10) if drawn[row].min() > 5] == [5]
