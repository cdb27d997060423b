"""An object as YAML for people, which means the same to every reader."""

from __future__ import annotations

from typing import Any

import yaml

from deduplab.ops.kubernetes.kinds import Object


def yaml_text(one: Object) -> str:
    """Write an object as a document of YAML, its keys in their order."""
    text: str = yaml.dump(
        one,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )
    return text


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are, and never refers from one place to another."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Write a text so that no reader takes it for anything else.

    kubectl's takes a lone ``n`` for false and ``1e3`` for a number, unlike the one of Python.
    """
    plain = len(text) > 1 and (text[0].isalpha() or text[0] == "/")
    style = "|" if "\n" in text else None if plain else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
