"""What the lab's user may do on a NATS server, and not more: one table, two uses.

The account is the boundary: streams of other accounts are not there for it. Within an account,
subjects are granted token by token, so rights can't end at streams whose names begin in one way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

ACCOUNT: Final = "DEDUPLAB"
VARZ: Final = "$SYS.REQ.SERVER.PING.VARZ"

PUBLISH: Final = (
    ("deduplab.>", "the lab's own messages"),
    ("$JS.API.STREAM.INFO.*", "sizes, counts, settings, the marker"),
    ("$JS.API.STREAM.CREATE.*", "the lab's own streams"),
    ("$JS.API.STREAM.UPDATE.*", "the duplicate window, by which ids are forgotten"),
    ("$JS.API.STREAM.DELETE.*", "deletion by 'drop', and the end"),
    ("$JS.API.STREAM.PURGE.*", "deletion, of all or by subject"),
    ("$JS.API.DIRECT.GET.*", "reading many messages"),
    ("$JS.API.DIRECT.GET.*.>", "reading by key"),
    (VARZ, "the server's settings and counters, imported from the system account"),
)
SUBSCRIBE: Final = (("_INBOX.>", "answers"),)

_BY_HAND: Final = (
    ("$JS.API.INFO", "the product's client looks around"),
    ("$JS.API.STREAM.NAMES", "the same"),
    ("$JS.API.STREAM.LIST", "the same"),
    ("$JS.API.STREAM.MSG.GET.*", "the same"),
    ("$JS.API.STREAM.MSG.DELETE.*", "deletion of one message"),
    ("$JS.API.CONSUMER.>", "the same, by consumers"),
    ("$JS.ACK.>", "the same"),
    ("$SYS.REQ.USER.INFO", "the same"),
)
_HEARD_BY_HAND: Final = (("deduplab.>", "what is published, live"),)

WORDS: Final = """\
The command nats is on the path, logged in, as in:
  nats stream ls      nats stream info deduplab-mine-objects
  nats stream add deduplab-mine --subjects 'deduplab.mine.>' --defaults
  nats pub deduplab.mine.one 'forty-two'      nats stream get deduplab-mine 1
The account is the lab's own; the user publishes and hears subjects that begin with deduplab.
"""


def accounts(user: str, password: str, *, by_hand: bool = False) -> str:
    """Return the accounts as a server's configuration has them.

    Parameters
    ----------
    by_hand
        Whether the user may also do what the product's client needs to look around.
    """
    publish = PUBLISH + (_BY_HAND if by_hand else ())
    subscribe = SUBSCRIBE + (_HEARD_BY_HAND if by_hand else ())
    return f"""\
accounts {{
  "$SYS" {{
    exports: [ {{ service: "{VARZ}", accounts: [{ACCOUNT}] }} ]
  }}
  {ACCOUNT} {{
    jetstream: enabled
    imports: [ {{ service: {{ account: "$SYS", subject: "{VARZ}" }} }} ]
    users: [ {{
      user: {_quoted(user)}, password: {_quoted(password)}
      permissions: {{
        publish: {{ allow: [
{_listed(publish)}
        ] }}
        subscribe: {{ allow: [
{_listed(subscribe)}
        ] }}
      }}
    }} ]
  }}
}}
"""


def grants(user: str) -> str:
    """Return what goes into the configuration of a server that runs already."""
    return f"""\
# For the server's configuration; then: nats-server --signal reload
# The account is the lab's own: it sees no stream of another account. Where 'accounts' is there
# already, add to it; where accounts are signed (nsc), give an account of its own the same rights.
# JetStream itself is enabled by 'jetstream', with sync_interval: always for durability fsync, and
# the server needs a server_name, by which it is known again after a restart.
{accounts(user, "<password>")}"""


def _listed(subjects: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"          {json.dumps(subject)}  # {reason}" for subject, reason in subjects)


def _quoted(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)
