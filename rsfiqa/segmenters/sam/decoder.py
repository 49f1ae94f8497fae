"""SAM's prompt encoder and mask decoder for many points of one image.

Computes what `MaskDecoder` of segment-anything computes with three masks per point, but encodes
the image once for all points and upscales only the masks that are kept.
"""

import torch
from segment_anything.modeling import Sam
from torch import Tensor

from rsfiqa.segmenters.sam.masks import REDUCTION, Size

PATCH = 16  # pixels of the model's input along a cell of the image embedding


def decode_points(
    model: Sam, embedding: Tensor, points: Tensor, least_iou: float, shape: Size
) -> tuple[Tensor, Tensor]:
    """Masks of point prompts whose predicted IoU is high enough.

    Args:
        model: its prompt encoder and mask decoder are used.
        embedding: float (1, 256, 64, 64), of the image.
        points: float64 (P, 2), x and y in pixels of the model's input; three masks for each.
        least_iou: masks with a predicted IoU up to this are not computed.
        shape: height and width of the masks without padding.

    Returns:
        logits: float (K, h, w), in the order of the points, K <= 3 * P.
        iou: float (K,), predicted IoU.
    """
    tokens, grid, iou = run_transformer(model, embedding, points)
    chosen = iou > least_iou
    return upscale_masks(model, tokens, grid, chosen, shape), iou[chosen]


def run_transformer(model: Sam, embedding: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output of the decoder's transformer for each point.

    The image embedding has a batch dimension of 1, not P: until the first attention from image to
    tokens, keys and values are the same for all points, and the layers broadcast.

    Returns:
        tokens: float (P, 3, 256), mask tokens.
        grid: float (P, 64 * 64, 256), image embedding after attention to each point's tokens.
        iou: float (P, 3), predicted IoU of each mask.
    """
    decoder, prompts = model.mask_decoder, model.prompt_encoder
    labels = torch.ones(len(points), 1, dtype=torch.int, device=points.device)
    sparse, _ = prompts((points[:, None].float(), labels), None, None)  # (P, 2, 256)
    outputs = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])  # (5, 256)
    tokens = torch.cat([outputs.expand(len(points), -1, -1), sparse], dim=1)  # (P, 7, 256)
    image = embedding + prompts.no_mask_embed.weight.view(1, -1, 1, 1)
    tokens, grid = decoder.transformer(image, prompts.get_dense_pe(), tokens)
    iou = decoder.iou_prediction_head(tokens[:, 0])[:, 1:]
    return tokens[:, 2:5], grid, iou  # token 1 belongs to the single-mask output


def upscale_masks(model: Sam, tokens: Tensor, grid: Tensor, chosen: Tensor, shape: Size) -> Tensor:
    """Logits float (K, h, w) of the chosen masks.

    Only embeddings of points with a chosen mask are upscaled, and only the part without padding:
    the upscaling is local to each cell.

    Args:
        model: its mask decoder is used.
        tokens: see `run_transformer`.
        grid: see `run_transformer`.
        chosen: bool (P, 3), masks to compute.
        shape: height and width of the masks without padding.
    """
    decoder = model.mask_decoder
    rows, columns = (-(-side * REDUCTION // PATCH) for side in shape)
    used = chosen.any(dim=1)
    side = model.prompt_encoder.image_embedding_size
    cells = torch.unflatten(grid[used].transpose(1, 2), 2, side)  # (p, 256, 64, 64)
    coarse = cells[..., :rows, :columns]  # (p, 256, h, w)
    if not len(coarse):
        return coarse.new_zeros(0, *shape)
    fine = decoder.output_upscaling(coarse)[..., : shape[0], : shape[1]]  # (p, 32, h, w)
    weights = torch.stack(
        [mlp(tokens[used, i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps[1:])], dim=1
    )  # (p, 3, 32)
    return torch.unflatten(weights @ fine.flatten(2), 2, shape)[chosen[used]]
