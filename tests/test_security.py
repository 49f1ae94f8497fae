"""A test for each promise of SECURITY.md."""

import asyncio
import io
import json
import pickle
import re
import zlib
from pathlib import Path

import h5py
import pytest
import torch
from aiohttp import web
from PIL import Image

from rsfiqa import checkpoints, encoders
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.caption.options import CaptionOptions, ServerOptions
from rsfiqa.captioners.vlm import answer, client, vllm_command
from rsfiqa.captioners.vlm.captioner import VLMCaptioner
from rsfiqa.datasets import csv_table
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import load
from rsfiqa.io.json_files import LARGEST_JSON, write_json
from rsfiqa.products import manifest
from rsfiqa.runtime import shards
from rsfiqa.score.options import ScoreOptions
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.sam import checkpoint as sam_checkpoint

ROOT = Path(__file__).resolve().parents[1]
KEY = "sk-not-to-be-seen"
DEEP = "[" * 100_000


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


# ---- pickles


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_not_run(tmp_path, zipped):
    path, place = tmp_path / "model.pth", tmp_path / "run"
    if zipped:
        torch.save({"weight": Bomb(place)}, path)
    else:
        path.write_bytes(pickle.dumps({"weight": Bomb(place)}, protocol=2))
    with pytest.raises(InputError, match="must be a state dict in safetensors") as caught:
        load_backbone("tf_efficientnet_lite0", str(path))
    assert "\n" not in str(caught.value)
    options = SegmentOptions(backend="sam", checkpoint=str(path))
    with pytest.raises(InputError, match="must be a checkpoint of segment-anything"):
        sam_checkpoint.check(options)
    assert not place.exists()


def test_code_in_an_encoders_folder_is_not_run(tmp_path):
    source, place = encoders.encoder_folder(encoders.PACKAGED), tmp_path / "run"
    for path in source.iterdir():
        if path.is_file() and path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save({"weight": Bomb(place)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="must be a transformers text encoder with safetensors"):
        encoders.load(EmbedOptions(encoder=str(tmp_path), device="cpu"))
    (tmp_path / "own.py").write_text(f"import pathlib\npathlib.Path({str(place)!r}).touch()")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "own.Module"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError, match="must be a transformers text encoder with safetensors"):
        encoders.load(EmbedOptions(encoder=str(tmp_path), device="cpu"))
    assert not place.exists()


def test_nothing_is_loaded_by_a_means_that_runs_code():
    for path in sorted((ROOT / "rsfiqa").rglob("*.py")):
        text = path.read_text("utf-8")
        assert not re.search(r"pickle\.load|joblib|allow_pickle=True|yaml\.(unsafe_)?load\(", text)
        assert not re.search(r"trust_remote_code=True|\beval\((?!\))|\bexec\(|os\.system", text)
        for call in re.findall(r"torch\.load\((?:[^()]|\([^()]*\))*\)", text):
            assert "weights_only=True" in call, path


# ---- bombs


def png(width: int, height: int, data: bytes) -> bytes:
    """A grey PNG whose header says this size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + crc

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path):
    (tmp_path / "a.png").write_bytes(png(60_000, 60_000, zlib.compress(bytes(1000))))
    with pytest.raises(ImageError, match="more than 178 megapixels"):
        load.load_rgb(tmp_path / "a.png")


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iCCP"])
def test_an_image_with_too_much_text_is_refused_or_its_text_left_out(tmp_path, kind):
    packed = zlib.compress(bytes(200_000_000), 9)
    content = b"x\0\0" + packed
    crc = zlib.crc32(kind + content).to_bytes(4, "big")
    chunk = len(content).to_bytes(4, "big") + kind + content + crc
    whole = png(4, 4, zlib.compress(bytes(20)))
    (tmp_path / "a.png").write_bytes(whole[:33] + chunk + whole[33:])
    found: tuple[int, ...] | str
    try:
        found = load.load_rgb(tmp_path / "a.png").shape
    except ImageError as error:
        found = str(error)
    assert found == (4, 4, 3) or "\n" not in found


def test_no_outside_program_reads_an_image(tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "EPS")  # Pillow has Ghostscript run such a file
    (tmp_path / "a.png").write_bytes(picture.getvalue())
    with pytest.raises(ImageError, match="not an image of a known format"):
        load.read_size(tmp_path / "a.png")


def test_json_that_is_made_to_do_harm_is_refused(tmp_path):
    for text in (DEEP, '{"a":' * 100_000, "9" * 10_000):
        (tmp_path / "card.json").write_text(text)
        with pytest.raises(InputError, match=r"card.json: damaged \(.*\); train it again") as found:
            checkpoints.read_card(tmp_path)
        assert "\n" not in str(found.value)
        with pytest.raises(answer.AnswerError):
            answer.read_answers(text, "stop")


def test_a_json_file_of_no_end_is_not_read(tmp_path):
    with (tmp_path / "card.json").open("wb") as file:
        file.truncate(LARGEST_JSON + 1)
    with pytest.raises(InputError, match=r"card.json: damaged \(64 MB of JSON\); train it again"):
        checkpoints.read_card(tmp_path)


def test_statistics_made_to_do_harm_are_no_statistics(tmp_path, make_manifest):
    folder = make_manifest(tmp_path / "set", ["a.png"])
    made = []

    def run() -> None:
        shards.run(
            "segment",
            folder,
            schema=1,
            options={},
            make=lambda shard: made.append(shard.name),
            write=lambda path, _, origin: write_json(path, {"origin": origin.to_json()}),
            max_failed_fraction=0,
        )

    run()
    (folder / "segment/00000.stats.json").write_text(DEEP)
    run()
    assert made == ["00000", "00000"]


def test_provenance_made_to_do_harm(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["provenance"] = DEEP[:60_000]
    from rsfiqa.products.regions import Reader

    with pytest.raises(InputError, match=r"a.h5: damaged \(nested too deep\)"):
        Reader(tmp_path / "a.h5")


def ask(respond, **limits) -> str:
    """What asking a server for its models ends in."""

    async def tried() -> str:
        app = web.Application()
        app.router.add_get("/v1/models", respond)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        try:
            usual = {"concurrency": 1, "timeout": 20.0, "retry_timeout": 0.0}
            async with client.Client([url], key=KEY, **usual | limits) as asking:
                await asking.models(url)
        except InputError as error:
            return str(error)
        finally:
            await runner.cleanup()
        return ""

    return asyncio.run(tried())


def test_an_answer_of_no_end_is_cut():
    async def endless(request):
        body = zlib.compress(bytes(1 << 26))  # 64 MB in 64 KB
        return web.Response(body=body, headers={"Content-Encoding": "deflate"})

    assert "a response of more than 1 MB" in ask(endless, max_response=1 << 20)


def test_an_answer_nested_without_end():
    async def deep(request):
        return web.Response(text='{"x":' + DEEP)

    assert "a response of another API" in ask(deep)


def test_half_a_character_in_an_answer_is_refused():
    good = {"content": "a\ud800", "distortions": []}
    good |= dict.fromkeys(("color", "noise", "artifact", "blur", "overall"), "good")
    with pytest.raises(answer.AnswerError):
        answer.read_answers(json.dumps(good), "stop")


# ---- paths


@pytest.mark.parametrize("path", ["../a.png", "/etc/passwd", "b/../../a.png", ".", ""])
def test_a_table_cannot_name_a_file_outside_its_folder(tmp_path, path):
    (tmp_path / "scores.csv").write_text(f"path,mos,group\n{path},3,g\n", "utf-8")
    with pytest.raises(InputError, match="the image's path must stay inside"):
        csv_table.read(tmp_path / "scores.csv")


@pytest.mark.parametrize(
    ("image_id", "path"),
    [
        ("a.png", "/etc/passwd"),
        ("a.png", "a.png"),
        ("a.png", "/data/b/../a.png"),
        ("../a.png", "/data/b/../a.png"),
        ("a.png", "/data/ba.png"),
    ],
)
def test_a_manifest_cannot_name_a_file_that_is_not_its_image(
    tmp_path, make_manifest, image_id, path
):
    folder = make_manifest(tmp_path, ["b.png", image_id], path=["/data/b.png", path])
    with pytest.raises(InputError, match="an image's path must be absolute") as caught:
        manifest.read(folder / "manifest.parquet")
    assert "\n" not in str(caught.value)


# ---- keys


def test_a_key_is_not_repeated():
    async def refuse(request):
        return web.Response(status=422, text=f"what is\n{request.headers['Authorization']}?")

    shown = ask(refuse)
    assert "what is Bearer ***?" in shown
    assert KEY not in shown


@pytest.mark.parametrize("url", [f"http://user:{KEY}@host/v1", f"http://host/v1?key={KEY}"])
def test_a_key_in_an_endpoint_is_refused_and_not_shown(url):
    options = CaptionOptions(backend="vllm", model="m", endpoints=(url,))
    with pytest.raises(InputError, match="must be base URLs without a user") as caught:
        VLMCaptioner.check(options)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("words", [f"--api-key {KEY}", f"--x 1 --api-key={KEY}"])
def test_a_key_in_the_servers_arguments_is_refused_and_not_shown(words):
    with pytest.raises(InputError, match="must hold no key, found --api-key; set") as caught:
        vllm_command.check(ServerOptions(arguments=words))
    assert KEY not in str(caught.value)


def test_no_option_takes_a_key():
    names = CaptionOptions.model_fields | ScoreOptions.model_fields
    assert not [name for name in names if "key" in name and name != "key_variable"]
    assert "key_variable" not in CaptionOptions(backend="vllm", model="m").recorded()
