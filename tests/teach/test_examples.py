import numpy as np
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.teach import examples
from rsfiqa.teach.examples import Example


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "test.jsonl: no such file; make it with rsfiqa teach data"),
        ("", "test.jsonl: must hold examples, found none; give teach data more sources"),
        ("{\n", "test.jsonl: line 1 must be an example, found Expecting property name"),
        ("{}\n", "test.jsonl: line 1 must be an example, found not an example: 'distortions'"),
    ],
)
def test_files_without_examples(tmp_path, content, message):
    if content is not None:
        (tmp_path / "test.jsonl").write_text(content)
    with pytest.raises(InputError) as caught:
        examples.read(tmp_path / "test.jsonl")
    assert message in str(caught.value)


def test_lines_can_be_read_again(folder):
    lines = (folder / "train.jsonl").read_text("utf-8").splitlines()
    assert [example.to_json() for example in examples.read(folder / "train.jsonl")] == lines


def test_names_may_hold_characters_that_end_a_line_elsewhere(tmp_path):
    """U+2028 and others, at which str.splitlines splits, stand in JSON as they are."""
    name = "a\u2028b\u2029c\x85d\r\n.png"
    written = [Example(f"set/{name}/{i}/0", name, "local", 0, (), "", (), ()) for i in range(2)]
    examples.write(tmp_path / "test.jsonl", written)
    assert examples.read(tmp_path / "test.jsonl") == written


def test_a_missing_label_map(tmp_path):
    lost = Example("a", "a", "local", 0, (), "lost.png", (), ())
    with pytest.raises(InputError, match=r"lost.png: must be the label map of an example, found"):
        examples.read_image(tmp_path, lost)


def test_label_maps_of_many_regions_keep_their_numbers(tmp_path):
    labels = np.arange(20 * 20, dtype=np.uint16).reshape(20, 20)
    examples.write_labels(tmp_path / "a.png", labels)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "a.png")), labels)
