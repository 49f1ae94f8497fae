import numpy as np
import scipy.io

from rsfiqa.datasets.matlab import variable
from rsfiqa.errors import InputError


def test_a_damaged_file_is_an_error_or_a_file(tmp_path, damaged):
    path = tmp_path / "scores.mat"
    scores = np.random.default_rng(0).random(500)
    scipy.io.savemat(path, {"scores": scores}, do_compression=True)
    np.testing.assert_array_equal(variable(path, "scores", folder="of the release"), scores)
    whole, refused = path.read_bytes(), 0
    for content in damaged(whole):
        path.write_bytes(content)
        try:
            variable(path, "scores", folder="of the release")
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 50
