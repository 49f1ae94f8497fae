"""The packaged classifier captioner and the text encoder in torch, from pixels to vectors.

They are `captioners.classifier` and `captioners.content`, written anew of operators that ONNX has:
sentences are tokens of their parts, put together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rsfiqa.captioners.by_image import MENTIONED
from rsfiqa.captioners.classifier.network import Perception, beside_image
from rsfiqa.captioners.classifier.perceived import LEAST_EXPECTED
from rsfiqa.captioners.classifier.pooling import MIN_VARIANCE
from rsfiqa.captioners.content import (
    GREY_CHROMA,
    HUE_ENDS,
    HUES,
    TEXTURE_ENDS,
    TEXTURES,
    TONE_ENDS,
    TONES,
)
from rsfiqa.captioners.sentence import caption_sentence
from rsfiqa.encoders.minilm import MiniLM
from rsfiqa.products.captions import Distortion
from rsfiqa.score.export.masks import pool
from rsfiqa.score.export.pixels import PixelFeatures
from rsfiqa.vocabulary import (
    EXCELLENT,
    ITU_LEVELS,
    RATING_PER_SEVERITY,
    RATINGS,
    REALISTIC_FAMILIES,
    SEVERITIES,
)

NO_TOKEN = -1
BEHIND = 10_000  # more than a sentence has tokens


@dataclass(frozen=True)
class Captioned:
    """Captions of the R regions of an image as the model gets them.

    Attributes:
        ratings: float32 (R, 5), in the order of `RATINGS`.
        text: float32 (R, T), embeddings of the sentences.
        probability: float32 (R, F), of each family.
        severity: float32 (R, F), of each family where it is present.
    """

    ratings: Tensor
    text: Tensor
    probability: Tensor
    severity: Tensor


class ClassifierCaptions(nn.Module):
    """Ratings and embeddings of the captions of regions.

    Args:
        perception: the captioner's network.
        encoder: of texts; None for a model that gets ratings alone.
    """

    of_rating: Tensor

    def __init__(self, perception: Perception, encoder: MiniLM | None) -> None:
        super().__init__()
        self.features, self.head = PixelFeatures(), perception.head
        self.families = perception.families
        self.sentences = None if encoder is None else Sentences(perception.families, encoder)
        rated = [REALISTIC_FAMILIES[family].rating for family in perception.families]
        of_rating = torch.tensor([[float(each == name) for name in RATINGS] for each in rated])
        self.register_buffer("of_rating", of_rating, persistent=False)

    def forward(
        self, image: Tensor, labels: Tensor, masks: Tensor, maps: Sequence[Tensor]
    ) -> Captioned:
        """The captions of the regions of an image.

        Args:
            image: uint8 (H, W, 3).
            labels: int64 (H, W), label map of the image.
            masks: float32 (R, H, W), of the same regions.
            maps: feature maps (1, C_s, h_s, w_s) of the image.
        """
        of_pixels, statistics = self.features(image, labels, masks)
        outputs = self.head(_region_features(maps, masks, of_pixels)[None])
        mean, std = self.head.scale.unbind(0)
        probability, severity = outputs["presence"].sigmoid()[0], outputs["severity"][0]
        quality = mean + std * outputs["quality"][0]
        lost = RATING_PER_SEVERITY * (probability * severity) @ self.of_rating
        ratings = (EXCELLENT - lost).clamp(1, 5)
        overall = (1 + 4 * quality).clamp(1, 5)
        ratings = torch.cat([ratings[:, :-1], overall[:, None]], 1)
        text = ratings[:, :0]
        if self.sentences is not None:
            first, second = _named(probability * severity, outputs["cost"][0])
            steps = severity.round().clamp(SEVERITIES[0], SEVERITIES[-1]).long()
            named = _numbered(first, steps), _numbered(second, steps)
            text = self.sentences(statistics, *named, overall.round().long() - 1)
        return Captioned(ratings, text, probability, severity)


def _named(expected: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    """The families that a sentence names, see `perceived.named`: int64 (R,), -1 for none."""
    least = torch.finfo(cost.dtype).min
    known = torch.where(expected >= LEAST_EXPECTED, cost, torch.full_like(cost, least))
    top = known.topk(MENTIONED, dim=1)
    first, second = torch.where(top.values > least, top.indices, -1).unbind(1)
    return first, second


def _numbered(family: Tensor, severity: Tensor) -> Tensor:
    """0 for no family, else a number for each family and severity: int64 (R,)."""
    chosen = severity.gather(1, family.clamp_min(0)[:, None])[:, 0]
    return torch.where(family >= 0, family * len(SEVERITIES) + chosen, torch.zeros_like(family))


def _region_features(maps: Sequence[Tensor], masks: Tensor, of_pixels: Tensor) -> Tensor:
    """See `network.region_features`."""
    every = torch.cat([masks, torch.ones_like(masks[:1])])
    areas = masks.mean((1, 2))
    found = []
    for values in maps:
        weight = pool(every, values.shape[-2], values.shape[-1])
        weight = weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-6)
        cells = values[0].flatten(1).T  # (h * w, C)
        mean = weight.flatten(1) @ cells
        variance = weight.flatten(1) @ cells.square() - mean.square()
        found += [mean, variance.clamp_min(MIN_VARIANCE).sqrt()]
    of_maps = torch.cat(found, 1)
    return beside_image(
        torch.cat([of_maps[:-1], of_pixels], 1), torch.cat([of_maps[-1], areas @ of_pixels])
    )


class Sentences(nn.Module):
    """Vectors of the sentences of captions.

    Args:
        families: names of the families, in the order of their numbers.
        encoder: of texts.
    """

    def __init__(self, families: Sequence[str], encoder: MiniLM) -> None:
        super().__init__()
        self.encoder = encoder
        named = [
            Distortion(family=family, severity=severity)
            for family in families
            for severity in SEVERITIES
        ]
        contents = [f"A {t} {h} {x} area" for t in TONES for h in (*HUES, "grey") for x in TEXTURES]
        self._add("start", ["[CLS]"])
        self._add("content", contents)
        self._add("first", ["", *(_middle([one], 0) for one in named)])
        alone = _middle(named[:1], 0)
        also = [_middle([named[0], one], 0).removeprefix(alone) for one in named]
        self._add("second", ["", *also])
        self._add("unnamed", [_middle([], level) for level in range(len(ITU_LEVELS))])
        self._add("level", [f". Overall {level}." for level in ITU_LEVELS])
        self._add("end", ["[SEP]"])

    def _add(self, name: str, texts: Sequence[str]) -> None:
        """Keep the tokens of each of several parts of sentences: int64 (parts, tokens)."""
        rows = [self._tokens(text) for text in texts]
        length = max(map(len, rows))
        table = torch.tensor([row + [NO_TOKEN] * (length - len(row)) for row in rows])
        self.register_buffer(name, table, persistent=False)

    def _tokens(self, text: str) -> list[int]:
        """The tokens of a part of a sentence, or the one token of that name."""
        tokenizer = self.encoder.tokenizer
        if (token := tokenizer.token_to_id(text)) is not None:
            return [token]
        found = tokenizer.encode(text, add_special_tokens=False)
        return [token for token, kept in zip(found.ids, found.attention_mask, strict=True) if kept]

    def forward(
        self, statistics: dict[str, Tensor], first: Tensor, second: Tensor, level: Tensor
    ) -> Tensor:
        """Vectors of unit length of R sentences: float32 (R, T).

        Args:
            statistics: of the regions, by name, (R,) each.
            first: int64 (R,), the distortion that is named first, 0 for none.
            second: likewise the next.
            level: int64 (R,), number of the overall level in `ITU_LEVELS`.
        """
        zero = torch.zeros_like(level)
        unnamed = torch.where((first > 0)[:, None], NO_TOKEN, self._rows("unnamed", level))
        parts = [
            self._rows("start", zero),
            self._rows("content", _content(statistics)),
            self._rows("first", first),
            self._rows("second", second),
            unnamed,
            self._rows("level", level),
            self._rows("end", zero),
        ]
        tokens = torch.cat(parts, 1)  # (R, N)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        order = place + BEHIND * (tokens == NO_TOKEN).long()
        ordered = order.topk(tokens.shape[1], dim=1, largest=False)
        vectors: Tensor = self.encoder(
            tokens.gather(1, ordered.indices).clamp_min(0), ordered.values < BEHIND
        )
        return vectors

    def _rows(self, name: str, index: Tensor) -> Tensor:
        table: Tensor = getattr(self, name)
        return table[index]


def _middle(distortions: list[Distortion], level: int) -> str:
    """What a sentence says between its content and its level."""
    sentence = caption_sentence("", distortions, level + 1)
    return sentence.rpartition(". Overall ")[0]


def _content(statistics: dict[str, Tensor]) -> Tensor:
    """Number of the words of `content.describe` for each region: int64 (R,)."""
    tone = _digitized(statistics["lightness"], TONE_ENDS)
    texture = _digitized(statistics["contrast"], TEXTURE_ENDS)
    a, b = statistics["a"], statistics["b"]
    degrees = torch.atan2(b, a) * (180 / math.pi)
    degrees = torch.where(degrees < 0, degrees + 360, degrees)
    hue = _digitized(degrees, HUE_ENDS) % len(HUES)
    hue = torch.where((a * a + b * b).sqrt() < GREY_CHROMA, len(HUES), hue)
    return (tone * (len(HUES) + 1) + hue) * len(TEXTURES) + texture


def _digitized(values: Tensor, bounds: Sequence[float]) -> Tensor:
    """How many of the bounds each value reaches: int64 (R,)."""
    return (values[:, None] >= torch.tensor(bounds, dtype=torch.float32)).long().sum(1)
