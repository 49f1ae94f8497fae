"""Ratings and keywords of pictures, as XMP sidecars."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rsfiqa.cull import files, sidecars, xmp
from rsfiqa.cull.actions import Write
from rsfiqa.cull.conditions import rating_of
from rsfiqa.cull.plan import Group, by_name
from rsfiqa.cull.selection import Picture
from rsfiqa.errors import ImageError
from rsfiqa.images.opening import opened
from rsfiqa.scale import itu_level
from rsfiqa.vocabulary import ITU_LEVELS, family_words, severity_of

TOP = "rsfiqa"  # of the hierarchy of keywords
CLEAR = 3  # severity from which a distortion becomes a keyword
WORDS = {"color": "poor color", "noise": "noise", "artifact": "artifacts", "blur": "blur"}
LARGEST = 1 << 26  # bytes of a sidecar; those of darktable with many masks have a few MB
EXIF_RATING = 0x4746  # stars that Windows writes


def groups(pictures: Sequence[Picture], naming: str, *, overwrite: bool) -> Iterator[Group]:
    """The sidecars to write, one group per sidecar and picture.

    A sidecar that pictures of one name share, such as RAW and JPEG, is that of the best of them.

    Args:
        pictures: chosen from a table.
        naming: see `sidecars.xmp_names`.
        overwrite: replace ratings that a person has set.
    """
    sidecars.folder_of.cache_clear()
    for members in by_name(pictures).values():
        kept = []
        for picture in members:
            if (reason := picture.change()) is not None:
                yield Group([picture], skipped=reason)
            else:
                kept.append(picture)
        names, written = [picture.path.name for picture in kept], set[Path]()
        for picture in sorted(kept, key=lambda picture: -picture.quality):
            folder = sidecars.folder_of(picture.path.parent)
            chosen = folder.xmp_names(picture.path.name, naming, names)
            paths = [picture.path.with_name(name) for name in chosen]
            yield _group(picture, [path for path in paths if path not in written], overwrite)
            written.update(paths)


def _group(picture: Picture, paths: Sequence[Path], overwrite: bool) -> Group:
    """The writing of some sidecars of a picture."""
    assessment = assess(picture)
    actions, lines = [], []
    embedded = embedded_rating(picture.path)
    for path in paths:
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        try:
            old = read_sidecar(target)
            merged = xmp.merge(old, assessment, embedded=embedded, overwrite=overwrite)
        except xmp.NotXmpError as error:
            return Group([picture], skipped=f"is left alone: {path.name} {error}; move it away")
        except OSError as error:
            return Group([picture], skipped=f"is left alone: {path.name}: {error.strerror}")
        if merged.content != old:
            actions.append(Write.of(target, old, merged.content))
            lines.append(_line(path, old, assessment, merged.kept))
    return Group([picture], actions, lines, done=not actions)


def read_sidecar(path: Path) -> bytes | None:
    """The content of a sidecar; None if there is none.

    Raises:
        NotXmpError: no file, or one that is too large.
    """
    if path.exists() and not (path.is_file() and path.stat().st_size <= LARGEST):
        raise xmp.NotXmpError(f"is no file of at most {LARGEST >> 20} MB")
    return files.read(path)


def _line(path: Path, old: bytes | None, assessment: xmp.Assessment, kept: str | None) -> str:
    rating = f"rating {assessment.rating}" if kept is None else f"rating {kept} of a person kept"
    verb = "write" if old is None else "merge into"
    return f"{verb} {path}: {rating}; {', '.join(assessment.flat)}"


def assess(picture: Picture) -> xmp.Assessment:
    """The rating, 1 to 5 for bad to excellent, and the keywords of a picture."""
    word = itu_level(picture.quality)
    leaves = [f"{word} quality", *_distortions(picture), *picture.row["flags"]]
    return xmp.Assessment(
        rating=ITU_LEVELS.index(word) + 1,
        keywords=tuple((TOP, leaf) for leaf in dict.fromkeys(leaves)),
        score=picture.row["score"] or 0.0,
        checkpoint=picture.row["checkpoint"],
    )


def _distortions(picture: Picture) -> Iterable[str]:
    """Distortions of severity 3 or more: families where regions are known, else ratings."""
    if picture.severities is not None:
        found = sorted(picture.severities.items(), key=lambda item: (-item[1], item[0]))
        return [family_words(name) for name, severity in found if severity >= CLEAR]
    ratings = {name: rating_of(picture.row, name) for name in WORDS}
    return [
        WORDS[name]
        for name, rating in ratings.items()
        if rating is not None and round(severity_of(rating), 9) >= CLEAR
    ]


def embedded_rating(path: Path) -> str | None:
    """The rating in a picture itself, in XMP or EXIF; None for none.

    Camera RAW and damaged metadata count as having none.
    """
    try:
        with opened(path) as found:
            if found.format == "RAW":
                return None
            content = found.image.info.get("xmp")
            exif = found.image.getexif().get(EXIF_RATING)
    except ImageError:
        return None
    if isinstance(content, bytes):
        try:
            if rating := xmp.rating_in(content.rstrip(b"\0")):
                return rating
        except xmp.NotXmpError:
            pass
    return str(exif) if exif else None
