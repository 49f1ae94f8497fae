"""The registry of layouts: how a data set lies on disk, and what is known about it.

A layout is added by one entry of `DATASETS` and its reader. The readers are named, not imported:
the configuration is checked without numpy, scipy and scikit-image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rsfiqa.datasets.score_table import ScoreTable
from rsfiqa.registry import Registry, resolve
from rsfiqa.scale import MosScale

if TYPE_CHECKING:
    from rsfiqa.datasets.entry import Entry

Reader = Callable[..., "list[Entry]"]


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A layout: how to list its images, and the facts that hold for every such data set.

    Attributes:
        title: published name of the set, or what the layout is.
        citation: publication that describes a published set.
        reader: function that lists the images, or its `module:name`. It takes the root; where
            images are generated, the folder to write them to and the keyword `seed`.
        generated: number of images that the reader generates; 0 for a data set on disk, which
            needs a root.
        scale: of the MOS; None without scores, or if the options give the scale.
        scale_from_options: the options mos_range and lower_better give the scale.
        duplicates: what happens if two groups hold the same bytes, which a split could put on both
            sides. `join` makes them one group, as the content of a published set is fixed;
            `refuse` raises an error, as users can correct a table of their own; `keep` does
            nothing, as no score is learnt.
        near_duplicates: it is known to hold images that differ in their bytes only, or by little;
            they become one group by default.
        statements: people said what is wrong with each image, how much and where.
        official_split: the set divides its images into subsets, of which one is `test`.
        pseudo_mos: how the scores are computed, if no person gave them.
    """

    title: str
    citation: str = ""
    reader: str | Reader
    generated: int = 0
    scale: MosScale | None = None
    scale_from_options: bool = False
    duplicates: Literal["join", "refuse", "keep"] = "join"
    near_duplicates: bool = False
    statements: bool = False
    official_split: bool = False
    pseudo_mos: str = ""

    @property
    def needs_root(self) -> bool:
        """The data set lies on disk, at a root that the options give."""
        return not self.generated

    @property
    def rated(self) -> bool:
        """Its images have scores."""
        return self.scale is not None or self.scale_from_options

    def load_reader(self) -> Reader:
        """The function that lists the images; its module is imported now."""
        reader: Reader = resolve(self.reader) if isinstance(self.reader, str) else self.reader
        return reader


DATASETS: Registry[DatasetSpec] = Registry("layout")

DATASETS.register(
    "live",
    DatasetSpec(
        title="LIVE Image Quality Assessment Database, release 2",
        citation="Sheikh, Sabir and Bovik, A statistical evaluation of recent full reference image"
        " quality assessment algorithms, IEEE TIP 2006",
        reader="rsfiqa.datasets.live:read",
        scale=MosScale(-3.0, 112.0, lower_better=True),  # realigned: -2.64 to 111.77
    ),
)
DATASETS.register(
    "csiq",
    DatasetSpec(
        title="CSIQ",
        citation="Larson and Chandler, Most apparent distortion: full-reference image quality"
        " assessment and the role of strategy, Journal of Electronic Imaging 2010",
        reader="rsfiqa.datasets.csiq:read",
        scale=MosScale(0.0, 1.0, lower_better=True),
    ),
)
DATASETS.register(
    "tid2013",
    DatasetSpec(
        title="TID2013",
        citation="Ponomarenko and others, Image database TID2013: Peculiarities, results and"
        " perspectives, Signal Processing: Image Communication 2015",
        reader="rsfiqa.datasets.tid2013:read",
        scale=MosScale(0.0, 9.0),
    ),
)
DATASETS.register(
    "kadid10k",
    DatasetSpec(
        title="KADID-10k",
        citation="Lin, Hosu and Saupe, KADID-10k: A large-scale artificially distorted IQA"
        " database, QoMEX 2019",
        reader="rsfiqa.datasets.kadid10k:read",
        scale=MosScale(1.0, 5.0),
    ),
)
DATASETS.register(
    "livec",
    DatasetSpec(
        title="LIVE In the Wild Image Quality Challenge Database (LIVEC, CLIVE)",
        citation="Ghadiyaram and Bovik, Massive Online Crowdsourced Study of Subjective and"
        " Objective Picture Quality, IEEE TIP 2016",
        reader="rsfiqa.datasets.livec:read",
        scale=MosScale(0.0, 100.0),
    ),
)
# 10,073 photographs from YFCC100m, each rated by about 120 people. The table lies in `metadata` of
# the authors' repository subpic/koniq; the images come in two sizes, of which the larger is used.
# MOS is derived from z-scores. SD is that of the ratings in five categories, whose four steps are
# taken as 25 MOS points each. `set`: training (7,058), validation (1,000), test (2,015).
DATASETS.register(
    "koniq10k",
    DatasetSpec(
        title="KonIQ-10k",
        citation="Hosu, Lin, Sziranyi and Saupe, KonIQ-10k: An ecologically valid database for deep"
        " learning of blind image quality assessment, IEEE TIP 2020",
        reader=ScoreTable(
            file="koniq10k_distributions_sets.csv",
            images=("1024x768", "512x384"),
            name="image_name",
            mos="MOS",
            mos_std="SD",
            mos_std_unit=25.0,
            subset="set",
        ).read,
        scale=MosScale(0.0, 100.0),
        official_split=True,
    ),
)
# 11,125 photographs of 66 smartphones. The table holds MOS and five attributes, no deviations.
DATASETS.register(
    "spaq",
    DatasetSpec(
        title="SPAQ",
        citation="Fang, Zhu, Zeng, Ma and Wang, Perceptual Quality Assessment of Smartphone"
        " Photography, CVPR 2020",
        reader=ScoreTable(
            file="Annotations/MOS and Image attribute scores.xlsx",
            images=("TestImage",),
            name="Image name",
            mos="MOS",
        ).read,
        scale=MosScale(0.0, 100.0),
    ),
)
DATASETS.register(
    "flive",
    DatasetSpec(
        title="FLIVE (LIVE-FB, PaQ-2-PiQ)",
        citation="Ying, Niu, Gupta, Mahajan, Ghadiyaram and Bovik, From Patches to Pictures"
        " (PaQ-2-PiQ): Mapping the Perceptual Space of Picture Quality, CVPR 2020",
        reader="rsfiqa.datasets.flive:read",
        scale=MosScale(0.0, 100.0),
        official_split=True,
    ),
)
# 2,982 images of six text-to-image models; images of one prompt are a group. The scores are those
# of perceptual quality. The table decides which images belong to it: a part of the set is read too.
DATASETS.register(
    "agiqa3k",
    DatasetSpec(
        title="AGIQA-3K",
        citation="Li and others, AGIQA-3K: An Open Database for AI-Generated Image Quality"
        " Assessment, IEEE TCSVT 2024",
        reader=ScoreTable(
            file="data.csv",
            name="name",
            mos="mos_quality",
            mos_std="std_quality",
            group="prompt",
        ).read,
        scale=MosScale(0.0, 5.0),
    ),
)
DATASETS.register(
    "pipal",
    DatasetSpec(
        title="PIPAL, training part",
        citation="Gu and others, PIPAL: a Large-Scale Image Quality Assessment Dataset for"
        " Perceptual Image Restoration, ECCV 2020",
        reader="rsfiqa.datasets.pipal:read",
        scale=MosScale(800.0, 2000.0),  # of this project: Elo ratings have no bounds
    ),
)
# 586 photographs with real blur. The images, DatabaseImage0001.JPG and so on, lie beside the table
# or in the folder ImageDatabase; some numbers are not in use.
DATASETS.register(
    "bid",
    DatasetSpec(
        title="BID (Blurred Image Database)",
        citation="Ciancio and others, No-Reference Blur Assessment of Digital Pictures Based on"
        " Multifeature Classifiers, IEEE TIP 2011",
        reader=ScoreTable(
            file="DatabaseGrades.xlsx",
            images=("ImageDatabase", "."),
            name="Image Number",
            pattern="DatabaseImage{:0>4}.JPG",
            mos="Average Subjective Grade",
            mos_std="std",
        ).read,
        scale=MosScale(0.0, 5.0),
    ),
)
DATASETS.register(
    "biq2021",
    DatasetSpec(
        title="BIQ2021",
        citation="Ahmed and Asif, BIQ2021: a large-scale blind image quality assessment database,"
        " Journal of Electronic Imaging 2022",
        reader="rsfiqa.datasets.biq2021:read",
        scale=MosScale(0.0, 1.0),
        near_duplicates=True,
        official_split=True,
    ),
)
DATASETS.register(
    "mmp2k",
    DatasetSpec(
        title="MMP-2k",
        citation="MMP-2k: a benchmark multi-labeled macro photography image quality assessment"
        " database, 2025",
        reader="rsfiqa.datasets.mmp2k:read",
        scale=MosScale(0.0, 100.0),
        statements=True,
    ),
)
DATASETS.register(
    "kodak",
    DatasetSpec(
        title="Kodak Lossless True Color Image Suite",
        reader="rsfiqa.datasets.kodak:read",
        duplicates="keep",
        official_split=True,  # of this project
    ),
)
DATASETS.register(
    "csv",
    DatasetSpec(
        title="table of scores",
        reader="rsfiqa.datasets.csv_table:read",
        scale_from_options=True,
        duplicates="refuse",
        official_split=True,  # in the column subset
    ),
)
DATASETS.register(
    "folder",
    DatasetSpec(
        title="folder of images without scores",
        reader="rsfiqa.datasets.folder:read",
        duplicates="keep",
    ),
)
DATASETS.register(
    "demo",
    DatasetSpec(
        title="demo set",
        reader="rsfiqa.datasets.demo:make",
        generated=221,
        scale=MosScale(0.0, 100.0),
        pseudo_mos="pseudo: SSIM x 100 (Wang et al. 2004) of the luma to the pristine source",
    ),
)
