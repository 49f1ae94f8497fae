"""Images that the packaged perception was trained on are not tested on."""

import shutil
from dataclasses import replace

import pytest

from rsfiqa.backbones.weights import PERCEPTION_FILE
from rsfiqa.benchmark import stage
from rsfiqa.benchmark.perception import check_perception, options_of
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import manifest
from tests.support.pipeline import SPLITS

PERCEPTION = sha256_of(PERCEPTION_FILE)


@pytest.mark.parametrize(
    ("caption", "backbone", "options"),
    [
        ("other", "other", []),
        (PERCEPTION, "other", ["caption.backend"]),
        ("other", PERCEPTION, ["extract.weights"]),
        (PERCEPTION, PERCEPTION, ["caption.backend", "extract.weights"]),
    ],
)
def test_what_the_perception_made(caption, backbone, options):
    lineage = {"caption": {"sha256": caption}, "backbone": {"sha256": backbone}, "encoder": {}}
    assert options_of(lineage) == options


@pytest.mark.parametrize(
    ("across", "message"),
    [
        (False, "found random splits; name it in benchmark.official, or choose another a and b$"),
        (True, "found all .* across data sets; set benchmark.cross false, or choose another a and"),
    ],
)
def test_images_that_the_perception_learned_from_are_refused(across, message):
    check_perception("mine", "livec", ["a", "b"], across=across)
    check_perception("mine", "biq2021", [], across=across)
    with pytest.raises(InputError, match=f"^mine: must be tested .* where a and b .*, {message}"):
        check_perception("mine", "biq2021", ["a", "b"], across=across)


@pytest.mark.parametrize(
    ("train", "way_out"), [("other", "name it in benchmark"), ("tiny", "set benchmark.cross false")]
)
def test_the_stage_refuses_them(pipeline, tmp_path, train, way_out):
    root = of_layout(pipeline, tmp_path, "biq2021")
    message = f"other: must be tested on .* caption.backend learned .*; {way_out}"
    with pytest.raises(InputError, match=message):
        stage.run(root, train=train, test="other", methods=["probe"], number=1, **SPLITS)


def of_layout(pipeline, folder, layout):
    """The products of the pipeline, with another layout of the data set `other`."""
    root = shutil.copytree(pipeline, folder / "results")
    path = root / "other/manifest.parquet"
    table, provenance = manifest.read(path)
    manifest.write(
        path, table, replace(provenance, options=provenance.options | {"layout": layout})
    )
    return root
