"""Whether what a person chose can stand in a manifest, by Kubernetes' rules for names and labels.

What a server would refuse is refused here, so that manifests that are only written are ones
that a cluster takes. The rules are those of "Object Names and IDs" and "Labels and
Selectors" in its manual.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from deduplab.errors import PlanError
from deduplab.ops.kubernetes.manifests.settings import Settings


@dataclass(frozen=True, slots=True)
class _Rule:
    """A form that a text must have, in words and as an expression."""

    form: str
    most_letters: int
    words: str

    def allows(self, text: str) -> bool:
        return len(text) <= self.most_letters and re.fullmatch(self.form, text) is not None


_LABEL: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_VALUE: Final = r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"

_NAMESPACE: Final = _Rule(
    _LABEL, 63, "at most 63 of a-z, 0-9 and -, a letter or digit at both ends"
)
_NAME: Final = _Rule(
    _SUBDOMAIN, 253, "at most 253 of a-z, 0-9, - and ., a letter or digit at both ends of each part"
)
_LABEL_KEY: Final = _Rule(
    rf"({_SUBDOMAIN}/)?(?=[^/]{{1,63}}$){_VALUE}",
    317,
    "at most 63 letters, digits, -, _ and ., with 'a.domain/' before them or nothing",
)
_LABEL_VALUE: Final = _Rule(_VALUE, 63, "at most 63 letters, digits, -, _ and .")
_IMAGE: Final = _Rule(
    r"[A-Za-z0-9\[][A-Za-z0-9._:/@\[\]-]*", 1000, "as registry/name:tag or registry/name@digest"
)
_PATH: Final = _Rule(r"/[^:]*", 4096, "an absolute path without ':'")


def check(settings: Settings) -> None:
    """Refuse what no server would take.

    Raises
    ------
    PlanError
        If something has no form that Kubernetes allows; it names the option.
    """
    for option, text, rule in _chosen(settings):
        if not rule.allows(text):
            raise PlanError(f"{option}: {text!r} is not allowed in a cluster; {rule.words}")


def _chosen(settings: Settings) -> Iterator[tuple[str, str, _Rule]]:
    yield "--namespace", settings.namespace, _NAMESPACE
    yield "--image", settings.image, _IMAGE
    yield "--secret", settings.secret_name, _NAME
    for option, name in (
        ("--results-class", settings.results_class),
        ("--workspace-class", settings.workspace_class),
    ):
        if name:
            yield option, name, _NAME
    for key, value in settings.nodes.items():
        yield "--node-label", key, _LABEL_KEY
        yield "--node or --node-label", value, _LABEL_VALUE
    for claim, path in settings.mounts:
        yield "--mount", claim, _NAME
        yield "--mount", path, _PATH
