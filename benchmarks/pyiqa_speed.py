"""Milliseconds a picture of the networks that pyiqa offers, with random weights; two threads.

Run by the Python of an environment with pyiqa, once for each group of pictures: it reads their
number from standard input and answers with a line of JSON, {name: milliseconds}. Decoding counts.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module

import timm
import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

NETWORKS = {  # the module of pyiqa.archs that registers each
    "nima": "nima_arch",
    "musiq": "musiq_arch",
    "topiq_nr": "topiq_arch",
    "hyperiqa": "hypernet_arch",
}
BRISQUE = "brisque_features"  # without its regression, which takes no time
THREADS = 2

warnings.simplefilter("ignore")
create_model = timm.create_model
# no weights can be downloaded, and random ones take as long
timm.create_model = lambda *given, **named: create_model(*given, **{**named, "pretrained": False})


def metrics() -> dict[str, Callable[[torch.Tensor], object]]:
    """The networks of pyiqa's own options, and the features of BRISQUE."""
    from pyiqa.archs.brisque_arch import imresize, natural_scene_statistics, to_y_channel
    from pyiqa.default_model_configs import DEFAULT_CONFIGS
    from pyiqa.utils.registry import ARCH_REGISTRY

    def features(x: torch.Tensor) -> None:
        luma = to_y_channel(x, 255.0)
        for _ in range(2):  # scales
            natural_scene_statistics(luma, 7, 7 / 6)
            luma = imresize(luma, scale=0.5, antialiasing=True)

    found: dict[str, Callable[[torch.Tensor], object]] = {BRISQUE: features}
    for name, module in NETWORKS.items():
        import_module(f"pyiqa.archs.{module}")
        options = dict(DEFAULT_CONFIGS[name]["metric_opts"])
        network = ARCH_REGISTRY.get(options.pop("type"))(**{**options, "pretrained": False})
        found[name] = network.eval()
    return found


def main(paths: list[str]) -> None:
    """Measure as often as asked."""
    torch.set_num_threads(THREADS)
    found = metrics()
    with torch.inference_mode():
        for network in found.values():
            network(to_tensor(Image.open(paths[0]).convert("RGB"))[None])
        print("ready", flush=True)
        for line in sys.stdin:
            answer = {}
            for name, network in found.items():
                started = time.perf_counter()
                for path in paths[: int(line)]:
                    network(to_tensor(Image.open(path).convert("RGB"))[None])
                answer[name] = 1000 * (time.perf_counter() - started) / int(line)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
