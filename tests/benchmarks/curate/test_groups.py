import pyarrow.parquet as pq

from benchmarks.curate import groups
from benchmarks.curate.scenes import write_scenes, write_table
from rsfiqa import cli


def test_made_pictures_are_grouped_by_scene(tmp_path):
    scenes = write_scenes(tmp_path / "pictures", 18)
    assert len(scenes) == 18
    write_table(tmp_path / "s.parquet", tmp_path / "pictures")
    words = ["group", str(tmp_path / "s.parquet"), "-o", str(tmp_path / "g.parquet")]
    assert cli.main([*words, "--workers", "1"]) == 0
    rows = pq.read_table(tmp_path / "g.parquet").to_pylist()
    assert groups.figures_of(rows, scenes) == {"group_scenes": 1, "group_enlarged": 1}


def test_a_scene_in_two_groups_and_an_enlargement_that_is_missed():
    scenes = {"0-0-copies.jpg": 0, "0-1-copies.jpg": 0, "0-2-copies.jpg": 0, "1-0-single.jpg": 1}
    rows = [
        {"path": f"x/{name}", "group": int(name[2] == "2") + 2 * scene, "relation": "similar"}
        for name, scene in scenes.items()
    ]
    assert groups.figures_of(rows, scenes) == {"group_scenes": 0.5, "group_enlarged": 0}
