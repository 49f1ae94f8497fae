"""Ratings and keywords in sidecars: merged into what is there, and read by other programs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lxml import etree
from PIL import Image

from rsfiqa.cull import files, xmp
from rsfiqa.cull.journal import journal_path
from rsfiqa.cull.xmp import Assessment, Document, NotXmpError, merge
from tests.support.culling import cull, make_photos, make_picture, make_row, tree, write_table

POOR = Assessment(2, (("rsfiqa", "poor quality"), ("rsfiqa", "blur")), 31.4, "livec 0123")
GOOD = Assessment(4, (("rsfiqa", "good quality"),), 70.0, "livec 0123")
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
XMP = 'xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
DARKTABLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF {RDF}>
  <rdf:Description rdf:about=""
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    {XMP}
    xmlns:darktable="http://darktable.sf.net/"
   exif:DateTimeOriginal="2024:01:02 03:04:05"
   xmp:Rating="RATING"
   darktable:xmp_version="5"
   darktable:raw_params="0"
   darktable:auto_presets_applied="1">
   <darktable:history>
    <rdf:Seq>
     <rdf:li
      darktable:num="0"
      darktable:operation="exposure"
      darktable:params="00000000000080b90000003f00004842000080c00100000001000000"
      darktable:blendop_params="gz12eJxjYGBgkGAAgRNODESDBnsIHll8ANNSGQM="/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
LIGHTROOM = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000">
 <rdf:RDF {RDF}>
  <rdf:Description rdf:about="" {XMP} {DC}
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmp:CreatorTool="Adobe Lightroom" crs:Exposure2012="+0.35" crs:HasSettings="True">
   <!-- a comment -->
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Oma &amp; Opa</rdf:li>
     <rdf:li>blur</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>people|Oma &amp; Opa</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
   <crs:ToneCurvePV2012><rdf:Seq><rdf:li>0, 0</rdf:li></rdf:Seq></crs:ToneCurvePV2012>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def subjects(content: bytes, name=xmp.SUBJECT) -> list[str]:
    return Document(content).items(name)


def rating(content: bytes) -> str | None:
    return Document(content).get(xmp.RATING)


def foreign(content: bytes) -> list[tuple]:
    """All that is not ours: elements, attributes, texts, comments and instructions, in order."""
    own = {xmp.RATING, xmp.SUBJECT, xmp.HIERARCHICAL}
    names = {f"{{{uri}}}{name}" for uri, name in own}
    tree = etree.fromstring(content).getroottree()
    found: list[tuple] = [(node.tag, node.text) for node in tree.xpath("/processing-instruction()")]
    for node in tree.iter():
        chain = [node, *node.iterancestors()]
        if any(str(part.tag) in names or xmp.OWN in str(part.tag) for part in chain):
            continue
        attributes = [(key, value) for key, value in node.attrib.items() if key not in names]
        found.append((str(node.tag), attributes, (node.text or "").strip()))
    return found


def test_a_new_sidecar():
    merged = merge(None, POOR)
    assert merged.kept is None
    assert rating(merged.content) == "2"
    assert subjects(merged.content) == ["rsfiqa", "poor quality", "blur"]
    hierarchical = subjects(merged.content, xmp.HIERARCHICAL)
    assert hierarchical == ["rsfiqa|poor quality", "rsfiqa|blur"]
    assert merged.content.startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<x:xmpmeta ")


@pytest.mark.parametrize("sidecar", [DARKTABLE.replace("RATING", "0"), LIGHTROOM])
def test_foreign_data_stay(sidecar):
    before = sidecar.encode()
    once = merge(before, POOR).content
    assert foreign(once) == foreign(before)
    assert rating(once) == "2"
    assert set(subjects(once)) >= {"rsfiqa", "poor quality", "blur"}
    again = merge(once, GOOD).content
    assert foreign(again) == foreign(before)
    assert "poor quality" not in subjects(again)


@pytest.mark.parametrize("sidecar", [None, DARKTABLE.replace("RATING", "0").encode()])
def test_a_second_merge_changes_no_byte(sidecar):
    once = merge(sidecar, POOR).content
    assert merge(once, POOR).content == once


def test_keywords_of_a_person_stay():
    once = merge(LIGHTROOM.encode(), POOR).content  # which has a keyword blur of its own
    again = merge(once, GOOD).content
    assert subjects(again) == ["Oma & Opa", "blur", "rsfiqa", "good quality"]
    assert subjects(again, xmp.HIERARCHICAL) == ["people|Oma & Opa", "rsfiqa|good quality"]


def test_a_keyword_that_a_person_removed_does_not_come_back():
    once = merge(None, POOR).content
    removed = re.sub(rb"<rdf:li>blur</rdf:li>\s*", b"", once, count=1)
    assert subjects(removed) == ["rsfiqa", "poor quality"]
    assert subjects(merge(removed, POOR).content) == ["rsfiqa", "poor quality"]


@pytest.mark.parametrize("stars", ["5", "-1", "1", "3.0"])
def test_a_rating_of_a_person_stays(stars):
    before = DARKTABLE.replace("RATING", stars).encode()
    merged = merge(before, POOR)
    assert merged.kept == stars
    assert rating(merged.content) == stars
    assert "blur" in subjects(merged.content)
    assert merge(merged.content, GOOD).kept == stars
    assert rating(merge(merged.content, GOOD, overwrite=True).content) == "4"


@pytest.mark.parametrize("unrated", ["0", ""])
def test_no_rating_is_none_of_a_person(unrated):
    merged = merge(DARKTABLE.replace("RATING", unrated).encode(), POOR)
    assert (merged.kept, rating(merged.content)) == (None, "2")


def test_our_own_rating_is_renewed_until_a_person_changes_it():
    once = merge(None, POOR).content
    again = merge(once, GOOD).content
    assert rating(again) == "4"
    for stars in ("1", "0"):  # 0: a person has taken it away
        changed = again.replace(b"<xmp:Rating>4", b"<xmp:Rating>" + stars.encode())
        assert rating(changed) == stars
        merged = merge(changed, POOR)
        assert (merged.kept, rating(merged.content)) == (stars, stars)
        assert rating(merge(merged.content, POOR).content) == stars


def test_a_rating_in_the_picture_is_a_persons():
    merged = merge(None, POOR, embedded="5")
    assert (merged.kept, rating(merged.content)) == ("5", None)
    assert rating(merge(None, POOR, embedded="5", overwrite=True).content) == "2"


@pytest.mark.parametrize(
    "block",
    [
        f'<rdf:Description rdf:about="" {DC} dc:subject="mine"/>',
        f'<rdf:Description rdf:about="" {DC}><dc:subject>mine</dc:subject></rdf:Description>',
        f'<rdf:Description rdf:about="" {DC}><dc:subject><rdf:Seq><rdf:li>mine</rdf:li></rdf:Seq>'
        "</dc:subject></rdf:Description>",
        f'<rdf:Description rdf:about="u"/><rdf:Description rdf:about="u" {DC}><dc:subject><rdf:Bag>'
        "<rdf:li>mine</rdf:li></rdf:Bag></dc:subject></rdf:Description>",
    ],
)
def test_other_ways_to_write_keywords(block):
    content = f"<rdf:RDF {RDF}>{block}</rdf:RDF>".encode()  # without xmpmeta, which is optional
    merged = merge(content, POOR).content
    assert subjects(merged) == ["mine", "rsfiqa", "poor quality", "blur"]
    assert merged.count(b"<dc:subject") == 1
    assert b'dc:subject="' not in merged


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_other_encodings(encoding):
    declared = encoding.removesuffix("-sig")
    text = (
        f'<?xml version="1.0" encoding="{declared}"?>\r\n<rdf:RDF {RDF}><rdf:Description {DC}'
        ' dc:source="Möwe"/></rdf:RDF>'
    )
    merged = merge(text.encode(encoding), POOR).content
    assert Document(merged).get((xmp.DC, "source")) == "Möwe"
    assert rating(merged) == "2"
    assert merged.startswith(text.encode(encoding)[:8].replace(b'"', b"'"))


def test_an_empty_packet_gets_a_description():
    assert rating(merge(f"<rdf:RDF {RDF}/>".encode(), POOR).content) == "2"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"darktable",
        b"<html/>",
        b"<a><b></a>",
        b"\x00\xff",
        f'<!DOCTYPE r [<!ENTITY a "aaaa">]><rdf:RDF {RDF}>&a;</rdf:RDF>'.encode(),
        f'<!DOCTYPE r SYSTEM "/etc/passwd"><rdf:RDF {RDF}/>'.encode(),
    ],
)
def test_what_is_no_xmp(content):
    with pytest.raises(NotXmpError):
        merge(content, POOR)


# the command


def test_both_namings(tmp_path):
    table = make_photos(tmp_path, {"a.jpg": 10, "b.JPG": 90})
    before = tree(tmp_path)
    for naming, names in (
        ("auto", {"a.jpg.xmp", "b.JPG.xmp"}),
        ("darktable", {"a.jpg.xmp", "b.JPG.xmp"}),
        ("lightroom", {"a.xmp", "b.xmp"}),
    ):
        assert cull(table, "--xmp", "--naming", naming) == 0
        assert tree(tmp_path) == before
        assert cull(table, "--xmp", "--naming", naming, "--apply") == 0
        after = tree(tmp_path)
        assert set(after) - set(before) == {f"photos/{name}" for name in names}
        assert {name: after[name] for name in before} == before  # pictures are not touched
        assert cull(table, "--undo") == 0
        assert tree(tmp_path) == before


def test_existing_sidecars_are_merged_and_restored(tmp_path):
    table = make_photos(tmp_path, {"a.jpg": 10, "b.jpg": 20, "c.jpg": 30, "c.dng": 5})
    photos = tmp_path / "photos"
    (photos / "a.xmp").write_text(LIGHTROOM, "utf-8")
    (photos / "a.xmp").chmod(0o600)
    (photos / "store").mkdir()
    (photos / "store/b").write_text(DARKTABLE.replace("RATING", "4"))
    (photos / "b.jpg.xmp").symlink_to("store/b")
    (photos / "c.xmp").write_text(DARKTABLE.replace("RATING", "0"))
    before = tree(tmp_path)
    assert cull(table, "--xmp", "--apply", "--worst", 4) == 0
    after = tree(tmp_path)
    assert set(after) == set(before)
    assert rating(after["photos/c.xmp"]) == "2"  # of c.jpg, the better one
    assert rating(after["photos/a.xmp"]) == "1"
    assert (photos / "a.xmp").stat().st_mode & 0o777 == 0o600
    assert rating(after["photos/store/b"]) == "4"
    assert after["photos/b.jpg.xmp"] == "store/b"
    assert cull(table, "--xmp", "--apply", "--overwrite-ratings") == 0
    assert rating(tree(tmp_path)["photos/store/b"]) == "2"
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == after
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


@pytest.mark.parametrize("best", ["a.jpg", "a.cr2"])
def test_a_shared_sidecar_gets_the_rating_of_the_better_one(tmp_path, best):
    table = make_photos(tmp_path, {"a.jpg": 50, "a.cr2": 50} | {best: 90})
    sidecar = tmp_path / "photos/a.xmp"
    sidecar.write_text(DARKTABLE.replace("RATING", "0"))
    before = tree(tmp_path)
    assert cull(table, "--xmp", "--apply") == 0
    assert set(tree(tmp_path)) == set(before)
    assert rating(sidecar.read_bytes()) == "5"
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


@pytest.mark.parametrize("rated", ["a.jpg", "a.cr2"])
def test_a_shared_sidecar_stays_if_one_of_its_pictures_is_not_rated(tmp_path, rated):
    """It is not chosen, or has changed since it was scored."""
    table = make_photos(tmp_path, {"a.jpg": 50, "a.cr2": 50} | {rated: 10})
    (tmp_path / "photos/a.xmp").write_text(DARKTABLE.replace("RATING", "0"))
    before = tree(tmp_path)
    assert cull(table, "--xmp", "--worst", 1, "--apply") == 0
    after = tree(tmp_path)
    assert set(after) - set(before) == {f"photos/{rated}.xmp"}
    assert after["photos/a.xmp"] == before["photos/a.xmp"]
    assert cull(table, "--undo") == 0
    (other,) = {"a.jpg", "a.cr2"} - {rated}
    (tmp_path / "photos" / other).write_bytes(b"changed")
    assert cull(table, "--xmp", "--apply") == 3
    assert set(tree(tmp_path)) - set(before) == {f"photos/{rated}.xmp"}


@pytest.mark.parametrize(
    ("naming", "raws"),
    [("auto", "a.cr2.xmp"), ("darktable", "a.cr2.xmp"), ("lightroom", "a.xmp")],
)
def test_raw_and_an_export_of_its_name_have_sidecars_of_their_own(tmp_path, naming, raws):
    """Rated 5 and 1; a.cr2.xmp is that of a.cr2, not that of a.cr2.jpg by its stem."""
    table = make_photos(tmp_path, {"a.cr2.jpg": 10, "a.cr2": 90})
    (tmp_path / "photos/a.cr2.xmp").write_text(DARKTABLE.replace("RATING", "0"))
    assert cull(table, "--xmp", "--naming", naming, "--apply") == 0
    ratings = {path.name: rating(path.read_bytes()) for path in (tmp_path / "photos").glob("*.xmp")}
    assert ratings == {"a.cr2.xmp": "0"} | {raws: "5", "a.cr2.jpg.xmp": "1"}


def test_the_account_says_what_is_kept(tmp_path, capsys, caplog):
    table = make_photos(tmp_path, {"a.jpg": 10, "b.jpg": 50})
    (tmp_path / "photos/a.jpg.xmp").write_text(DARKTABLE.replace("RATING", "5"))
    (tmp_path / "photos/b.jpg.xmp").write_text("mine")
    before = tree(tmp_path)
    assert cull(table, "--xmp") == 3
    shown = capsys.readouterr()
    sidecar = tmp_path / "photos/a.jpg.xmp"
    assert f"merge into {sidecar}: rating 5 of a person kept; rsfiqa, bad quality" in shown.out
    assert "is left alone: b.jpg.xmp is no XML" in caplog.text
    assert tree(tmp_path) == before


def test_what_is_no_ordinary_file_is_left_alone(tmp_path, caplog):
    table = make_photos(tmp_path, {"a.jpg": 10, "b.jpg": 50, "c.jpg": 60, "d.jpg": 70})
    os.mkfifo(tmp_path / "photos/a.jpg.xmp")
    with (tmp_path / "photos/b.jpg.xmp").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "photos/c.jpg.xmp").mkdir()
    (tmp_path / "photos/d.jpg.xmp").symlink_to("d.jpg.xmp")
    assert cull(table, "--xmp", "--apply") == 3
    assert "is left alone: d.jpg.xmp: Too many levels of symbolic links" in caplog.text
    assert caplog.text.count("is no file of at most 64 MB; move it away") == 3


def test_a_second_run_writes_nothing(tmp_path, capsys):
    table = make_photos(tmp_path, {"a.jpg": 10})
    assert cull(table, "--xmp", "--apply") == 0
    before = (tmp_path / "photos/a.jpg.xmp").stat().st_mtime_ns
    assert cull(table, "--xmp", "--apply") == 0
    assert (tmp_path / "photos/a.jpg.xmp").stat().st_mtime_ns == before
    assert "0 pictures (0 sidecars), 1 done before" in capsys.readouterr().out


def test_a_sidecar_that_changes_while_it_is_merged_is_no_part_of_the_run(
    tmp_path, caplog, monkeypatch
):
    table = make_photos(tmp_path, {"a.jpg": 10, "b.jpg": 20})
    sidecar, other = tmp_path / "photos/a.jpg.xmp", merge(None, GOOD).content
    calls, read = [], files.read

    def read_later(path):
        calls.append(path)
        if calls.count(sidecar) == 2:  # first to merge it, then to write it
            sidecar.write_bytes(other)
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "read", read_later)
        assert cull(table, "--xmp", "--apply") == 3
    assert "changes while it is merged" in caplog.text
    assert sidecar.read_bytes() == other
    assert (tmp_path / "photos/b.jpg.xmp").is_file()
    assert cull(table, "--undo") == 0
    assert sidecar.read_bytes() == other
    assert not (tmp_path / "photos/b.jpg.xmp").exists()
    assert not journal_path(table).exists()


def test_undo_keeps_what_was_written_since(tmp_path, caplog):
    table = make_photos(tmp_path, {"a.jpg": 10})
    assert cull(table, "--xmp", "--apply") == 0
    sidecar = tmp_path / "photos/a.jpg.xmp"
    sidecar.write_bytes(merge(sidecar.read_bytes(), GOOD).content)
    assert cull(table, "--undo") == 3
    assert "a.jpg.xmp has changed since" in caplog.text
    assert rating(sidecar.read_bytes()) == "4"


@pytest.mark.parametrize("kind", ["xmp", "exif"])
def test_stars_in_a_picture_stay(tmp_path, kind):
    path = tmp_path / "a.jpg"
    packet = merge(None, Assessment(5, (), 1.0, "x")).content
    exif = Image.Exif()
    exif[0x4746] = 5
    options = {"xmp": packet} if kind == "xmp" else {"exif": exif}
    Image.new("RGB", (16, 16)).save(path, **options)
    table = write_table(tmp_path / "scores.csv", [make_row(path, 10)])
    assert cull(table, "--xmp", "--apply") == 0
    content = path.with_name("a.jpg.xmp").read_bytes()
    assert rating(content) is None
    assert "bad quality" in subjects(content)


def test_what_a_picture_is_called(tmp_path):
    """The words of the scale, its clear distortions and its flags."""
    row = make_row(make_picture(tmp_path / "a.jpg"), 61, worst_blur=2.6, flags=["damaged"])
    table = write_table(tmp_path / "scores.csv", [row])
    assert cull(table, "--xmp", "--apply") == 0
    content = (tmp_path / "a.jpg.xmp").read_bytes()
    assert rating(content) == "4"
    assert subjects(content) == ["rsfiqa", "good quality", "blur", "damaged"]


def tool(name: str) -> str:
    """The path of a program, which Debian packages as exiv2 and libimage-exiftool-perl."""
    if (found := shutil.which(name)) is None:
        pytest.skip(f"needs {name}")
    return found


def sidecars(tmp_path) -> list[Path]:
    """A new sidecar, and those of darktable and Lightroom after a merge."""
    table = make_photos(tmp_path, {"a.jpg": 30, "b.jpg": 31, "c.jpg": 32})
    (tmp_path / "photos/b.jpg.xmp").write_text(DARKTABLE.replace("RATING", "0"))
    (tmp_path / "photos/c.xmp").write_text(LIGHTROOM, "utf-8")
    assert cull(table, "--xmp", "--apply") == 0
    return [tmp_path / "photos" / name for name in ("a.jpg.xmp", "b.jpg.xmp", "c.xmp")]


def test_exiv2_reads_what_is_written(tmp_path):
    program = tool("exiv2")
    for path in sidecars(tmp_path):
        line = [program, "-PXkv", "pr", str(path)]
        shown = subprocess.run(line, capture_output=True, text=True, check=True)
        assert shown.stderr == ""
        found = dict((line + " ").split(" ", 1) for line in shown.stdout.splitlines())
        assert found["Xmp.xmp.Rating"].strip() == "2"
        assert "poor quality" in found["Xmp.dc.subject"]
        assert "rsfiqa|poor quality" in found["Xmp.lr.hierarchicalSubject"]


def test_exiftool_reads_what_is_written(tmp_path):
    program = tool("exiftool")
    for path in sidecars(tmp_path):
        line = [program, "-s3", "-validate", "-warning", "-a", "-Rating", "-Subject"]
        line += ["-HierarchicalSubject", str(path)]
        shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout.split("\n")
        assert "2" in shown, shown
        assert any("poor quality" in text for text in shown)
        assert any("rsfiqa|poor quality" in text for text in shown)
    line = [program, "-s3", "-Exposure2012", "-Subject", str(path)]
    shown = subprocess.run(line, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == ["+0.35", "Oma & Opa, blur, rsfiqa, poor quality"]
