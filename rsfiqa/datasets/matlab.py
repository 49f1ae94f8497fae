"""Variables in MATLAB files, in which older releases keep their scores."""

from pathlib import Path

import numpy as np
import scipy.io
from scipy.io.matlab import MatReadError

from rsfiqa.errors import DAMAGED, InputError, first_line


def variable(path: Path, name: str, *, folder: str) -> np.ndarray:
    """A variable in a MATLAB file: numbers, or str from a cell array, shape (N,).

    Args:
        path: the file.
        name: of the variable.
        folder: name of the release's folder, for messages.

    Raises:
        InputError: the file does not exist, is damaged or lacks the variable.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; set root to the folder {folder}")
    try:
        content = scipy.io.loadmat(path, variable_names=[name], squeeze_me=True)
        return np.atleast_1d(content[name])
    except (*DAMAGED, MatReadError) as error:
        raise InputError(
            f"{path}: must be a MATLAB file with {name}, found: {first_line(error)};"
            " download the release again"
        ) from error
