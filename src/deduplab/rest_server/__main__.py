"""Start the reference server: ``python -m deduplab.rest_server --directory D --token-file F``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from deduplab.rest_server.catalogue import Catalogue
from deduplab.rest_server.listener import Listener
from deduplab.rest_server.operations import Service


def main(arguments: list[str] | None = None) -> int:
    """Listen until SIGTERM or SIGINT, then close the databases in order."""
    parser = argparse.ArgumentParser(prog="deduplab.rest_server", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where databases are kept")
    parser.add_argument("--token-file", type=Path, required=True, help="its first line is asked of")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any that is free")
    parser.add_argument("--announce", type=Path, help="a file that is told the port")
    chosen = parser.parse_args(arguments)
    token = chosen.token_file.read_text(encoding="ascii").strip()
    if not token:
        parser.error(f"the token file {chosen.token_file} is empty")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    catalogue = Catalogue(chosen.directory)
    listener = Listener((chosen.host, chosen.port), Service(catalogue), token)
    threading.Thread(target=listener.serve_forever, args=(0.1,), daemon=True).start()
    _announce(chosen.announce, listener.server_address[1])
    ended.wait()
    listener.shutdown()
    listener.server_close()
    catalogue.close()
    return 0


def _announce(path: Path | None, port: int) -> None:
    if path is None:
        print(f"listening on port {port}", flush=True)  # noqa: T201 - for whoever starts it by hand
        return
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(f"{port}\n", encoding="ascii")
    aside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
