import numpy as np
import pytest

from rsfiqa import encoders
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders.files import PACKAGED
from rsfiqa.encoders.minilm import MiniLM
from rsfiqa.encoders.sentence_transformer import SentenceTransformerEncoder

TEXTS = [f"{'a very ' * (i % 5)}blurred wall {i} with noise. Overall poor." for i in range(40)]
TEXTS += ["noise " * 400, "na\u00efve caf\u00e9 \u6f22\u5b57"]
OPTIONS = EmbedOptions(encoder=PACKAGED, device="cpu")


@pytest.fixture(scope="module")
def library():
    return encoders.load(OPTIONS)


@pytest.fixture(scope="module")
def quick():
    return encoders.load(OPTIONS, quick_start=True)


def test_the_choice_is_made_once(library, quick):
    assert isinstance(library, SentenceTransformerEncoder)
    assert isinstance(quick, MiniLM)
    half = EmbedOptions(encoder=PACKAGED, device="cpu", precision="bf16")
    assert isinstance(encoders.load(half, quick_start=True), SentenceTransformerEncoder)


def test_the_encoder_that_starts_fast_gives_the_same_vectors(library, quick):
    vectors = library.encode(TEXTS)
    np.testing.assert_allclose(quick.encode(TEXTS), vectors, atol=1e-5)
    np.testing.assert_allclose(quick.encode(TEXTS[-1:]), vectors[-1:], atol=1e-5)  # not padded
    assert (quick.dimension, quick.max_length) == (library.dimension, library.max_length)
    assert vectors.shape == (len(TEXTS), quick.dimension)


def test_both_encoders_truncate_the_same_texts(library, quick):
    exceeding = library.exceeds_limit(TEXTS)
    assert np.flatnonzero(exceeding).tolist() == [40]
    np.testing.assert_array_equal(quick.exceeds_limit(TEXTS), exceeding)
