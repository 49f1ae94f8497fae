"""The state of a training between two steps."""

import torch
from torch import nn

from rsfiqa.train.state import TrainingState


def test_a_state_with_a_changed_byte_is_ignored(tmp_path, flip, caplog):
    path, weight = tmp_path / "state.pt", torch.full((8, 8), 2.0)
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    nn.init.constant_(first.weight, 2)
    TrainingState(path, "one", {"module": first}).save([0.5])
    nn.init.constant_(second.weight, 3)
    state = TrainingState(path, "one", {"module": second})
    offsets = range(0, path.stat().st_size, 37)
    for offset in offsets:
        flip(path, offset)
        assert state.resume() == []
        flip(path, offset)
    assert (second.weight == 3).all()
    assert caplog.text.count("or damaged; the training starts anew") == len(offsets)
    assert state.resume() == [0.5]
    assert torch.equal(second.weight, weight)
