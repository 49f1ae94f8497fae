"""Requests that nobody should send: all of them can be made, on any machine."""

from benchmarks.curate.hostile import BOMB, MAKERS, bomb, hostile


def test_every_kind_is_made_in_turn():
    kinds = [request.kind for request in hostile(12 * len(MAKERS))]
    assert len(set(kinds)) == len(MAKERS)
    assert kinds[: len(MAKERS)] == kinds[-len(MAKERS) :]


def test_a_bomb_of_any_size_is_small():
    for side in (12_000, 2**31 - 1):
        assert len(bomb(side)) < BOMB / 500
