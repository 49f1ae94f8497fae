"""TID2013: 3,000 images, 25 pristine ones under 24 distortions at 5 severities.

The images lie in `distorted_images`, named by reference, distortion and severity, such as
I01_01_1.bmp. Each line of `mos_with_names.txt` holds a MOS in [0, 9], higher is better, and a name,
which may differ from the file's in case. `mos_std.txt` is not read: it holds the standard deviation
of the mean, not of the opinions; integer ratings around a mean of 5.51 deviate by more than 0.13.
"""

from collections.abc import Mapping
from pathlib import Path

from rsfiqa.datasets.csv_table import number
from rsfiqa.datasets.entry import Entry, inside
from rsfiqa.datasets.release import distortion_of, file_in, files_by_lowercase_path, folder_in
from rsfiqa.errors import InputError
from rsfiqa.products.image_ids import image_id_of

DISTORTIONS = (
    "gaussian_noise",
    "color_component_noise",
    "spatially_correlated_noise",
    "masked_noise",
    "high_frequency_noise",
    "impulse_noise",
    "quantization_noise",
    "gaussian_blur",
    "denoising",
    "jpeg",
    "jpeg2000",
    "jpeg_transmission_errors",
    "jpeg2000_transmission_errors",
    "non_eccentricity_pattern_noise",
    "local_blocks",
    "mean_shift",
    "contrast_change",
    "color_saturation_change",
    "multiplicative_gaussian_noise",
    "comfort_noise",
    "lossy_compression_of_noisy_images",
    "color_quantization_with_dither",
    "chromatic_aberrations",
    "sparse_sampling_and_reconstruction",
)


def read(root: Path) -> list[Entry]:
    """The distorted images; images of one reference are one group.

    Raises:
        InputError: the folder or the table does not exist, or a line cannot be read.
    """
    path = file_in(root, "mos_with_names.txt")
    images = folder_in(root, "distorted_images")
    files = files_by_lowercase_path(images)
    return [
        _entry(text, f"{path.name} line {line}", images, files)
        for line, text in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if text.strip()
    ]


def _entry(text: str, location: str, images: Path, files: Mapping[str, Path]) -> Entry:
    try:
        score, name = text.split()
    except ValueError as error:
        raise InputError(
            f"{location}: must hold a MOS and a name, found '{text.strip()}'; download the"
            " release again"
        ) from error
    relative = inside(images, name, location)
    distortion, severity = distortion_of(name, DISTORTIONS, location)
    return Entry(
        image_id=image_id_of(relative),
        path=files.get(name.lower(), images / relative),
        group=name.partition("_")[0].upper(),
        location=location,
        mos=number(score, "MOS", location),
        distortion=distortion,
        severity=severity,
    )
