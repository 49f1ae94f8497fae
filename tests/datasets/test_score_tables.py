"""The releases that keep one row per image in one table, each in its own layout."""

import logging
import shutil
from pathlib import Path

import pytest

from rsfiqa.datasets import flive, kadid10k
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import InputError

LAYOUTS = ("kadid10k", "koniq10k", "spaq", "bid", "flive")
READ = {layout: DATASETS[layout].load_reader() for layout in LAYOUTS}
KADID = """\
dist_img,ref_img,dmos,var
I01_01_01.png,I01.png,4.57,0.496
I01_25_05.png,I01.png,2.5,0.8
I81_10_03.png,I81.png,3,0.9
"""
KONIQ = """\
image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set
10004473376.jpg,0.0,0.0,0.238,0.695,0.067,105,77.5,0.5,training
10007357496.jpg,0.0,0.031,0.469,0.49,0.01,96,68.75,0.6,test
10043785683.jpg,0.0,0.0,0.434,0.566,0.0,106,71.25,0.4,validation
"""
SPAQ = [
    ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"],
    ["00001.jpg", 48.75, 63, 58, 60, 55, 44],
    ["00002.jpg", 62.5, 63, 58, 60, 55, 44],
    ["00003.jpg", 77, 63, 58, 60, 55, 44],
]
BID = [
    ["Image Number", "Average Subjective Grade", "std", "Grade 1"],
    [1.0, 2.5, 0.75, 2],
    [12, 4.25, 0.5, 4],
    [None, None, None, None],
    [None, None, None, "remark"],
]
FLIVE = """\
name,mos
blur_dataset/motion0091.jpg,0.0
voc_emotic_ava/AVA__12958.jpg,74.5
voc_emotic_ava/EMOTIC__5jr.jpg,76.5
EE371R/rq59.jpg,60.25
"""
LARGE = "mos_patch_1,name_patch,mos_image,name_image\n1,p,76.5,voc_emotic_ava/EMOTIC__5jr.jpg\n"
SMALL = """\
name_image,mos_image,is_valid
blur_dataset/motion0091.jpg,0.0,False
voc_emotic_ava/AVA__12958.jpg,74.5,True
"""
# image_id, group, MOS, deviation, subset, distortion, severity; the best image last
EXPECTED = {
    "kadid10k": [
        ("I01_25_05.png", "I01.png", 2.5, 0.8, None, "contrast_change", 5),
        ("I81_10_03.png", "I81.png", 3.0, 0.9, None, "jpeg", 3),
        ("I01_01_01.png", "I01.png", 4.57, 0.496, None, "gaussian_blur", 1),
    ],
    "koniq10k": [
        ("10007357496.jpg", "10007357496.jpg", 68.75, 15.0, "test", None, None),
        ("10043785683.jpg", "10043785683.jpg", 71.25, 10.0, "validation", None, None),
        ("10004473376.jpg", "10004473376.jpg", 77.5, 12.5, "training", None, None),
    ],
    "spaq": [
        ("00001.jpg", "00001.jpg", 48.75, None, None, None, None),
        ("00002.jpg", "00002.jpg", 62.5, None, None, None, None),
        ("00003.jpg", "00003.jpg", 77.0, None, None, None, None),
    ],
    "bid": [
        ("DatabaseImage0001.JPG", "DatabaseImage0001.JPG", 2.5, 0.75, None, None, None),
        ("DatabaseImage0012.JPG", "DatabaseImage0012.JPG", 4.25, 0.5, None, None, None),
    ],
    "flive": [
        (*["blur_dataset/motion0091.jpg"] * 2, 0.0, None, "training", None, None),
        (*["EE371R/rq59.jpg"] * 2, 60.25, None, None, None, None),
        (*["voc_emotic_ava/AVA__12958.jpg"] * 2, 74.5, None, "validation", None, None),
        (*["voc_emotic_ava/EMOTIC__5jr.jpg"] * 2, 76.5, None, "test", None, None),
    ],
}
BEST = {
    "kadid10k": (4.57 - 1) / 4,
    "koniq10k": 0.775,
    "spaq": 0.77,
    "bid": 0.85,
    "flive": 0.765,
}
TABLES = {
    "kadid10k": "dmos.csv",
    "koniq10k": "koniq10k_distributions_sets.csv",
    "spaq": "Annotations/MOS and Image attribute scores.xlsx",
    "bid": "DatabaseGrades.xlsx",
    "flive": "labels_image.csv",
}
IMAGES = {
    "kadid10k": "images",
    "koniq10k": "1024x768",
    "spaq": "TestImage",
    "bid": ".",
    "flive": "database",
}


@pytest.fixture
def release(tmp_path, pictures, workbook):
    """Write a tiny release as its authors lay it out and give back its folder."""

    def write(layout: str) -> Path:
        root = tmp_path / layout
        pictures(root / IMAGES[layout], *(expected[0] for expected in EXPECTED[layout]))
        if layout == "spaq":
            workbook(root / TABLES[layout], Sheet1=SPAQ)
        elif layout == "bid":
            workbook(root / TABLES[layout], Plan1=BID, Plan2=[])
        else:
            table = {"kadid10k": KADID, "koniq10k": KONIQ, "flive": FLIVE}[layout]
            (root / TABLES[layout]).write_text(table, "utf-8")
        if layout == "flive":
            (root / "labels640.csv").write_text(LARGE, "utf-8")
            (root / "labels=640_padded.csv").write_text(SMALL, "utf-8")
        return root

    return write


@pytest.mark.parametrize("layout", READ)
def test_every_row_becomes_an_image(release, layout):
    root = release(layout)
    entries = READ[layout](root)
    assert sorted(
        (e.image_id, e.group, e.mos, e.mos_std, e.subset, e.distortion, e.severity) for e in entries
    ) == sorted(EXPECTED[layout])
    assert all(entry.path == root / IMAGES[layout] / entry.image_id for entry in entries)
    assert all(entry.path.is_file() for entry in entries)


@pytest.mark.parametrize("layout", READ)
def test_a_high_score_is_a_high_quality(release, prepared, layout):
    rows, provenance = prepared(layout, release(layout))
    by_quality = sorted(rows.values(), key=lambda row: row["quality"])
    assert [row["image_id"] for row in by_quality] == [one[0] for one in EXPECTED[layout]]
    assert by_quality[-1]["quality"] == pytest.approx(BEST[layout])
    assert [row["subset"] for row in by_quality] == [one[4] for one in EXPECTED[layout]]
    assert provenance.options["lower_better"] is False


@pytest.mark.parametrize("layout", READ)
def test_a_missing_table_is_named(release, layout):
    root = release(layout)
    (root / TABLES[layout]).unlink()
    with pytest.raises(InputError) as caught:
        READ[layout](root)
    assert str(caught.value) == (
        f"{root / TABLES[layout]}: no such file; set root to the folder with {TABLES[layout]}"
    )


@pytest.mark.parametrize("layout", ["kadid10k", "koniq10k", "spaq"])
def test_a_missing_folder_of_images_is_named(release, layout):
    root = release(layout)
    shutil.rmtree(root / IMAGES[layout])
    message = (
        f"{IMAGES[layout]}: no such folder; unpack the images there( or 512x384)?, or set root"
    )
    with pytest.raises(InputError, match=message):
        READ[layout](root)


def test_a_missing_image_keeps_its_place(release):
    root = release("kadid10k")
    (root / "images/I01_25_05.png").unlink()
    entries = kadid10k.read(root)
    assert [entry.path.is_file() for entry in entries] == [True, False, True]


def test_kadid_with_another_name_is_refused(release):
    root = release("kadid10k")
    (root / "dmos.csv").write_text(KADID.replace("I81_10_03", "I81_26_03"), "utf-8")
    message = (
        r"dmos.csv line 4: an image must be called .*distortion 1 to 25.*found 'I81_26_03.png'"
    )
    with pytest.raises(InputError, match=message):
        kadid10k.read(root)


def test_koniq_in_its_smaller_size(release, caplog):
    root = release("koniq10k")
    larger = READ["koniq10k"](root)
    shutil.copytree(root / "1024x768", root / "512x384")
    assert READ["koniq10k"](root) == larger
    shutil.rmtree(root / "1024x768")
    with caplog.at_level(logging.INFO, "rsfiqa"):
        smaller = READ["koniq10k"](root)
    assert [entry.image_id for entry in smaller] == [entry.image_id for entry in larger]
    assert smaller[0].path == root / "512x384/10004473376.jpg"
    assert f"images are taken from {root}/512x384" in caplog.text


def test_koniq_with_the_table_without_sets_is_refused(release):
    root = release("koniq10k")
    table = KONIQ.replace("MOS,SD,set", "MOS,SD,MOS_zscore")
    (root / TABLES["koniq10k"]).write_text(table, "utf-8")
    with pytest.raises(
        InputError, match=r"must have the columns MOS, image_name, set, found image"
    ):
        READ["koniq10k"](root)


def test_bid_with_its_images_in_a_folder(release):
    root = release("bid")
    (root / "ImageDatabase").mkdir()
    for path in root.glob("*.JPG"):
        path.rename(root / "ImageDatabase" / path.name)
    entries = READ["bid"](root)
    assert [entry.image_id for entry in entries] == [one[0] for one in EXPECTED["bid"]]
    assert all(entry.path.parent == root / "ImageDatabase" for entry in entries)


def test_bid_without_deviations(release, workbook):
    root = release("bid")
    workbook(root / TABLES["bid"], Plan1=[row[:2] for row in BID])
    assert [entry.mos_std for entry in READ["bid"](root)] == [None, None]


def test_a_grade_without_a_number_is_refused(release, workbook):
    root = release("bid")
    workbook(root / TABLES["bid"], Plan1=[*BID, [None, 3.25]])
    with pytest.raises(InputError, match=r"DatabaseGrades.xlsx row 6: the image's path must stay"):
        READ["bid"](root)


def test_a_score_outside_the_range_is_refused(release, prepared, workbook):
    root = release("bid")
    workbook(root / TABLES["bid"], Plan1=[*BID[:2], [12, 5.5, 0.5]])
    message = (
        r"xlsx row 3: MOS must lie in \[0, 5\], found 5.5 for 'Data.*; download the release again"
    )
    with pytest.raises(InputError, match=message):
        prepared("bid", root)


@pytest.mark.parametrize("layout", ["kadid10k", "koniq10k", "flive"])
def test_a_row_with_too_many_cells_is_refused(release, layout):
    root = release(layout)
    table = root / TABLES[layout]
    lines = table.read_text("utf-8").splitlines()
    table.write_text("\n".join([*lines[:-1], lines[-1].replace(".", ",")]), "utf-8")
    with pytest.raises(InputError, match=f"{table.name} line {len(lines)}: a row must have"):
        READ[layout](root)


def test_a_heading_of_a_workbook_that_stands_twice_is_refused(release, workbook):
    root = release("bid")
    rows = [[*BID[0][:3], "std"], [*BID[1][:3], 9]]
    workbook(root / "DatabaseGrades.xlsx", Plan1=rows)
    with pytest.raises(InputError, match="row 1: headings must differ, found 'std' 2 times"):
        READ["bid"](root)


def test_flive_from_the_folder_of_its_images(release):
    root = release("flive")
    whole = flive.read(root)
    for path in root.glob("*.csv"):
        path.rename(root / "database" / path.name)
    assert [(e.image_id, e.path, e.subset) for e in flive.read(root / "database")] == [
        (e.image_id, e.path, e.subset) for e in whole
    ]


def test_flive_with_the_authors_own_names_of_the_split(release):
    root = release("flive")
    whole = flive.read(root)
    (root / "labels640.csv").rename(root / "labels>640.csv")
    (root / "labels=640_padded.csv").rename(root / "labels<=640_padded.csv")
    assert flive.read(root) == whole


def test_flive_without_its_split(release):
    root = release("flive")
    (root / "labels640.csv").unlink()
    assert [e.subset for e in flive.read(root)] == ["training", "validation", None, None]
    (root / "labels=640_padded.csv").unlink()
    assert {e.subset for e in flive.read(root)} == {None}


def test_flive_with_another_mark_of_validation_is_refused(release):
    root = release("flive")
    (root / "labels=640_padded.csv").write_text(SMALL.replace("True", "maybe"), "utf-8")
    message = r"padded.csv line 3: 'is_valid' must be True or False, found 'maybe'; download the"
    with pytest.raises(InputError, match=message):
        flive.read(root)


def test_an_official_split_with_the_same_bytes_on_both_sides_is_an_error(release, prepared):
    root = release("koniq10k")
    images = root / "1024x768"
    (images / "10043785683.jpg").write_bytes((images / "10007357496.jpg").read_bytes())
    message = r"one side of the official split, found '10007357496.jpg' in .*; remove one of the"
    with pytest.raises(InputError, match=message):
        prepared("koniq10k", root)
