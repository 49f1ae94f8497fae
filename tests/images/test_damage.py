"""Damaged files: what viewers show is scored and flagged, what is mostly missing is refused."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from rsfiqa.errors import ImageError
from rsfiqa.images import jpeg
from rsfiqa.images.flags import flags_of
from rsfiqa.images.load import load_image, load_rgb, read_size

PHOTOGRAPHS = ["astronaut", "chelsea", "coffee", "rocket"]


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(data.chelsea())


def content_of(image: Image.Image, path: Path, **options) -> bytes:
    image.save(path, **options)
    return path.read_bytes()


@pytest.fixture
def check(tmp_path):
    """A function that loads what is in a file."""

    def load(content: bytes):
        (tmp_path / "checked.bin").write_bytes(content)
        read_size(tmp_path / "checked.bin")
        return load_image(tmp_path / "checked.bin")

    return load


class TestJpeg:
    @pytest.mark.parametrize("name", PHOTOGRAPHS)
    @pytest.mark.parametrize(
        "options",
        [
            {"quality": 95},
            {"quality": 5},
            {"progressive": True},
            {"optimize": True, "subsampling": 0},
            {"restart_marker_rows": 1},
        ],
    )
    def test_whole_files_are_not_damaged(self, tmp_path, check, name, options):
        image = Image.fromarray(getattr(data, name)())
        assert check(content_of(image, tmp_path / "a.jpg", **options)).damage is None
        grey = image.convert("L")
        assert check(content_of(grey, tmp_path / "a.jpg", **options)).damage is None

    def test_flat_pictures_hold_runs_of_zeros(self, tmp_path, check):
        flat = Image.new("RGB", (4000, 3000), (128, 128, 128))
        whole = content_of(flat, tmp_path / "a.jpg", optimize=True)
        assert bytes(64) in whole
        assert check(whole).damage is None

    def test_data_after_the_end_are_no_damage(self, tmp_path, check, photograph):
        whole = content_of(photograph, tmp_path / "a.jpg")
        assert check(whole + bytes(1000)).damage is None
        assert check(whole + whole[:5000]).damage is None

    def test_only_the_end_marker_is_missing(self, tmp_path, check, photograph):
        whole = content_of(photograph, tmp_path / "a.jpg")
        loaded = check(whole[:-2])
        assert loaded.damage == "the end marker is missing"
        assert "damaged" in flags_of(loaded)
        np.testing.assert_array_equal(loaded.pixels, check(whole).pixels)

    def test_a_few_rows_are_missing(self, tmp_path, check, photograph):
        whole = content_of(photograph, tmp_path / "a.jpg", quality=95)
        loaded = check(whole[: int(0.94 * len(whole))])
        assert loaded.damage == "about 5% of the picture is missing"

    @pytest.mark.parametrize("fraction", [0.1, 0.5, 0.8])
    def test_much_is_missing(self, tmp_path, check, photograph, fraction):
        whole = content_of(photograph, tmp_path / "a.jpg", quality=95)
        with pytest.raises(ImageError, match=r"about [1-9]\d% of the picture is missing"):
            check(whole[: int(fraction * len(whole))])

    def test_an_end_marker_in_the_middle(self, tmp_path, check, photograph):
        whole = content_of(photograph, tmp_path / "a.jpg", quality=95)
        middle = len(whole) // 2
        with pytest.raises(ImageError, match=r"about 5\d% of the picture is missing"):
            check(whole[:middle] + b"\xff\xd9" + whole[middle:])

    @pytest.mark.parametrize("name", PHOTOGRAPHS)
    @pytest.mark.parametrize("quality", [50, 75, 90])
    def test_a_zeroed_sector_is_noticed(self, tmp_path, check, name, quality):
        whole = content_of(
            Image.fromarray(getattr(data, name)()), tmp_path / "a.jpg", quality=quality
        )
        for at in range(1000, len(whole) - 210, len(whole) // 7):
            try:
                loaded = check(whole[:at] + bytes(200) + whole[at + 200 :])
            except ImageError as error:
                assert "missing" in str(error)  # noqa: PT017 both outcomes are right
            else:
                assert loaded.damage

    def test_a_progressive_file_that_is_cut(self, tmp_path, check, photograph):
        whole = content_of(photograph, tmp_path / "a.jpg", progressive=True)
        assert check(whole[: int(0.8 * len(whole))]).damage

    def test_cmyk(self, tmp_path, check, photograph):
        whole = content_of(photograph.convert("CMYK"), tmp_path / "a.jpg", quality=95)
        assert check(whole).damage is None
        assert check(whole[:-2]).damage == "the end marker is missing"
        with pytest.raises(ImageError, match=r"about [45]\d% of the picture"):
            check(whole[: len(whole) // 2])

    def test_a_photograph_of_grey_fog_is_whole(self, tmp_path, check):
        """Rows of the grey that decoders fill with do not make a file damaged."""
        fog = np.full((64, 64, 3), 128, np.uint8)
        fog[:8] = 200
        assert check(content_of(Image.fromarray(fog), tmp_path / "a.jpg")).damage is None

    def test_every_beginning_of_a_file_has_an_answer(self, tmp_path, photograph):
        small = photograph.resize((60, 40))
        whole = content_of(small, tmp_path / "a.jpg", progressive=True)
        for end in range(2, len(whole), 7):
            try:
                jpeg.check(whole[:end])
            except ImageError as error:
                assert "missing" in str(error)  # noqa: PT017 both outcomes are right


def chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Types and data of the chunks of a PNG file."""
    found, at = [], 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png(parts: list[tuple[bytes, bytes]], wrong: bytes = b"") -> bytes:
    """A PNG file of chunks; those of a type `wrong` get a wrong checksum."""
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in parts:
        checksum = zlib.crc32(kind + body) ^ (kind == wrong)
        content += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)
    return content


class TestPng:
    @pytest.fixture
    def parts(self, tmp_path, photograph):
        return chunks(content_of(photograph, tmp_path / "a.png"))

    def test_a_wrong_checksum_of_a_text(self, check, parts, photograph):
        header, *rest = parts
        loaded = check(png([header, (b"tEXt", b"Comment\0none"), *rest], wrong=b"tEXt"))
        assert loaded.damage == "the chunk tEXt is damaged"
        np.testing.assert_array_equal(loaded.pixels, np.asarray(photograph))

    @pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"tEXt"])
    def test_a_long_text_is_no_damage(self, check, parts, photograph, kind):
        header, *rest = parts
        between = {b"zTXt": b"\0", b"iTXt": b"\1\0\0\0", b"tEXt": b""}[kind]
        text = bytes([32]) * 70_000_000
        body = b"Comment\0" + between + (text if kind == b"tEXt" else zlib.compress(text))
        loaded = check(png([header, (kind, body), *rest]))
        assert loaded.damage is None
        np.testing.assert_array_equal(loaded.pixels, np.asarray(photograph))

    def test_a_missing_end(self, check, parts, photograph):
        loaded = check(png(parts[:-1]))
        assert loaded.damage == "the end chunk is missing"
        np.testing.assert_array_equal(loaded.pixels, np.asarray(photograph))

    def test_a_wrong_checksum_of_the_pixels(self, check, parts, photograph):
        loaded = check(png(parts, wrong=b"IDAT"))
        assert loaded.damage == "the chunk IDAT is damaged"
        np.testing.assert_array_equal(loaded.pixels, np.asarray(photograph))

    def test_a_few_rows_are_missing(self, check, parts, photograph):
        whole = png(parts)
        loaded = check(whole[: int(0.95 * len(whole))])
        assert loaded.damage == "the chunk IDAT is damaged"
        np.testing.assert_array_equal(loaded.pixels[:270], np.asarray(photograph)[:270])

    @pytest.mark.parametrize("fraction", [0.1, 0.5, 0.8])
    def test_much_is_missing(self, check, parts, fraction):
        whole = png(parts)
        with pytest.raises(ImageError, match=r"about \d\d% of the picture is missing"):
            check(whole[: int(fraction * len(whole))])

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
    def test_every_mode_is_mended(self, tmp_path, check, photograph, mode):
        if mode == "I;16":
            image = Image.fromarray(np.asarray(photograph.convert("L")).astype(np.uint16) * 257)
        else:
            image = photograph.convert("RGBA").convert(mode)
        whole = content_of(image, tmp_path / "a.png")
        loaded = check(whole[: int(0.97 * len(whole))])
        assert loaded.damage
        np.testing.assert_array_equal(loaded.pixels[:270], load_rgb(tmp_path / "a.png")[:270])

    def test_a_checksum_that_is_wrong_is_found_where_pillow_does_not_look(self, check, parts):
        """A flipped bit in the pixels, which still inflate."""
        body = bytearray(b"".join(body for kind, body in parts if kind == b"IDAT"))
        raw = bytearray(zlib.decompress(bytes(body)))
        raw[5000] ^= 64
        flipped = zlib.compress(bytes(raw), 0)
        content = bytearray(png([parts[0], (b"IDAT", flipped), parts[-1]]))
        content[-30] ^= 255  # behind the pixels, in the checksums
        assert check(bytes(content)).damage == "the chunk IDAT is damaged"


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "avif", "jp2", "bmp", "ppm"])
def test_other_formats_that_are_cut_are_refused(tmp_path, photograph, suffix):
    whole = content_of(photograph, tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"damaged|unreadable"):
        load_rgb(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("name", ["gif", "png", "tif", "webp"])
def test_a_later_frame_that_is_damaged_does_not_count(tmp_path, photograph, name):
    frames = [photograph.resize((120, 80)).rotate(90 * turn) for turn in range(3)]
    path = tmp_path / f"a.{name}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    whole, expected = path.read_bytes(), load_image(path)
    assert expected.converted
    for fraction in (0.95, 0.8, 0.6):
        path.write_bytes(whole[: int(fraction * len(whole))])
        try:
            loaded = load_image(path)
        except ImageError:
            assert name == "webp"  # its header holds the length of the whole file
        else:
            np.testing.assert_array_equal(loaded.pixels, expected.pixels)
