"""Arguments of benchmarks."""

import pytest

from benchmarks.figures import RELEASES, add_data, parser
from rsfiqa.datasets.registry import DATASETS


def test_releases_are_of_known_layouts():
    assert set(RELEASES) <= set(DATASETS)


def test_a_folder_must_hold_the_releases(tmp_path, capsys):
    (tmp_path / RELEASES["livec"]).mkdir()
    options = parser("benchmarks.score", "Speed.")
    add_data(options, "livec", "mmp2k")
    with pytest.raises(SystemExit):
        options.parse_args(["--data", str(tmp_path)])
    assert f"must hold MMP-2k, found {tmp_path}" in capsys.readouterr().err
    assert "folder that holds ChallengeDB_release and MMP-2k" in options.format_help()
    (tmp_path / RELEASES["mmp2k"]).mkdir()
    assert options.parse_args(["--data", str(tmp_path)]).data == tmp_path
