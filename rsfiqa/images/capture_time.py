"""When a picture was taken, by its EXIF data."""

from datetime import datetime, timedelta

from PIL import Image

DIRECTORY = 0x8769  # EXIF
TIME = 0x9003  # DateTimeOriginal
SUBSECOND = 0x9291  # SubSecTimeOriginal, the digits after the point
FORMAT = "%Y:%m:%d %H:%M:%S"


def capture_time(image: Image.Image) -> datetime | None:
    """The time of the camera's clock when a picture was taken; None if the file does not say it.

    The time has no zone, since few cameras record one. The time of the file is no substitute: a
    copy changes it.

    Args:
        image: of Pillow, opened.
    """
    try:
        tags = image.getexif().get_ifd(DIRECTORY)
        taken = datetime.strptime(_text(tags[TIME]), FORMAT)
    except Exception:  # as many kinds as of damaged pixels; zeros and blanks stand for no time
        return None
    digits = _text(tags.get(SUBSECOND, ""))
    fraction = float(f"0.{digits}") if digits.isascii() and digits.isdecimal() else 0.0
    return taken + timedelta(seconds=round(fraction, 6))


def _text(value: object) -> str:
    """The text of a tag without the blanks and null bytes that fill it up."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return text.strip("\0 ")
