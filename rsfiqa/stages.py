"""The options of every stage: the one source of config schema, command line and defaults."""

import inspect
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Raised on purpose when a stage's output changes for the same options; then it runs again.
VERSIONS = {
    "prepare": 1,
    "segment": 1,
    "caption": 2,
    "embed": 1,
    "extract": 4,
    "train": 8,
    "benchmark": 1,
    "report": 2,
    "teach": 2,
}
Layout = Literal[
    "live",
    "csiq",
    "tid2013",
    "kadid10k",
    "livec",
    "koniq10k",
    "spaq",
    "flive",
    "agiqa3k",
    "pipal",
    "bid",
    "kodak",
    "csv",
    "folder",
    "demo",
]
Variant = Literal["full", "no_mhf", "no_mllm", "no_rsa", "none"]
Peer = Literal["brisque", "mlp", "probe"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Device = Literal["auto", "cuda", "cpu"]
Share = Annotated[float, Field(ge=0, le=1)]


class Options(BaseModel):
    """Frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """The docstring is the help text; Python before 3.13 keeps its indentation."""
        cls.__doc__ = inspect.cleandoc(cls.__doc__ or "")


class PrepareOptions(Options):
    """One data set, as its authors released it, as a CSV, as a folder, or the demo set."""

    layout: Layout = Field(
        "demo",
        description="What the data set looks like on disk: a published set as its authors release"
        " it (live to kodak), a csv of scores, a folder of pictures, or demo, which needs no root.",
    )
    root: str | None = Field(
        None, description="The data set's folder; for csv, the CSV file. ~ is expanded."
    )
    mos_range: tuple[float, float] | None = Field(
        None,
        description="Lowest and highest possible MOS; needed for csv, known for published sets.",
    )
    lower_better: bool = Field(
        False,
        description="For csv: the column mos holds DMOS (a low value is good); known for"
        " published sets.",
    )


class SegmentOptions(Options):
    """How an image is cut into regions."""

    backend: Literal["superpixel", "sam"] = Field(
        "superpixel",
        description="superpixel needs no weights: an oversegmentation merged over its graph. sam:"
        " the automatic masks of segment-anything.",
    )
    long_side: int = Field(
        512, ge=32, le=4096, description="Long side of label maps in pixels; never enlarged."
    )
    max_regions: int = Field(12, ge=1, le=1000, description="Regions of an image at most.")
    min_area_share: float = Field(
        0.01, ge=0, le=0.5, description="Smaller regions join a neighbour; share of the image."
    )
    superpixels: int = Field(
        300, ge=2, le=4000, description="superpixel: pieces before merging, about this many."
    )
    checkpoint: str | None = Field(
        None, description="sam: path of a checkpoint of segment-anything. ~ is expanded."
    )
    model_type: Literal["auto", "vit_b", "vit_l", "vit_h"] = Field(
        "auto", description="sam: what the checkpoint must hold; auto takes what is there."
    )
    mode: Literal["exact", "adaptive"] = Field(
        "exact",
        description="sam: exact prompts all points of the grid, as the package's generator does;"
        " adaptive goes from a coarse to the whole grid and leaves out points that lie in"
        " several masks it has.",
    )
    points_per_side: int = Field(
        32, ge=1, le=128, description="sam: points along each side of the prompt grid."
    )
    pred_iou_thresh: float = Field(
        0.88, ge=-10, le=10, description="sam: masks that the model itself rates lower are dropped."
    )
    stability_score_thresh: float = Field(
        0.95, ge=0, le=1, description="sam: masks that depend more on the cutoff are dropped."
    )
    stability_score_offset: float = Field(
        1.0, gt=0, le=10, description="sam: by how much the cutoff is moved, in logits."
    )
    box_nms_thresh: float = Field(
        0.7, ge=0, le=1, description="sam: IoU of boxes above which the worse mask is dropped."
    )
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        "fp32", description="sam: of the model's arithmetic; masks are judged in fp32."
    )
    device: Device = Field("auto", description="sam: auto takes a GPU where there is one.")
    compile: bool = Field(False, description="sam: compile the image encoder (torch.compile).")
    points_per_batch: int = Field(
        64, ge=1, le=4096, description="sam: points at once; halved where memory runs out."
    )
    images_per_batch: int = Field(
        4, ge=1, le=64, description="sam: images at once through the image encoder."
    )
    workers: int = Field(
        2, ge=0, le=64, description="sam: processes that read the next images; 0 for none."
    )

    def recorded(self) -> dict[str, Any]:
        """The options that shape the regions; where and how fast they are made is left out."""
        names = {"backend", "long_side", "max_regions", "min_area_share"}
        if self.backend == "superpixel":
            return self.model_dump(include=names | {"superpixels"})
        speed = {"device", "compile", "points_per_batch", "images_per_batch", "workers"}
        return self.model_dump(exclude=speed | {"superpixels", "checkpoint"})


class ServerOptions(Options):
    """The language model's own server: what it serves, on what, and how it is kept alive."""

    model: str | None = Field(
        None,
        description="vllm: the model's name on the servers; recorded with the captions.",
    )
    weights: str | None = Field(
        None,
        description="vllm, own server: the model's folder, as transformers saves it. ~ is expanded."
        " Without it the server downloads what `model` names.",
    )
    python: str | None = Field(
        None,
        description="vllm, own server: the interpreter of an environment that holds vllm; by"
        " default the one that runs the stage.",
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="vllm, own server: of weights and arithmetic; auto: as saved."
    )
    tensor_parallel: int = Field(
        1, ge=1, le=64, description="vllm, own server: GPUs over which one copy is spread."
    )
    data_parallel: int = Field(
        1, ge=1, le=64, description="vllm, own server: copies that share the requests."
    )
    max_model_len: int = Field(
        8192, ge=256, le=10**7, description="vllm, own server: tokens of a request and its answer."
    )
    gpu_memory: float = Field(
        0.9, gt=0, le=1, description="vllm, own server: share of a GPU's memory that it takes."
    )
    prefix_caching: bool = Field(
        True, description="vllm, own server: compute what requests begin with in common once."
    )
    structured_backend: Literal["xgrammar", "guidance", "outlines"] = Field(
        "xgrammar", description="vllm, own server: what holds answers to their schema."
    )
    server_arguments: str = Field(
        "",
        description="vllm, own server: further arguments of vllm's api_server, as in a shell.",
    )
    startup: float = Field(
        1200, gt=0, le=86400, description="vllm, own server: seconds until it must be up."
    )


class CaptionOptions(ServerOptions):
    """How a region is described and rated."""

    backend: Literal["measured", "vllm"] = Field(
        "measured",
        description="measured needs no weights: noise, blur, blockiness, exposure, contrast and"
        " colourfulness of the region, mapped to ratings and a sentence. vllm: a vision-language"
        " model behind a server that speaks OpenAI's chat protocol, such as vLLM's.",
    )
    long_side: int = Field(
        1024, ge=64, le=8192, description="Larger images are reduced to this; never enlarged."
    )
    endpoints: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field(
        (),
        description="vllm: base URLs of servers, such as http://localhost:8000/v1; without any, the"
        " job starts a server of its own and ends it.",
    )
    prompt: Literal["regions", "image"] = Field(
        "regions",
        description="vllm: regions asks for one region at a time, shown cut out; image asks for all"
        " regions of an image at once, shown by numbered marks.",
    )
    key_variable: str = Field(
        "RSFIQA_API_KEY", description="vllm: environment variable that holds the servers' key."
    )
    max_pixels: int = Field(
        1_003_520, ge=4096, le=10**8, description="vllm: pixels of a picture that is sent, at most."
    )
    max_tokens: int = Field(
        300, ge=32, le=10**5, description="vllm: tokens of a region's answer, at most."
    )
    temperature: float = Field(0.0, ge=0, le=2, description="vllm: of sampling; 0 takes the best.")
    attempts: int = Field(
        3, ge=1, le=20, description="vllm: how often a region is asked while answers are unusable."
    )
    concurrency: int = Field(
        32, ge=1, le=4096, description="vllm: requests under way at once on each server."
    )
    timeout: float = Field(120, gt=0, le=86400, description="vllm: seconds of one request.")
    patience: float = Field(
        600, ge=0, le=10**6, description="vllm: seconds after which a busy server is given up."
    )
    restarts: int = Field(
        2, ge=0, le=100, description="vllm, own server: how often it is started anew if it dies."
    )

    def recorded(self) -> dict[str, Any]:
        """The options that shape the captions; where and how fast they are made is left out."""
        names = {"backend", "long_side"}
        if self.backend == "vllm":
            names |= {"model", "prompt", "max_pixels", "max_tokens", "temperature", "attempts"}
            if not self.endpoints:
                names |= {"dtype", "server_arguments"}
        return self.model_dump(include=names)


class EmbedOptions(Options):
    """How captions become vectors."""

    encoder: str = Field(
        "packaged-minilm",
        description="packaged-minilm (all-MiniLM-L6-v2 from a Python package), the folder of any"
        " transformers text encoder, or its name on the Hugging Face hub.",
    )
    device: Device = Field("auto", description="auto takes a GPU where there is one.")
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        "fp32", description="Of the encoder's weights and arithmetic."
    )
    batch_size: int = Field(
        64, ge=1, le=4096, description="Captions encoded at once; changes no vector by 0.001."
    )

    def recorded(self) -> dict[str, Any]:
        """The options that shape the vectors; where and how fast they are made is left out."""
        return self.model_dump(exclude={"device", "batch_size"})


class ExtractOptions(Options):
    """What is kept of the frozen backbone."""

    backbone: str = Field(
        "tf_efficientnet_lite0", description="Name of a timm model with feature maps."
    )
    weights: str = Field(
        "packaged",
        description="packaged (ImageNet weights of tf_efficientnet_lite0, lite1 or lite2, from"
        " Python packages), the path of a state dict (.safetensors or .pth), or hub (timm's"
        " weights, from the Hugging Face hub or its cache).",
    )
    long_side: int = Field(
        1024, ge=64, le=8192, description="Larger images are reduced to this; never enlarged."
    )
    grid: int = Field(8, ge=1, le=64, description="Cells on each side of the feature grid.")
    copies: bool = Field(
        True,
        description="Also features of a mirrored and of a distorted copy of each image, for"
        " training; three times the time.",
    )
    device: Device = Field("auto", description="auto takes a GPU where there is one.")


class TrainOptions(Options):
    """The RSA model: trained on frozen features, and then perhaps together with its backbone."""

    min_images: int = Field(20, ge=2, description="A data set with fewer images is refused.")
    epochs: int = Field(15, ge=1, le=10000, description="Passes over the training part.")
    validation_share: float = Field(
        0,
        ge=0,
        lt=1,
        description="Share of the training part, by group, that is held out to take the best epoch"
        " and to stop early; 0: the last epoch.",
    )
    patience: int = Field(
        3, ge=1, le=10000, description="validation_share: epochs without a better one, then stop."
    )
    batch_size: int = Field(64, ge=2, le=4096, description="Images per step.")
    learning_rate: float = Field(2e-3, gt=0, le=1, description="Peak rate of AdamW.")
    weight_decay: float = Field(0.05, ge=0, le=10, description="Of AdamW, on matrices only.")
    width: int = Field(
        64, ge=8, le=4096, multiple_of=4, description="Channels of mixed features and tokens."
    )
    members: int = Field(8, ge=1, le=64, description="Networks whose mean is the global term.")
    hidden: int = Field(128, ge=1, le=4096, description="Hidden units of each of them.")
    pointing: float = Field(
        0.3,
        ge=0,
        le=100,
        description="Weight in the loss of telling the region that was spoilt; finetune: a tenth of"
        " it; 0: off.",
    )
    ema: float = Field(0.99, ge=0, lt=1, description="Decay of the averaged weights; 0: off.")
    finetune: bool = Field(
        False, description="Go on with the backbone's weights free, on crops of the images."
    )
    tune_epochs: int = Field(8, ge=1, le=1000, description="finetune: passes over the images.")
    tune_batch_size: int = Field(16, ge=2, le=4096, description="finetune: images per step.")
    tune_rate: float = Field(
        2e-4, gt=0, le=1, description="finetune: peak rate of the backbone's last layer."
    )
    tune_head_rate: float = Field(
        1e-3, gt=0, le=1, description="finetune: peak rate of the model on top of it."
    )
    layer_decay: float = Field(
        0.95, gt=0, le=1, description="finetune: rate of a layer, over that of the layer above."
    )
    crop: int = Field(352, ge=32, le=8192, description="finetune: side of the crops, pixels.")
    accumulate: int = Field(
        1,
        ge=1,
        le=4096,
        description="finetune: parts of a batch that are computed in turn; correlation"
        " and ranking are those of a part.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="finetune: of the backbone's arithmetic."
    )
    compile: bool = Field(False, description="finetune: compile the backbone (torch.compile).")
    device: Device = Field("auto", description="finetune: auto takes a GPU where there is one.")
    workers: int = Field(
        0, ge=0, le=64, description="finetune: processes that read and crop images."
    )
    threads: int = Field(1, ge=1, le=256, description="finetune: of a processor, without a GPU.")

    def recorded(self) -> dict[str, Any]:
        """The options that shape the weights; where and how fast they are made is left out."""
        return self.model_dump(exclude={"min_images", "device", "workers", "compile"})


class BenchmarkOptions(Options):
    """What is trained and tested on what."""

    datasets: tuple[Name, ...] = Field(
        ("demo",), min_length=1, description="Data sets to train and test on, by random splits."
    )
    splits: int = Field(10, ge=1, le=1000, description="Random splits by group of each data set.")
    test_share: float = Field(0.2, gt=0, lt=1, description="Share of images in the test part.")
    official: tuple[Name, ...] = Field(
        (),
        description="Data sets that are trained and tested on their official split instead, with"
        " several seeds; trained on is all that is not its test part.",
    )
    variants: tuple[Variant, ...] = Field(
        ("full", "no_mhf", "no_mllm", "no_rsa"),
        min_length=1,
        description="The model, and what is taken from it: multi-scale features, captions,"
        " region attention, or all three.",
    )
    peers: tuple[Peer, ...] = Field(
        ("probe",),
        description="Other methods on the same splits: probe is a support vector regression on"
        " the frozen backbone's whole-image statistics, mlp a network on its mean-pooled features,"
        " brisque a support vector regression on BRISQUE's features.",
    )
    cross: bool = Field(
        True, description="Also train on all of each data set and test on all of each other."
    )
    seeds: int = Field(
        10,
        ge=1,
        le=1000,
        description="Trainings behind a median across data sets, or of an official split.",
    )


class ReportOptions(Options):
    """What the page shows."""

    images: int = Field(24, ge=0, le=200, description="Images shown with regions and attention.")


class ScoreOptions(Options):
    """Where a checkpoint scores pictures, and what it needs that it does not hold."""

    device: Device = Field("auto", description="auto takes a GPU where there is one.")
    weights: str = Field(
        "packaged", description="Of a backbone that was not fine-tuned, as of extract."
    )
    sam_checkpoint: str | None = Field(
        None, description="The checkpoint of segment-anything that made the regions trained on."
    )
    endpoint: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field(
        (),
        description="Base URL of a server of the model that made the captions trained on, such as"
        " http://localhost:8000/v1; can be given several times.",
    )
    key_variable: str = Field(
        "RSFIQA_API_KEY", description="Environment variable that holds the servers' key."
    )


class TeachDataOptions(Options):
    """Which examples are made of photographs, and how many."""

    part: tuple[Literal["train", "validation", "test"], ...] = Field(
        (), description="Only this part; can be given several times."
    )
    views: int = Field(
        25,
        ge=1,
        le=10**6,
        description="Crops of each photograph to teach by; of five, one is pristine, two are"
        " distorted all over, two by region.",
    )
    questions: int = Field(
        3, ge=1, le=100, description="Regions of a view that are asked about, to teach by."
    )
    two_share: float = Field(
        0.25, ge=0, le=1, description="Of draws to teach by: two distortions, one on the other."
    )
    vary: bool = Field(
        False,
        description="Photographs to teach by are reduced, turned, given other colors, light and"
        " chroma, each by chance: for few photographs.",
    )
    validation_share: float = Field(
        0.1, ge=0, lt=1, description="Of the photographs, by group, that are not for the test."
    )
    test_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Of the photographs, by group, where no source has an official test.",
    )
    long_side: int = Field(
        1024, ge=64, le=8192, description="Larger images are reduced to this, as by caption."
    )
    max_pixels: int = Field(
        1_003_520, ge=4096, le=10**8, description="Pixels of a picture at most, as by caption."
    )

    def recorded(self) -> dict[str, Any]:
        """The options that shape the examples of a photograph."""
        return self.model_dump(exclude={"part", "validation_share", "test_share"})


class TeachTrainOptions(Options):
    """A vision-language model, and how it learns from examples."""

    model: str | None = Field(
        None,
        description="Folder of a model of transformers that turns images and text to text, or its"
        " name on the hub. ~ is expanded.",
    )
    method: Literal["lora", "full"] = Field(
        "lora", description="lora: low-rank updates, merged at the end; full: all weights."
    )
    rank: int = Field(16, ge=1, le=1024, description="lora: of the updates.")
    alpha: int = Field(32, ge=1, le=10_000, description="lora: updates count alpha / rank.")
    dropout: float = Field(0.05, ge=0, lt=1, description="lora: of what the updates see.")
    targets: str = Field(
        "all-linear",
        min_length=1,
        description="lora: layers that get updates, a regular expression of their names;"
        " all-linear for all but the last, those of the vision tower too.",
    )
    frozen: str | None = Field(
        None,
        description="full: weights that stay as they are, a regular expression of their names, such"
        " as .*visual.*",
    )
    epochs: float = Field(1, gt=0, le=1000, description="Passes over the examples.")
    batch_size: int = Field(1, ge=1, le=4096, description="Examples at once on each device.")
    accumulate: int = Field(16, ge=1, le=4096, description="Batches of a step on each device.")
    learning_rate: float = Field(1e-4, gt=0, le=1, description="Peak rate of AdamW.")
    warmup: float = Field(
        0.03, ge=0, description="Share of the steps in which the rate rises; from 1 on, steps."
    )
    weight_decay: float = Field(0.0, ge=0, le=10, description="Of AdamW.")
    precision: Literal["bf16", "fp32"] = Field(
        "bf16",
        description="Of the arithmetic and of the model that is written; what learns is kept in"
        " fp32 until then.",
    )
    checkpointing: bool = Field(
        True, description="Compute activations anew instead of keeping them: less memory."
    )
    save_steps: int = Field(
        100, ge=1, description="A training that was broken off goes on from the last of these."
    )
    log_steps: int = Field(10, ge=1, description="Steps between two losses that are noted.")
    workers: int = Field(0, ge=0, le=256, description="Processes that prepare examples.")

    def recorded(self) -> dict[str, Any]:
        """The options that shape the weights."""
        return self.model_dump(exclude={"model", "save_steps", "log_steps", "workers"})


class TeachOptions(Options):
    """The target teach, which stands outside the pipeline: examples, a taught model, its test."""

    datasets: tuple[Name, ...] = Field(
        ("demo",), min_length=1, description="Of pristine photographs."
    )
    data: TeachDataOptions
    train: TeachTrainOptions


class GpuOptions(Options):
    """GPUs that a job of each stage asks of the scheduler; 0 for none."""

    segment: int = Field(0, ge=0, le=16, description="SAM fills one.")
    caption: int = Field(0, ge=0, le=16, description="As many as the model server spreads over.")
    embed: int = Field(0, ge=0, le=16, description="A large encoder gains from one.")
    extract: int = Field(0, ge=0, le=16, description="A large backbone gains from one.")
    train: int = Field(0, ge=0, le=16, description="Fine-tuning: a process on each.")
    teach: int = Field(0, ge=0, le=16, description="One at least, for models worth teaching.")


class Config(Options):
    """The whole of config.yaml."""

    results: str = Field("results", min_length=1, description="Folder of all products.")
    seed: int = Field(0, ge=0, description="Of splits and trainings.")
    shard_size: int = Field(
        1000, ge=1, description="Images per shard: 1,000 to 10,000 on a cluster."
    )
    max_failed_share: Share = Field(
        0.01, description="A shard with a larger share of unusable images fails."
    )
    datasets: dict[Name, PrepareOptions] = Field(
        min_length=1, description="Data sets by name; what they are used for stands in benchmark."
    )
    gpus: GpuOptions
    segment: SegmentOptions
    caption: CaptionOptions
    embed: EmbedOptions
    extract: ExtractOptions
    train: TrainOptions
    benchmark: BenchmarkOptions
    report: ReportOptions
    teach: TeachOptions
