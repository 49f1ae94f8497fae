"""Pictures and data sets for the tests of captioners."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage

from tests.support.captioning import uncaptioned_folder


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A photograph, uint8 (256, 256, 3)."""
    return cv2.resize(skimage.data.astronaut(), (256, 256), interpolation=cv2.INTER_AREA)


@pytest.fixture
def folder(tmp_path_factory, tmp_path) -> Path:
    """The folder of a data set with regions of a few small pictures, without captions."""
    return uncaptioned_folder(tmp_path_factory, tmp_path)
