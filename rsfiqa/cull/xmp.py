"""XMP: the rating and keywords of a picture, merged into what other programs wrote.

Nothing else of a sidecar changes: other properties, namespaces, comments and develop settings stay.
What was added is recorded in a namespace of its own. So a later run replaces its own rating and
keywords and no others, and does not bring back what a person has removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP = "http://ns.adobe.com/xap/1.0/"
DC = "http://purl.org/dc/elements/1.1/"
LR = "http://ns.adobe.com/lightroom/1.0/"
OWN = "urn:rsfiqa:xmp:1.0/"
PREFIXES = {"rdf": RDF, "xmp": XMP, "dc": DC, "lr": LR, "rsfiqa": OWN}
RATING = (XMP, "Rating")
SUBJECT = (DC, "subject")
HIERARCHICAL = (LR, "hierarchicalSubject")
OWN_RATING = (OWN, "Rating")
OWN_SCORE = (OWN, "Score")
OWN_CHECKPOINT = (OWN, "Checkpoint")
# where the keywords that were added are recorded
RECORDS = {SUBJECT: (OWN, "Subject"), HIERARCHICAL: (OWN, "HierarchicalSubject")}
CONTAINERS = ("Bag", "Seq", "Alt")
BOM = b"\xef\xbb\xbf"
EMPTY = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="rsfiqa"><rdf:RDF xmlns:rdf="{RDF}">'
    f'<rdf:Description rdf:about="" xmlns:xmp="{XMP}" xmlns:dc="{DC}" xmlns:lr="{LR}"'
    f' xmlns:rsfiqa="{OWN}"/></rdf:RDF></x:xmpmeta>'
).encode()

Name = tuple[str, str]  # namespace and local name of a property


@dataclass(frozen=True)
class Assessment:
    """What is written about a picture.

    Attributes:
        rating: 1 to 5.
        keywords: each as a path from general to special.
        score: in MOS units.
        checkpoint: its label.
    """

    rating: int
    keywords: tuple[tuple[str, ...], ...]
    score: float
    checkpoint: str

    @property
    def flat(self) -> list[str]:
        """The keywords for `dc:subject`: every level by itself."""
        return list(dict.fromkeys(word for path in self.keywords for word in path))

    @property
    def hierarchical(self) -> list[str]:
        """The keywords for `lr:hierarchicalSubject`."""
        return ["|".join(path) for path in self.keywords]


@dataclass(frozen=True)
class Merged:
    """A sidecar after the merge.

    Attributes:
        content: the same bytes as before if nothing is new.
        kept: a rating that a person has set and that stays; None if there is none.
    """

    content: bytes
    kept: str | None = None


class NotXmpError(ValueError):
    """Why a sidecar cannot be merged."""


def merge(
    content: bytes | None,
    assessment: Assessment,
    *,
    embedded: str | None = None,
    overwrite: bool = False,
) -> Merged:
    """A sidecar with the rating and keywords of a picture.

    Args:
        content: of the sidecar; None if there is none.
        assessment: of the picture.
        embedded: rating in the picture itself, which counts as a person's.
        overwrite: replace the rating of a person.

    Raises:
        NotXmpError: the sidecar is no XMP.
    """
    document = Document(EMPTY if content is None else content)
    before = document.canonical()
    kept = None if overwrite else _persons_rating(document, embedded)
    if kept is None:
        document.set(RATING, str(assessment.rating))
        document.set(OWN_RATING, str(assessment.rating))
    document.set(OWN_SCORE, f"{assessment.score:.4g}")
    document.set(OWN_CHECKPOINT, "".join(filter(str.isprintable, assessment.checkpoint)))
    _set_keywords(document, SUBJECT, assessment.flat)
    _set_keywords(document, HIERARCHICAL, assessment.hierarchical)
    if content is None:
        etree.indent(document.root, " ")
        return Merged(document.to_bytes(declared=True) + b"\n", kept)
    return Merged(content if document.canonical() == before else document.to_bytes(), kept)


def rating_in(content: bytes) -> str | None:
    """The rating in XMP, None for none or 0, which means unrated."""
    rating = Document(content).get(RATING)
    return None if _is_unrated(rating) else rating


def _persons_rating(document: "Document", embedded: str | None) -> str | None:
    """The rating that a person has set in a sidecar, or else in the picture."""
    rating, own = document.get(RATING), document.get(OWN_RATING)
    if own is not None:
        return None if rating == own else (rating or "0")
    return embedded if _is_unrated(rating) else rating


def _is_unrated(rating: str | None) -> bool:
    if rating is None:
        return True
    try:
        return float(rating) == 0
    except ValueError:
        return not rating


def _set_keywords(document: "Document", name: Name, keywords: Sequence[str]) -> None:
    """Add keywords; remove earlier ones of ours that no longer hold."""
    present, added = document.items(name), document.items(RECORDS[name])
    stale = [word for word in added if word not in keywords]
    new = [word for word in keywords if word not in present and word not in added]
    document.set_items(name, remove=stale, add=new)
    document.set_items(RECORDS[name], remove=stale, add=new)


class Document:
    """An XMP document.

    Args:
        content: of a file.

    Raises:
        NotXmpError: no XML, with a document type, or without RDF.
    """

    def __init__(self, content: bytes) -> None:
        self._bom = content.startswith(BOM)
        self._declared = b"<?xml " in content[:64].replace(b"\0", b"")  # in UTF-16, too
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, strip_cdata=False
        )
        try:
            self.root = etree.fromstring(content.removeprefix(BOM), parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise NotXmpError(f"is no XML ({_short(error)})") from error
        self._tree = self.root.getroottree()
        if self._tree.docinfo.doctype:
            raise NotXmpError("has a document type, which XMP has not")
        rdf = _tag((RDF, "RDF"))
        found = self.root if self.root.tag == rdf else self.root.find(rdf)
        if found is None:
            raise NotXmpError("is XML without XMP")
        self._rdf = found

    @property
    def _blocks(self) -> list[etree._Element]:
        blocks: list[etree._Element] = self._rdf.findall(_tag((RDF, "Description")))
        return blocks

    def _first_block(self) -> etree._Element:
        if blocks := self._blocks:
            return blocks[0]
        block = etree.SubElement(self._rdf, _tag((RDF, "Description")))
        block.set(_tag((RDF, "about")), "")
        return block

    def get(self, name: Name) -> str | None:
        """The text of a simple property, None if there is none."""
        for block in self._blocks:
            if (text := block.get(_tag(name))) is not None:
                return str(text).strip()
            if (element := block.find(_tag(name))) is not None:
                return "".join(element.itertext()).strip()
        return None

    def set(self, name: Name, text: str) -> None:
        """Set a simple property where it stands, or add it."""
        if self.get(name) == text:
            return
        for block in self._blocks:
            if block.get(_tag(name)) is not None:
                block.set(_tag(name), text)
                return
            if (element := block.find(_tag(name))) is not None:
                for child in list(element):
                    element.remove(child)
                element.text = text
                return
        _append(self._first_block(), name).text = text

    def items(self, name: Name) -> list[str]:
        """The texts of a property that is a list; a simple one counts as a list of one."""
        for block in self._blocks:
            if text := block.get(_tag(name)):
                return [text]
            if (element := block.find(_tag(name))) is not None:
                found = element.findall(f".//{_tag((RDF, 'li'))}")
                if found:
                    return ["".join(item.itertext()).strip() for item in found]
                text = "".join(element.itertext()).strip()
                return [text] if text else []
        return []

    def set_items(self, name: Name, *, remove: Sequence[str], add: Sequence[str]) -> None:
        """Remove items of a list and append others."""
        if not add and not set(remove) & set(self.items(name)):
            return
        container = self._container(name)
        for item in list(container):
            if isinstance(item.tag, str) and "".join(item.itertext()).strip() in remove:
                _remove(item)
        for text in add:
            _append(container, (RDF, "li")).text = text
        if not len(container):
            _remove(container.getparent())

    def _container(self, name: Name) -> etree._Element:
        """The list of a property; a simple property becomes one."""
        items = self.items(name)
        element = self._element(name)
        for kind in CONTAINERS:
            if (container := element.find(_tag((RDF, kind)))) is not None:
                return container
        element.text = None
        container = _append(element, (RDF, "Bag"))
        for text in items:
            _append(container, (RDF, "li")).text = text
        return container

    def _element(self, name: Name) -> etree._Element:
        """The element of a property; an attribute becomes one."""
        for block in self._blocks:
            if (element := block.find(_tag(name))) is not None:
                return element
            if block.attrib.pop(_tag(name), None) is not None:
                return _append(block, name)
        return _append(self._first_block(), name)

    def canonical(self) -> bytes:
        """The document in a form that tells whether it has changed."""
        content: bytes = etree.tostring(self._tree, encoding="utf-8")
        return content

    def to_bytes(self, *, declared: bool = False) -> bytes:
        """The document in its encoding, with a declaration if it had one."""
        encoding = self._tree.docinfo.encoding or "UTF-8"
        content: bytes = etree.tostring(
            self._tree, encoding=encoding, xml_declaration=self._declared or declared
        )
        return (BOM if self._bom else b"") + content


def _tag(name: Name) -> str:
    return f"{{{name[0]}}}{name[1]}"


def _append(parent: etree._Element, name: Name) -> etree._Element:
    """A new last child, indented as the others are."""
    prefix = next(prefix for prefix, uri in PREFIXES.items() if uri == name[0])
    last = parent[-1] if len(parent) else None
    element = etree.SubElement(parent, _tag(name), nsmap={prefix: name[0]})
    if last is not None:
        element.tail = last.tail
        last.tail = parent.text
    return element


def _remove(element: etree._Element) -> None:
    """Remove an element and the white space behind it, or before it if it is the last."""
    parent, before = element.getparent(), element.getprevious()
    if element.getnext() is None and before is not None:
        before.tail = element.tail
    parent.remove(element)


def _short(error: Exception) -> str:
    return (str(error).splitlines() or ["empty"])[0]
