"""xml_valid: the output is well-formed XML."""

from __future__ import annotations

from dataclasses import dataclass

from scorers._measures._valid import Problem, Valid
from scorers._text import clip

_MAX_DEPTH = 1_000


class _RefusedError(Exception):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlValid(Valid):
    """1.0 where the output is one well-formed XML document (whitespace around it does not count), else 0.0.

    A document type (``<!DOCTYPE``) is refused, so no entity is ever expanded and nothing is fetched.

    Kinds of evidence: ``match``, ``empty``, ``invalid_xml`` (``at`` is the place), ``fenced_xml``,
    ``doctype``,
    ``too_deep``, ``wrong_root``, ``missing_elements``.

    Example:
        >>> from scorers import xml_valid
        >>> xml_valid(root="answer")(output="<answer><city>Rome</city></answer>").value
        1.0
        >>> xml_valid()(output="<a>R&B</a>").evidence["kind"]
        'invalid_xml'
    """

    name: str = "xml_valid"
    root: str | None = None
    """Name that the outermost element must have."""
    elements: tuple[str, ...] = ()
    """Names of elements that must occur somewhere."""

    def _format(self) -> str:
        return "xml"

    def _problem(self, text: str) -> Problem | None:
        from xml.parsers import expat

        names: list[str] = []
        missing = set(self.elements)
        depth = 0

        def start(name: str, _: object) -> None:
            nonlocal depth
            depth += 1
            if depth > _MAX_DEPTH:
                raise _RefusedError("too_deep", f"the elements are nested more than {_MAX_DEPTH} deep")
            if not names:
                names.append(name)
            missing.discard(name)

        def end(_: str) -> None:
            nonlocal depth
            depth -= 1

        def doctype(*_: object) -> None:
            raise _RefusedError("doctype", "a document type is refused: it could define entities")

        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.StartDoctypeDeclHandler = doctype
        try:
            parser.Parse(text.strip(), True)
        except _RefusedError as error:
            return Problem(kind=error.args[0], why=error.args[1])
        except UnicodeEncodeError:
            return Problem(
                kind="invalid_xml", why="it holds half of a surrogate pair, which no file can hold"
            )
        except expat.ExpatError as error:
            at = f"line {error.lineno} column {error.offset + 1}"
            why = f"it is not well-formed ({expat.ErrorString(error.code)} at {at})"
            return Problem(kind="invalid_xml", why=why, evidence={"at": at})
        if self.root is not None and names[0] != self.root:
            return Problem(kind="wrong_root", why=f"expected <{self.root}>, got <{clip(names[0], 40)}>")
        if missing:
            lacking = [name for name in self.elements if name in missing]
            return Problem(
                kind="missing_elements",
                why=f"it lacks {', '.join(f'<{name}>' for name in lacking[:5])}",
                evidence={"missing": lacking[:20]},
            )
        return None


xml_valid = XmlValid
