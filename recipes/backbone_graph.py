"""Write the graph of the packaged checkpoint's backbone, which scoring without torch reads.

The file holds operators, no weights: it changes with the architecture alone.
"""

from rsfiqa.backbones import onnx, session
from rsfiqa.backbones.weights import PERCEPTION_BACKBONE
from rsfiqa.captioners.classifier.weights import packaged


def main() -> None:
    """Write the graph."""
    path = session.GRAPHS / f"{PERCEPTION_BACKBONE}.onnx"
    onnx.write_graph(path, packaged().backbone)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
