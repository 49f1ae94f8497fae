import numpy as np
import scipy.io

from rsfiqa.datasets.matlab import variable


def test_a_damaged_file_is_an_error_or_a_file(tmp_path, refused):
    path = tmp_path / "scores.mat"
    scores = np.random.default_rng(0).random(500)
    scipy.io.savemat(path, {"scores": scores}, do_compression=True)
    np.testing.assert_array_equal(variable(path, "scores", folder="of the release"), scores)
    assert refused(path, lambda: variable(path, "scores", folder="of the release")) > 50
