"""Which pictures paths name."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from rsfiqa.errors import InputError
from rsfiqa.images.formats import missing_package
from rsfiqa.images.listing import HEATMAP, expand_paths


@pytest.fixture
def pictures(tmp_path):
    """Files in two folders, one of them hidden, one of them no picture."""
    for name in ("a.png", "bad.jpg", "b/c.png", ".hidden.png", "notes.md"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).touch()
    return tmp_path / "pictures"


def test_folders_patterns_lists_and_files(pictures, tmp_path, monkeypatch):
    every = [str(pictures / name) for name in ("a.png", "bad.jpg", "b/c.png")]
    assert expand_paths([str(pictures)]).paths == every
    assert expand_paths([str(pictures), str(pictures / "a.png")]).paths == every  # each once
    assert expand_paths([str(pictures / "**/*.png")]).paths == [every[0], every[2]]
    (tmp_path / "list.txt").write_text("\n".join(every))
    assert expand_paths([str(tmp_path / "list.txt")]).paths == every
    assert expand_paths([every[0], f"{pictures}/b/../a.png"]).paths == every[:1]
    typed = io.TextIOWrapper(io.BytesIO("\r\n".join(every).encode()))
    monkeypatch.setattr("sys.stdin", typed)
    assert expand_paths(["-"]).paths == every


def test_a_pattern_that_matches_nothing(tmp_path):
    with pytest.raises(InputError, match=r"\*\.png: must match a file, found none"):
        expand_paths([str(tmp_path / "*.png")])


def save(path: Path, kind: str = "JPEG", **options) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 24)).save(path, format=kind, **options)
    return str(path)


def save_heatmap(path: Path) -> str:
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", HEATMAP)
    return save(path, "PNG", pnginfo=text)


def names(found: list) -> list[str]:
    return [Path(getattr(item, "path", item)).name for item in found]


def test_pictures_of_a_folder_are_found_by_content(tmp_path):
    kinds = {
        "a.avif": "AVIF",
        "b.JPE": "JPEG",
        "c.jfif": "JPEG",
        "d.jp2": "JPEG2000",
        "e": "PNG",
        "f.dat": "WEBP",
        "g.txt": "TIFF",
    }
    for name, kind in kinds.items():
        save(tmp_path / name, kind)
    (tmp_path / "damaged.jpg").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.md").write_text("no picture")
    (tmp_path / "list.txt").write_text("a.avif")
    (tmp_path / ".hidden.jpg").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    save_heatmap(tmp_path / "a.avif.png")
    listing = expand_paths([str(tmp_path)])
    assert names(listing.paths) == sorted([*kinds, "damaged.jpg", "empty.png"])
    assert {Path(found.path).name: found.reason for found in listing.skipped} == {
        "notes.md": "no picture, .md",
        "list.txt": "no picture, .txt",
        "pipe": "no picture, no suffix",
        "a.avif.png": "heat map of rsfiqa",
        ".hidden.jpg": "hidden",
        ".git": "hidden",
        "link": "link to a folder",
    }
    assert listing.summary().startswith("2 (hidden), 1 (")
    assert expand_paths([str(tmp_path / "g.txt")]).paths == [str(tmp_path / "g.txt")]


def test_a_format_that_needs_a_package(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    listing = expand_paths([str(tmp_path)])
    package = missing_package("HEIC")
    expected = [f"HEIC, which needs {package}"] if package else []
    assert [found.reason for found in listing.skipped] == expected
    assert names(listing.paths) == ([] if package else ["a.bin"])
    assert names(expand_paths([str(tmp_path / "a.bin")]).paths) == ["a.bin"]  # named


def test_a_plain_suffix_is_believed_without_a_look_into_the_file(tmp_path, monkeypatch):
    opened, really_open = [], os.open
    monkeypatch.setattr(
        os, "open", lambda path, *options: opened.append(path) or really_open(path, *options)
    )
    picture = Path(save(tmp_path / "a.JPG", "JPEG"))
    Path(save(tmp_path / "b.png", "PNG"))
    (tmp_path / "c.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "d.jpg").symlink_to("missing")
    listing = expand_paths([str(tmp_path)])
    assert names(listing.paths) == ["a.JPG", "b.png", "c.jpg", "d.jpg"]
    assert names(opened) == ["b.png"]
    status = picture.stat()
    assert listing.states[0] == (status.st_size, status.st_mtime_ns // 1000)
    assert listing.states[3] is None


def test_heat_maps_are_left_out_however_they_are_named(tmp_path):
    picture, drawn = save(tmp_path / "a.png", "PNG"), save_heatmap(tmp_path / "a.png.png")
    (tmp_path / "list.lst").write_text(f"{picture}\n{drawn}\n")
    for arguments in ([picture, drawn], [f"{tmp_path}/*.png"], [str(tmp_path / "list.lst")]):
        listing = expand_paths(arguments)
        assert (listing.paths, names(listing.skipped)) == ([picture], ["a.png.png"])


@pytest.mark.parametrize(
    "name",
    [
        "a,b.jpg",
        "[x].jpg",
        "{a}.jpg",
        '"q".jpg',
        "photos, summer/a.jpg",
        "trip [2024]/a.jpg",
        "*.jpg",
        "~/a.jpg",
        "~a.jpg",
        " .jpg",
        "a?.jpg",
    ],
)
def test_a_path_that_exists_is_meant(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    save(Path(name))
    save(Path("x.jpg"))  # that a pattern might match
    assert expand_paths([name]).paths == [name]
    if (folder := Path(name).parent) not in (Path(), Path("~")):
        assert expand_paths([str(folder)]).paths == [name]
        assert expand_paths([f"{folder}/*.j*"]).paths == [name]


@pytest.mark.parametrize("name", ["nowhere", "nowhere/", "photos.2024/"])
def test_a_mistyped_folder_is_no_picture(tmp_path, name):
    named = f"{tmp_path}/{name}"
    with pytest.raises(InputError, match=f"^{named}: must be pictures or a folder .* of this name"):
        expand_paths([named])
    assert expand_paths([f"{tmp_path}/gone.jpg"]).paths == [f"{tmp_path}/gone.jpg"]  # a failed row


@pytest.mark.parametrize("name", ["fotos.txt", "a.lst", "missing.csv", "missing.PARQUET"])
def test_a_mistyped_list_is_no_picture(tmp_path, name):
    named = f"{tmp_path}/{name}"
    with pytest.raises(InputError, match=rf"^{named}: must be a list of pictures, found no such"):
        expand_paths([named])


def test_an_empty_name_is_not_the_current_folder(pictures):
    with pytest.raises(InputError, match="must name pictures, found an empty name; leave it out"):
        expand_paths([str(pictures), ""])


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = save(tmp_path / "p/a.jpg")
    (tmp_path / "list.txt").write_text("~/p/a.jpg\n")
    for argument in ("~/p/a.jpg", "~/p", "~/p/*.jpg", "~/list.txt"):
        assert expand_paths([argument]).paths == [path], argument
    assert expand_paths(["~nobody-of-that-name/a.jpg"]).paths == ["~nobody-of-that-name/a.jpg"]


@pytest.mark.parametrize(
    "encode",
    [
        lambda names: "\n".join(names).encode(),
        lambda names: "\r\n".join(names).encode("utf-8-sig"),
        lambda names: "\r\n".join([*names, ""]).encode("utf-16"),
        lambda names: b"\xfe\xff" + "\n".join(names).encode("utf-16-be"),
        lambda names: "\n".join(names).encode("utf-16-le"),
        lambda names: "\0".join([*names, ""]).encode(),
    ],
)
def test_lists_of_every_program(tmp_path, encode):
    found = ["/p/a.jpg", "/p/bä c.jpg", "/p/d,e.jpg"]
    (tmp_path / "list.txt").write_bytes(encode(found))
    assert expand_paths([str(tmp_path / "list.txt")]).paths == found


def test_a_name_with_a_line_break_in_a_list_of_null_bytes(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"/p/a\nb.jpg\0/p/c.jpg\0")
    assert expand_paths([str(tmp_path / "list.txt")]).paths == ["/p/a\nb.jpg", "/p/c.jpg"]


def test_loops_of_links_end(tmp_path):
    path = save(tmp_path / "p/sub/a.jpg")
    for name in ("one", "two", "sub/three"):
        (tmp_path / "p" / name).symlink_to(tmp_path / "p")
    assert expand_paths([f"{tmp_path}/p/**/*.jpg"]).paths == [path]
    assert expand_paths([f"{tmp_path}/**"]).paths == [path]
    assert expand_paths([f"{tmp_path}/p/one/*/a.jpg", path]).paths == [
        f"{tmp_path}/p/one/sub/a.jpg"
    ]


def test_a_pattern_follows_links_to_folders(tmp_path):
    save(tmp_path / "elsewhere/a.jpg")
    (tmp_path / "p").mkdir()
    (tmp_path / "p/link").symlink_to(tmp_path / "elsewhere")
    assert expand_paths([f"{tmp_path}/p/**/*.jpg"]).paths == [f"{tmp_path}/p/link/a.jpg"]
