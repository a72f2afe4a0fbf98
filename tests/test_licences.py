"""What Mendline needs to run has permissive licences, but for exceptions that are told of."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

EXTRAS = ("", "kubernetes", "librdkafka", "plot", "postgresql", "store", "web")
PERMISSIVE = {
    *(
        "0BSD",
        "Apache",
        "BSD",
        "CC0-1.0",
        "HPND",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "PSF",
        "Python Software Foundation",
        "Zlib",
    ),
}
TOLD = {"crc32c": "LGPL", "certifi": "MPL", "psycopg": "LGPL", "psycopg-binary": "LGPL"}
"""Licences that ask for more, each told of in SECURITY.md."""


def licence(name: str) -> str:
    """Return what a package says of its licence: the expression, the classifiers, or its own words."""
    found = distribution(name).metadata
    classifiers = [one.rpartition(" :: ")[2] for one in found.get_all("Classifier") or [] if one.startswith("License")]
    told = [*(found.get_all("License-Expression") or ()), " AND ".join(classifiers), *(found.get_all("License") or ())]
    return next(filter(None, told), "")


def needed() -> set[str]:
    """Return the packages that Mendline needs to run, here, with what they need in turn."""
    found: set[tuple[str, str]] = set()
    ahead = [("mendline", extra) for extra in EXTRAS]
    while ahead:
        name, extra = ahead.pop()
        for one in map(Requirement, distribution(name).requires or []):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                new = {(one.name, more) for more in ("", *one.extras)} - found
                found |= new
                ahead += new
    return {name for name, _ in found}


def asks_for_more(text: str) -> list[str]:
    """Return the parts of a licence that are not known to be permissive; of alternatives one is enough."""
    parts = text.replace("(", "").replace(")", "").split(" AND ")
    return [part for part in parts if not any(one in choice for choice in part.split(" OR ") for one in PERMISSIVE)]


def test_everything_needed_is_permissive_or_told_of() -> None:
    """Whoever passes Mendline on learns what else that asks for."""
    more = {name: asks_for_more(licence(name)) for name in needed()}
    odd = {name: parts for name, parts in more.items() if parts}
    assert odd.keys() == TOLD.keys()
    page = (Path(__file__).parents[1] / "SECURITY.md").read_text(encoding="utf-8")
    for name, word in TOLD.items():
        assert word in " ".join(odd[name])
        assert f"`{name}`" in page
        assert word in page


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("MIT", []),
        ("Apache-2.0 OR GPL-3.0-only", []),
        ("BSD-3-Clause AND 0BSD", []),
        ("MIT AND GPL-3.0-or-later", ["GPL-3.0-or-later"]),
        ("", [""]),
    ],
)
def test_a_licence_that_asks_for_more_is_found(text: str, more: list[str]) -> None:
    """The check above can fail."""
    assert asks_for_more(text) == more
