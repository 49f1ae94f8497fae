"""Text on a terminal."""

from rsfiqa.io.terminal import counted


def test_one_of_a_kind_is_no_plural():
    assert [counted(number, "picture") for number in (0, 1, 2)] == [
        "0 pictures",
        "1 picture",
        "2 pictures",
    ]
