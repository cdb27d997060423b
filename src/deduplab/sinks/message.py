"""A message: one event for those who see nothing else, so that it says which run and cell it is of.

Events of a feed name a cell by its id alone. A message has what the cell is, and in which stage.
"""

from __future__ import annotations

from typing import Any

import msgspec

from deduplab.event import (
    CellBegan,
    CellEnded,
    CellName,
    Event,
    Marked,
    Measured,
    RunBegan,
    Sampled,
)
from deduplab.trace import OPERATIONS, PARTS

Message = dict[str, Any]
"""A flat JSON object: ``type``, ``at_unix_ns``, ``run``, the cell's name where it is of one, then
the event's own fields."""


class Context:
    """What was told before, as far as later events need it."""

    def __init__(self) -> None:
        self._run: dict[str, Any] = {"run": "", "plan": ""}
        self._names: dict[str, dict[str, Any]] = {}
        self._stages: dict[str, tuple[str, str]] = {}

    def message(self, event: Event) -> Message:
        """Return an event as a message. Events are to come in the order in which they were told."""
        fields: dict[str, Any] = msgspec.to_builtins(event)
        if isinstance(event, RunBegan):
            self._run = {"run": event.run, "plan": event.plan}
        told = {"type": fields.pop("type"), "at_unix_ns": fields.pop("at_unix_ns"), **self._run}
        if isinstance(event, CellBegan | Measured | CellEnded):
            told |= fields.pop("name")
        elif isinstance(event, Marked | Sampled):
            told |= self._names.get(event.cell, {})
        if isinstance(event, CellBegan):
            # One cell at a time runs here, and what was known of those before is of no use.
            self._names = {event.name.cell: _fields_of(event.name)}
            self._stages = {}
        elif isinstance(event, Marked):
            told |= dict(zip(("stage", "phase"), self._stage(event), strict=True))
            del fields["name"]
        elif isinstance(event, Sampled):
            stage, phase = self._stages.get(event.cell, ("", ""))
            told |= {"stage": stage, "phase": phase}
        return told | fields

    def _stage(self, event: Marked) -> tuple[str, str]:
        """Note in which stage a cell is, and what is done in it: the operations, at first."""
        stage, _ = self._stages.get(event.cell, ("", ""))
        if event.position < 0:
            stage, phase = "", event.name
        elif event.name in PARTS:
            phase = event.name
        else:
            stage, phase = event.name, OPERATIONS
        self._stages[event.cell] = stage, phase
        return stage, phase


def _fields_of(name: CellName) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(name)
    return fields
