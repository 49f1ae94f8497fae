"""Predictions and trainings reproduce recorded numbers, variant by variant.

They were recorded before identifiers were renamed, those of regions plus the global term: formulas,
the order in which parameters are created and the random draws must not change unnoticed.
"""

import pytest
import torch

from rsfiqa.model import collate
from rsfiqa.train.fit import fit
from rsfiqa.vocabulary import VARIANTS
from tests.support.tiny_model import random_batch, random_model, untrained_model

# float32 rounds numbers of size 1 to 6e-8.
TOLERANCE = 1e-6
# Processors round sums elsewhere, and the steps of a training carry that on.
TRAINED = 1e-5  # relative

# Of two images with 2 and 4 regions; per region of the second, and the attention in its 2nd row.
PREDICTIONS: dict[str, dict[str, list[float]]] = {
    "full": {
        "quality": [1.96003723, 0.740301371],
        "global_term": [1.04608274, 0.144989803],
        "region_quality": [0.316635504, 1.24560828, 0.280298546, 0.969613149],
        "region_weight": [0.0377014577, 0.28930825, 0.41278863, 0.260201663],
        "attention": [0.0660648867, 0.142215222, 0.174337119, 0.0442008264],
    },
    "no_mhf": {
        "quality": [-0.357375354, -0.193832457],
        "global_term": [-0.185688436, -0.381371021],
        "region_quality": [-0.059943199, 0.306093574, 0.057781965, -0.576483339],
        "region_weight": [0.27168256, 0.121046111, 0.213606834, 0.39366442],
        "attention": [0.0359110124, 0.108974338, 0.104200758, 0.0363092571],
    },
    "no_mllm": {
        "quality": [0.65182215, 0.964741468],
        "global_term": [-0.528978527, -0.0926146209],
        "region_quality": [1.18771079, 1.12443867, 0.888438016, 0.939428359],
        "region_weight": [0.0547183454, 0.176873416, 0.411759317, 0.356648862],
        "attention": [0.0360675603, 0.270108163, 0.237479538, 0.0375211537],
    },
    "no_rsa": {
        "quality": [1.13983953, 0.946801424],
        "global_term": [0.681194127, 0.488156021],
        "region_quality": [0.946801424, 0.946801424, 0.946801424, 0.946801424],
        "region_weight": [0.179015368, 0.189142019, 0.331134677, 0.300707936],
        "attention": [0.0625, 0.0625, 0.0625, 0.0625],
    },
    "none": {
        "quality": [-0.383978784, 0.399202585],
        "global_term": [-0.810209394, -0.0270280316],
        "region_quality": [0.399202577, 0.399202577, 0.399202577, 0.399202577],
        "region_weight": [0.179015368, 0.189142019, 0.331134677, 0.300707936],
        "attention": [0.0625, 0.0625, 0.0625, 0.0625],
    },
}

# Loss of each of 3 epochs on 16 images, then the quality of the first 3 images. What regions share
# cancels in the loss of localization up to float32 rounding, which AdamW amplifies to 1e-3 here.
TRAININGS: dict[str, tuple[list[float], list[float]]] = {
    "full": ([2.40583789, 3.02116156, 3.57652283], [0.499977648, 0.443332672, 0.495809495]),
    "no_mhf": ([2.4907583, 2.61173999, 3.0342958], [0.412011981, 0.482397974, 0.553556144]),
    "no_mllm": ([2.93589115, 3.3358314, 2.55622876], [0.49791795, 0.524685264, 0.51314652]),
    "no_rsa": ([2.14242285, 2.13671964, 1.60126495], [0.490038395, 0.587814569, 0.492049754]),
    "none": ([1.82521164, 1.77490234, 1.96598405], [0.506500661, 0.458359301, 0.538164616]),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_predictions_are_those_recorded(variant: str) -> None:
    batch = collate([random_batch(1, 2, seed=2), random_batch(1, 4, seed=4)])
    with torch.inference_mode():
        prediction = random_model(variant)(batch)
    actual = {
        "quality": prediction.quality,
        "global_term": prediction.global_term,
        "region_quality": prediction.region_quality[1],
        "region_weight": prediction.region_weight[1],
        "attention": prediction.attention[0, 1],
    }
    for name, recorded in PREDICTIONS[variant].items():
        assert actual[name].tolist() == pytest.approx(recorded, abs=TOLERANCE), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_training_is_that_recorded(variant: str) -> None:
    model = untrained_model(variant)
    data, mirrored, distorted = (random_batch(16, seed=seed) for seed in (5, 6, 7))
    losses = fit(
        model,
        data,
        torch.linspace(0.1, 0.9, 16),
        epochs=3,
        batch_size=8,
        seed=11,
        mirrored=mirrored.grid_features,
        distorted=distorted.grid_features,
    )
    with torch.inference_mode():
        quality = model(data.take(torch.arange(3))).quality
    recorded_losses, recorded_quality = TRAININGS[variant]
    assert losses == pytest.approx(recorded_losses, TRAINED)
    assert quality.tolist() == pytest.approx(recorded_quality, TRAINED)
