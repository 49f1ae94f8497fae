"""Constants of the model, which its implementations in torch and in NumPy share."""

from rsfiqa.vocabulary import Variant

# Standardised inputs are clipped to [-6, 6], the range of the training images.
CLIP = 6.0
# Added to the variance of channels. It keeps the gradient of the root finite in dead channels; live
# ones vary by 0.1 to 10.
MIN_VARIANCE = 1e-6
MIN_COVERAGE = 1e-6  # cells that a region covers, at least, in a division or a logarithm
HEADS = 4  # of attention among the regions, unless a checkpoint says otherwise
# Attention starts as a Gaussian around the image's centre with this standard deviation, as a
# fraction of the sides. A centre prior adds 0.01 SRCC even to a support vector regression.
CENTER_PRIOR_WIDTH = 0.2
# Learned 5 times as fast as other weights, so that the prior adapts as fast as they do.
PRIOR_SPEED = 5.0
# Factor of the caption projection in new models. It was chosen on validation parts of LIVEC
# (docs/experiments/ablation-second-round.md). Random sentences and ratings, which can only harm,
# lowered the validation SRCC of 744 training images by 0.013 at 1.0 and 0.008 at 0.2 (4 splits).
CAPTION_SCALE = 0.5
EARLIER_CAPTION_SCALE = 0.2  # of checkpoints that do not state it
# The slope of `OverallAnchor` is learned 20 times as fast as other weights, which would hardly move
# it in a training. With rule-based captions, whose overall rating says little of opinions, it falls
# to 0.2 and costs 0.006 SRCC on LIVEC; at the common speed it stayed at 0.45 and cost 0.014 (2
# splits).
ANCHOR_SPEED = 20.0

# Variants without multi-scale features, without captions and without region attention.
LAST_ONLY: tuple[Variant, ...] = ("no_mhf", "none")
UNCAPTIONED: tuple[Variant, ...] = ("no_mllm", "none")
UNATTENDED: tuple[Variant, ...] = ("no_rsa", "none")
