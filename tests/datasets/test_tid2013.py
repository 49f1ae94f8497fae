import pytest

from rsfiqa.datasets import tid2013
from rsfiqa.errors import InputError

TABLE = "5.51429 I01_01_1.bmp\r\n2.75 i01_24_5.bmp\r\n6.25 i25_08_3.bmp\r\n\r\n"


@pytest.fixture
def release(tmp_path, pictures):
    """Write a tiny TID2013 with this table; on disk the names are spelled in another way."""

    def write(table=TABLE):
        root = tmp_path / "tid2013"
        pictures(root / "distorted_images", "i01_01_1.bmp", "I01_24_5.BMP", "i25_08_3.bmp")
        (root / "mos_with_names.txt").write_bytes(table.encode())
        (root / "mos_std.txt").write_bytes(b"0.13013\r\n0.1\r\n0.12\r\n")
        return root

    return write


def test_names_tell_reference_distortion_and_level(release):
    root = release()
    first, second, third = tid2013.read(root)
    assert (first.image_id, first.group, first.mos) == ("I01_01_1.bmp", "I01", 5.51429)
    assert (first.distortion, first.severity) == ("gaussian_noise", 1)
    assert first.location == "mos_with_names.txt line 1"
    assert (second.group, second.mos) == ("I01", 2.75)
    assert (second.distortion, second.severity) == ("sparse_sampling_and_reconstruction", 5)
    assert (third.group, third.distortion, third.severity) == ("I25", "gaussian_blur", 3)
    assert first.mos_std is second.mos_std is third.mos_std is None


def test_the_spelling_of_files_does_not_matter(release):
    root = release()
    names = [entry.path.name for entry in tid2013.read(root)]
    assert names == ["i01_01_1.bmp", "I01_24_5.BMP", "i25_08_3.bmp"]


def test_a_high_mos_is_a_high_quality(release, prepared):
    rows, provenance = prepared("tid2013", release())
    assert max(rows.values(), key=lambda row: row["quality"])["image_id"] == "i25_08_3.bmp"
    assert rows["i01_24_5.bmp"]["quality"] == pytest.approx(2.75 / 9)
    assert provenance.options["lower_better"] is False


@pytest.mark.parametrize("name", ["I01_25_1.bmp", "I01_00_1.bmp", "I01.bmp", "photo_1_1.bmp"])
def test_another_name_is_refused(release, name):
    message = rf"line 1: an image must be called I<reference>_<distortion 1 to 24>.*found '{name}'"
    with pytest.raises(InputError, match=message):
        tid2013.read(release(f"5 {name}\n"))


def test_a_line_of_another_form_is_refused(release):
    message = r"mos_with_names.txt line 2: must hold a MOS and a name, found '5.5'; download the"
    with pytest.raises(InputError, match=message):
        tid2013.read(release("5 I01_01_1.bmp\n5.5\n"))


def test_a_score_that_is_no_number_is_refused(release):
    with pytest.raises(InputError, match=r"line 1: 'MOS' must be a number, found 'good'"):
        tid2013.read(release("good I01_01_1.bmp\n"))


def test_a_missing_folder_is_an_error(tmp_path):
    message = r"nowhere: no such folder; set root to the folder with mos_with_names.txt"
    with pytest.raises(InputError, match=message):
        tid2013.read(tmp_path / "nowhere")
