"""Camera RAW files, developed by LibRaw with the camera's white balance: sRGB, upright."""

from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from rsfiqa.images.convert import reduction

TRANSPOSED_FLIPS = frozenset({4, 5, 6, 7})  # LibRaw's numbers; they swap width and height


class RawImageFile(ImageFile.ImageFile):
    """A file of which Pillow knows the size; it is developed when it is loaded."""

    format = "RAW"
    format_description = "camera RAW"

    def _open(self) -> None:
        import rawpy

        with rawpy.imread(str(self.filename)) as raw:
            sizes = raw.sizes
        size = (sizes.iwidth, sizes.iheight)
        self._size = size[::-1] if sizes.flip in TRANSPOSED_FLIPS else size
        self._mode = "RGB"

    def load(self) -> Any:
        """Develop the picture; one that is reduced later is developed at half its size."""
        import rawpy

        if self._im is None:
            half = reduction(self.size) > 1
            with rawpy.imread(str(self.filename)) as raw:
                developed = Image.fromarray(raw.postprocess(use_camera_wb=True, half_size=half))
            self.im, self._size = developed.im, developed.size
        return Image.Image.load(self)


def open_raw(path: Path) -> RawImageFile:
    """The file as an image of Pillow that is not developed yet."""
    return RawImageFile(str(path))
