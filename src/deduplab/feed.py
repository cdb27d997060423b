"""The way on which a run's processes tell events: a socket, on which nobody is waited for.

Each process that measures has an end to write to, and the process that passes events on the
other end. A message is whole or lost; what a measuring process can't get rid of at once is lost,
since it must not wait for whoever watches. What all of them lost is one number.
"""

from __future__ import annotations

import select
import socket
from typing import Final

from deduplab.event import Event, encoded
from deduplab.loss_count import LossCount

LARGEST_BYTES: Final = 1 << 17
"""No event is longer; one that is would be lost."""
_FLAGS: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


class Feed:
    """The end to write to; it can be handed to a process that is started.

    Parameters
    ----------
    end
        A socket of packets.
    losses
        Counts what any process with this feed could not get rid of.
    """

    def __init__(self, end: socket.socket, losses: LossCount) -> None:
        self._end = end
        self.losses = losses

    @classmethod
    def pair(cls) -> tuple[Feed, socket.socket]:
        """Return an end to write to, and the one to read from.

        Who reads gets the end of file once all processes have closed their end to write to.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours, LossCount.at_zero()), theirs

    def descriptors(self) -> tuple[int, int]:
        """Return what a process has to keep open that tells events."""
        return self._end.fileno(), self.losses.fileno()

    def tell(self, event: Event, wait_s: float = 0.0) -> None:
        """Send an event, or count it as lost if there is no room by then."""
        content = encoded(event)
        try:
            self._end.send(content, _FLAGS)
        except BlockingIOError:
            self._send_later(content, wait_s)
        except OSError:  # too long (EMSGSIZE), or nobody reads any more (EPIPE)
            self.losses.add_one()

    def _send_later(self, content: bytes, wait_s: float) -> None:
        try:
            if wait_s:
                # The kernel calls it writable once it is empty to three quarters (unix_writable).
                # Not by select(), which knows no descriptor above 1023.
                room = select.poll()
                room.register(self._end, select.POLLOUT)
                room.poll(wait_s * 1000)
            self._end.send(content, _FLAGS)
        except OSError:
            self.losses.add_one()

    def close(self) -> None:
        """Close this process's end."""
        self._end.close()
        self.losses.close()
