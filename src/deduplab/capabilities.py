"""What a system offers: variants, durabilities, ways to delete and to reclaim, replicas."""

from __future__ import annotations

from dataclasses import dataclass

from deduplab.errors import Unsupported


@dataclass(frozen=True, slots=True)
class Variant:
    """A named configuration of a system under test, with one line that says what it is.

    ``encodes`` is false only where nothing in it encodes several objects together (no
    compression of blocks, pages or batches): what near copies alone save is no compression then.
    """

    name: str
    summary: str
    encodes: bool = True


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a system offers; the matrix asks only for that.

    Parameters
    ----------
    variants
        Named configurations; the first is the default.
    layouts
        ``blob``, ``native``, or both.
    durability
        What an acknowledgement can mean: ``fsync`` (on stable storage),
        ``interval`` (written, synced later), ``none``.
    delete_modes
        Of ``rowwise``, ``truncate``, ``drop``; the first is the default.
    reclaim_modes
        Explicit maintenance, mild to strong; empty where the system has none. A variant
        that lacks one of them refuses it as ``Unsupported``.
    stores_data
        False only for a system that discards what it gets (``null``).
    unique_keys
        Whether the system refuses an object whose key exists. Some do not, by
        design, and keep both: then keys are unique only because datasets make
        them so.
    background_work
        Whether the system may change its files on its own after a flush. If
        not, two equal sizes in a row are rest; else a stable window is.
    most_replicas
        How many physical copies its recipe can have it keep; 1 without replication.
    """

    variants: tuple[Variant, ...]
    layouts: tuple[str, ...] = ("blob",)
    durability: tuple[str, ...] = ("fsync",)
    delete_modes: tuple[str, ...] = ("rowwise",)
    reclaim_modes: tuple[str, ...] = ()
    stores_data: bool = True
    unique_keys: bool = True
    background_work: bool = True
    most_replicas: int = 1

    def require(self, system: str, *, layout: str, variant: str, durability: str) -> None:
        """Refuse what the system does not offer.

        Raises
        ------
        Unsupported
            With what it offers instead.
        """
        for what, wanted, offered in (
            ("layout", layout, self.layouts),
            ("variant", variant, self.variant_names()),
            ("durability", durability, self.durability),
        ):
            if wanted not in offered:
                raise Unsupported(
                    f"{system} offers no {what} {wanted!r}; it offers: {', '.join(offered)}"
                )

    def variant_names(self) -> tuple[str, ...]:
        """Return the names of the variants, the default first."""
        return tuple(variant.name for variant in self.variants)
