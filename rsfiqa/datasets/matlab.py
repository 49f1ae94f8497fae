"""Variables of MATLAB files, in which the older releases keep their scores."""

from pathlib import Path

import numpy as np
import scipy.io
from scipy.io.matlab import MatReadError

from rsfiqa.errors import DAMAGED, InputError, first_line


def variable(path: Path, name: str, *, folder: str) -> np.ndarray:
    """A variable of a MATLAB file, shape (N,): numbers, or str of a cell array.

    Args:
        path: the file.
        name: the variable.
        folder: what root should be, for messages.

    Raises:
        InputError: no such file, damaged, or without the variable.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; set root to the folder {folder}")
    try:
        content = scipy.io.loadmat(path, variable_names=[name], squeeze_me=True)
        return np.atleast_1d(content[name])
    except (*DAMAGED, MatReadError) as error:
        raise InputError(
            f"{path}: must be a MATLAB file with {name}, found: {first_line(error)}; get the"
            " release again"
        ) from error
