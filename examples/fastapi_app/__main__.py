"""Serve the app on this machine and open it: `python -m examples.fastapi_app [--port PORT] [--no-browser]`."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import webbrowser

import uvicorn

from .main import app

PORT = 8000  # where it is free


class Server(uvicorn.Server):
    """Says where it is as soon as it is there."""

    browse = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell, and open a browser where there is one."""
        await super().startup(sockets)
        if self.started and sockets:
            address = "http://{}:{}/".format(*sockets[0].getsockname())
            print(f"\n  {address}\n\n  Ctrl-C ends it.\n", flush=True)
            if self.browse and has_window():
                webbrowser.open(address)


def has_window() -> bool:
    """Return whether a browser would open a window: one in this terminal would only be in the way."""
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def listening(port: int | None) -> socket.socket:
    """Take a port of this machine, which nobody else can reach: the one asked for, else 8000 or any that is free."""
    if port is None:
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", PORT))
    return socket.create_server(("127.0.0.1", port or 0))


def main() -> None:
    """Read the options and serve until Ctrl-C."""
    options = argparse.ArgumentParser(prog="python -m examples.fastapi_app")
    options.add_argument("--port", type=int, help="8000 where it is free, unless you say otherwise")
    options.add_argument("--no-browser", action="store_true", help="only print the address")
    given = options.parse_args()
    try:
        listener = listening(given.port)
    except OSError as error:
        options.error(f"port {given.port} cannot be had: {error.strerror}. Without --port a free one is taken.")
    server = Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=10))
    server.browse = not given.no_browser
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run([listener])  # it raises KeyboardInterrupt again when all is closed


if __name__ == "__main__":
    main()
