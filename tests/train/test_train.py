from rsfiqa import samples, train
from tests.pipeline import TRAIN, made


def test_a_small_set_is_passed_over_more_often(tmp_path_factory):
    data = samples.load(made(tmp_path_factory) / "tiny")
    assert len(data) == 12
    losses = {}
    for steps in (1, 9):
        options = TRAIN.model_copy(update={"batch_size": 4, "least_steps": steps})
        model = train.make_model(data, options, "full", seed=0)
        losses[steps] = train.train(model, data, options, seed=0)
    assert len(losses[1]) == TRAIN.epochs == 2
    assert len(losses[9]) == 3  # of three steps each
