import shutil
import subprocess
import sys
from dataclasses import asdict, fields, replace

import pyarrow as pa
import pytest
import torch

from rsfiqa import checkpoints, splits
from rsfiqa.backbones import PACKAGED
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.checkpoints import Card
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import read_json_with_checksum, write_json_with_checksum
from rsfiqa.io.parquet import read_table
from rsfiqa.model import RSA, Batch
from rsfiqa.products.versions import VERSIONS
from rsfiqa.score import pipeline
from tests.support.pipeline import SEED, TEST_FRACTION, TRAIN, made

MODEL = {"stage_channels": (3, 4), "text_dim": 6, "width": 8, "ensemble_heads": 2, "hidden": 8}
SPLIT = pa.Table.from_pylist(
    [{"image_id": "a", "part": "train"}, {"image_id": "b", "part": "test"}],
    schema=checkpoints.SPLIT,
)


def card(**changes) -> Card:
    content = {
        "model": MODEL,
        "backbone": {"grid": 4},
        "encoder": {"encoder": "e"},
        "segment": {"version": 1},
        "caption": {"version": 1},
        "datasets": ["tiny"],
        "split": {"name": "split-00"},
        "mos_range": None,
        "lower_better": False,
        "options": {"epochs": 2},
        "seed": 3,
        "losses": [0.5, 0.25],
    }
    return Card(**content | changes)


def batch() -> Batch:
    random = torch.Generator().manual_seed(0)
    coverage = torch.rand(5, 3, 16, generator=random)
    return Batch(
        grid_features=torch.rand(5, 2, 7, 4, 4, generator=random).half(),
        coverage=coverage / coverage.sum(1, keepdim=True),
        text=torch.randn(5, 3, 6, generator=random),
        ratings=torch.randint(1, 6, (5, 3, 5), generator=random).float(),
        geometry=torch.rand(5, 3, 7, generator=random),
        present=torch.arange(3) < torch.tensor([3, 2, 1, 3, 3])[:, None],
    )


def model(variant: str = "full") -> RSA:
    """A model with no weight and no buffer at its initial value."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        made = RSA(**MODEL, variant=variant)
        for tensor in made.state_dict().values():
            tensor.add_(0.1 * torch.rand_like(tensor))
    return made.eval()


@pytest.fixture
def folder(tmp_path):
    """A checkpoint."""
    checkpoints.write(tmp_path / "split-00", model(), card(), SPLIT)
    return tmp_path / "split-00"


def edit(folder, **changes) -> None:
    """Change the card behind the checkpoint's back."""
    content = read_json_with_checksum(folder / "card.json")
    write_json_with_checksum(folder / "card.json", content | changes)


@pytest.mark.parametrize("variant", ["full", "no_mhf", "no_mllm", "no_rsa", "none"])
def test_what_is_read_predicts_the_same_to_the_last_bit(tmp_path, variant):
    written = model(variant)
    checkpoints.write(tmp_path, written, card(model=MODEL | {"variant": variant}), SPLIT)
    before = torch.get_rng_state()
    restored, read = checkpoints.read(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert not restored.training
    assert read == card(model=MODEL | {"variant": variant})
    with torch.inference_mode():
        one, other = written(batch()), restored(batch())
    for part in fields(one):
        assert torch.equal(getattr(one, part.name), getattr(other, part.name)), part.name


def test_the_card_read_is_the_card_written(folder):
    assert checkpoints.read(folder)[1] == card()


def test_written_twice_are_the_same_bytes(folder, tmp_path):
    checkpoints.write(tmp_path / "again", model(), card(), SPLIT)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_a_packed_copy_has_half_the_size_and_predicts_nearly_the_same(tmp_path):
    written = model()
    stages = load_backbone("tf_efficientnet_lite0", PACKAGED).network
    tuned_card = card(finetuned=True, backbone={"backbone": "tf_efficientnet_lite0"})
    checkpoints.write(tmp_path / "whole", written, tuned_card, SPLIT, stages)
    checkpoints.pack(tmp_path / "whole", tmp_path / "small", {"livec_srcc": 0.9})
    restored, read = checkpoints.read(tmp_path / "small")
    assert read == replace(tuned_card, test_metrics={"livec_srcc": 0.9})
    with torch.inference_mode():
        one, other = written(batch()), restored(batch())
    torch.testing.assert_close(one.quality, other.quality, atol=1e-3, rtol=0)
    for name, value in written.named_buffers():
        assert torch.equal(value, restored.get_buffer(name)), name  # statistics lose nothing
    wrong = r"--weights: must not be given with .*, found mine\.pth; leave it out"
    with pytest.raises(InputError, match=wrong):
        pipeline.load_backbone(tmp_path / "small", read, "mine.pth")
    tuned = checkpoints.read_backbone(tmp_path / "small", read)
    for name, value in stages.state_dict().items():
        torch.testing.assert_close(tuned.network.state_dict()[name], value, atol=1e-6, rtol=1e-3)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "small")]
    assert sizes[1] < 0.55 * sizes[0]
    rows = [
        read_table(path, "split", checkpoints.SPLIT, checkpoints.VERSION)[0]
        for path in (tmp_path / name / "split.parquet" for name in ("whole", "small"))
    ]
    assert rows[0] == rows[1]


def test_the_packaged_checkpoint_is_the_default_if_there_is_one(tmp_path):
    assert checkpoints.folder_or_packaged(tmp_path / "own", tmp_path) == tmp_path / "own"
    with pytest.raises(InputError, match=r"checkpoint: must be given .*, found nothing; name the"):
        checkpoints.folder_or_packaged(None, tmp_path)
    (tmp_path / "card.json").touch()
    assert checkpoints.folder_or_packaged(None, tmp_path) == tmp_path
    assert checkpoints.folder_or_packaged(None) == checkpoints.PACKAGED


def no_card(folder):
    (folder / "card.json").unlink()


def older_schema(folder):
    edit(folder, schema=1)


def no_schema(folder):
    edit(folder, schema=None)


def onnx_export(folder):
    (folder / "card.json").write_text('{"checkpoint": "livec 012345678912", "opset": 18}', "utf-8")


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def other_weights(folder):
    checkpoints.write(folder.parent / "other", model("none"), card(), SPLIT)
    shutil.copy(folder.parent / "other/model.safetensors", folder)


def other_model(folder):
    edit(folder, model=MODEL | {"ensemble_heads": 3})


def other_variant(folder):
    edit(folder, model=MODEL | {"variant": "later"})


def other_argument(folder):
    edit(folder, model=MODEL | {"colour": "blue"})


def cut_short(folder):
    text = (folder / "card.json").read_text("utf-8")
    (folder / "card.json").write_text(text[: len(text) // 2], "utf-8")


def flipped(folder):
    text = (folder / "card.json").read_text("utf-8")
    (folder / "card.json").write_text(text.replace('"seed": 3', '"seed": 2'), "utf-8")


def no_object(folder):
    (folder / "card.json").write_text("[]", "utf-8")


def unknown_key(folder):
    edit(folder, colour="blue")


def no_safetensors(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(b"weights")
    edit(folder, weights_sha256=sha256_of(weights))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            no_card,
            r"split-00: no checkpoint \(card.json\) here; give another folder, or run the train"
            r" stage first$",
        ),
        (older_schema, r"split-00/card.json: expected schema 2, found 1; train it again$"),
        (no_schema, r"split-00/card.json: expected schema 2, found None; train it again$"),
        (
            onnx_export,
            r"split-00: must be a checkpoint, found an ONNX export; give the folder that it was"
            r" exported from$",
        ),
        (no_weights, r"model.safetensors: missing or not the weights of its card; train it again$"),
        (other_weights, r"model.safetensors: missing or not the weights of its card; train it aga"),
        (
            other_variant,
            r"card.json: must describe a model of this version, found variant: .*; tra",
        ),
        (other_argument, r"card.json: must describe a model of this version, found .*'colour'; tr"),
        (cut_short, r"card.json: damaged \(.*\); train it again$"),
        (flipped, r"card.json: damaged \(checksum differs\); train it again$"),
        (no_object, r"card.json: damaged \(a list\); train it again$"),
        (unknown_key, r"card.json: damaged \(.*'colour'\); train it again$"),
        (other_model, r"model.safetensors: damaged \(Error\(s\) in loading .*\); train it again$"),
        (no_safetensors, r"model.safetensors: damaged \(.*\); train it again$"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(folder, change, message):
    change(folder)
    with pytest.raises(InputError, match=message) as error:
        checkpoints.read(folder)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A checkpoint of the train stage; not to be changed."""
    return made(tmp_path_factory) / "train/tiny.full/split-01"


def test_the_card_says_what_made_the_checkpoint(trained):
    card, _ = checkpoints.read_card(trained)
    assert card.model["variant"] == "full"
    assert card.model["stage_channels"] == (16, 24, 40, 112, 320)
    assert {key: card.backbone[key] for key in ("backbone", "grid", "long_side")} == {
        "backbone": "tf_efficientnet_lite0",
        "grid": 4,
        "long_side": 1024,
    }
    assert card.encoder["encoder"] == "packaged-minilm"
    assert len(card.backbone["sha256"]) == len(card.encoder["sha256"]) == 64
    assert (card.segment["backend"], card.segment["max_regions"]) == ("superpixel", 4)
    assert card.caption["backend"] == "classifier"
    assert card.datasets == ["tiny"]
    assert (tuple(card.mos_range), card.lower_better) == ((1, 5), False)
    assert card.options == {"version": VERSIONS["train"], **TRAIN.recorded()}
    assert len(card.losses) == TRAIN.epochs
    assert card.versions.keys() == {"python", "torch", "timm", "transformers"}
    assert read_json_with_checksum(trained / "card.json").keys() == {
        "schema",
        "weights_sha256",
        *asdict(card),
    }


def test_the_card_identifies_the_split(trained):
    card, _ = checkpoints.read_card(trained)
    table, _ = read_table(
        trained / "split.parquet", "split", checkpoints.SPLIT, checkpoints.VERSION
    )
    parts = {"train": [], "test": []}
    for row in table.to_pylist():
        parts[row["part"]].append(row["image_id"])
    assert card.split == {
        "name": "split-01",
        "seed": SEED,
        "test_fraction": TEST_FRACTION,
        "train": 8,
        "validation": 0,
        "test": 4,
        "sha256": splits.digest(parts["train"]),
        "scores_sha256": card.split["scores_sha256"],
    }
    assert (len(parts["train"]), len(parts["test"])) == (8, 4)


def test_variants_and_splits_start_from_seeds_of_their_own(trained):
    cards = [path.parent for path in sorted(trained.parents[1].glob("*/*/card.json"))]
    seeds = [checkpoints.read(folder)[1].seed for folder in cards]
    assert len(set(seeds)) == len(seeds) == 6


def test_reading_a_card_imports_no_torch(folder):
    """`rsfiqa score` checks its arguments before it loads the model."""
    script = (
        "import sys; from pathlib import Path; from rsfiqa import checkpoints;"
        f" checkpoints.read_card(Path({str(folder)!r}));"
        " sys.exit(f'imported {name}' if (name := 'torch') in sys.modules else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
