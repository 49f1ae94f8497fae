"""The progress bar of a training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(name: str, epochs: int) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr where it is a terminal.

    Yields:
        A function to be called after each epoch with its mean loss.
    """
    with tqdm(total=epochs, desc=name, unit="epoch", disable=None) as bar:

        def update(loss: float) -> None:
            bar.update()
            bar.set_postfix(loss=f"{loss:.4f}")

        yield update
