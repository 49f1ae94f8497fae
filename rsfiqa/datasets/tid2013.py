"""TID2013: 25 pristine images, 24 distortions at 5 levels.

Ponomarenko and others, Image database TID2013: Peculiarities, results and perspectives, Signal
Processing: Image Communication 2015. 3,000 images in `distorted_images`, called I01_01_1.bmp by
reference, distortion and level; `mos_with_names.txt` holds a MOS and a name in each line, on
[0, 9], higher is better. Upper and lower case differ between names and files. `mos_std.txt` is not
read: it holds the deviation of the mean, not of the opinions; whole scores around a mean of 5.51
cannot deviate by 0.13 only.
"""

from pathlib import Path

from rsfiqa.datasets.csv_table import number
from rsfiqa.datasets.entry import Entry, image_id_of, inside
from rsfiqa.datasets.release import by_spelling, distortion_of, file_in, folder_in
from rsfiqa.errors import InputError

MOS_RANGE = (0.0, 9.0)
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
        InputError: no such folder or table, or a line that cannot be read.
    """
    path = file_in(root, "mos_with_names.txt")
    images = folder_in(root, "distorted_images")
    files = by_spelling(images)
    entries = []
    for line, text in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        if not text.strip():
            continue
        location = f"{path.name} line {line}"
        score, name = _cells(text, location)
        relative = inside(images, name, location)
        distortion, severity = distortion_of(name, DISTORTIONS, location)
        entries.append(
            Entry(
                image_id=image_id_of(relative),
                path=files.get(name.lower(), images / relative),
                group=name.partition("_")[0].upper(),
                location=location,
                mos=number(score, "MOS", location),
                distortion=distortion,
                severity=severity,
            )
        )
    return entries


def _cells(text: str, location: str) -> list[str]:
    cells = text.split()
    if len(cells) != 2:
        raise InputError(
            f"{location}: must hold a MOS and a name, found '{text.strip()}'; get the release again"
        )
    return cells
