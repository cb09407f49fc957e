"""Starts the page's server, and cleans up behind it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from facesr_ext.demo.limits import Limits
from facesr_ext.demo.store import Store, Sweeper
from facesr_ext.errors import DependencyError, OptionError
from facesr_ext.host.memory import share_memory_among_threads

_CONNECTIONS = 400  # at once; a page holds two
_PATIENCE = 3  # seconds for what is under way when the server is stopped


def serve(
    host: str, port: int, models: Sequence[str], limits: Limits, device: str | None, tell: Callable[[str], None]
) -> None:
    """Serves the page until it is interrupted.

    Args:
        host (str): The address to listen at.
        port (int): 0 takes any that is free.
        models (Sequence[str]): What may be chosen; the first is the usual one.
        limits (Limits): What visitors may do.
        device (str | None): Where networks run.
        tell (Callable): Is told where the page is.

    Raises:
        DependencyError: without Gradio.
        OptionError: for an address that cannot be listened at, and for models that are none.
    """
    require_gradio()
    share_memory_among_threads()
    with (
        _listening(host, port) as listener,
        tempfile.TemporaryDirectory(prefix='facesr_demo_', ignore_cleanup_errors=True) as folder,
    ):
        visitors = Path(folder).resolve() / 'visitors'
        visitors.mkdir()
        store = Store(visitors, limits.minutes)
        app = build_app(store, models, limits, device, host)
        sweeper = Sweeper(store)
        sweeper.start()
        try:
            name = f'[{host}]' if ':' in host else host
            tell(f'http://{name}:{listener.getsockname()[1]}')
            _run(app, listener)
        finally:
            sweeper.stop()


def require_gradio() -> None:
    """Requires the extra ``demo``.

    Raises:
        DependencyError: if it is not installed.
    """
    import importlib.util

    if importlib.util.find_spec('gradio') is None:
        raise DependencyError("The page is made with Gradio, which is not installed: pip install 'facesr_ext[demo]'")


def build_app(store: Store, models: Sequence[str], limits: Limits, device: str | None, host: str) -> Any:
    """The server as an ASGI application.

    Args:
        store (Store): Its folder is that of Gradio's uploads, too; examples are written beside it.
        models (Sequence[str]): What may be chosen.
        limits (Limits): What visitors may do.
        device (str | None): Where networks run.
        host (str): Where it listens.
    """
    _settle_gradio(store.folder)
    import gradio as gr
    from fastapi import FastAPI

    from facesr_ext.demo.desk import Desk
    from facesr_ext.demo.examples import write_examples
    from facesr_ext.demo.guard import Guard
    from facesr_ext.demo.page import CSS, build_page

    examples = write_examples(store.folder.with_name('examples'))
    page = build_page(Desk(models, store, limits, device), examples)
    fonts = (['system-ui', 'sans-serif'], ['ui-monospace', 'monospace'])  # the machine's own
    theme = gr.themes.Default(primary_hue='teal', font=fonts[0], font_mono=fonts[1])
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None), page, path='/', server_name=host, theme=theme,
        css=CSS, show_error=False, footer_links=[], allowed_paths=[], max_file_size=round(limits.megabytes * 1e6),
        ssr_mode=False, enable_monitoring=False, pwa=False, mcp_server=False, app_kwargs={'docs_url': None},
    )  # fmt: skip
    page.has_launched = True  # without which Gradio takes any file of the disk for an upload
    folders = (store.folder, examples[0].parent)
    return Guard(app, store, folders, round(limits.megabytes * 1e6), round(limits.disk_megabytes * 1e6), host)


def _settle_gradio(folder: Path) -> None:
    """Settings that Gradio reads from the environment: nothing is sent anywhere, and its files are in this folder."""
    for name in [name for name in os.environ if name.startswith('GRADIO_')]:
        del os.environ[name]
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED='False', GRADIO_TEMP_DIR=str(folder), GRADIO_RUN_HISTORY='False',
        GRADIO_EXAMPLES_CACHE=str(folder / 'cached'), HF_HUB_DISABLE_TELEMETRY='1', HF_HUB_OFFLINE='1',
        DO_NOT_TRACK='1',
    )  # fmt: skip


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OptionError: if it cannot; which option is to blame.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, OverflowError, UnicodeError) as err:
        raise OptionError(f'{host!r} is no address of this machine ({err})', ('--host',)) from err
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == 'posix':
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as err:
        listener.close()
        raise OptionError(f'cannot listen at {host}, port {port}: {err.strerror}; take another', ('--port',)) from err
    return listener


def _run(app: Any, listener: socket.socket) -> None:
    """Serves until Ctrl-C, or until the process is told to end; either comes back from here, for all to be deleted."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            logging.getLogger('uvicorn.error').setLevel(logging.CRITICAL)  # to cut off pages that are open is no error
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app, log_level='error', access_log=False, server_header=False, limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_PATIENCE, ws='none',
    )  # fmt: skip
    ended = signal.signal(signal.SIGTERM, signal.default_int_handler)  # uvicorn raises it once more when it has ended
    try:
        with contextlib.suppress(KeyboardInterrupt):
            Server(config).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, ended)
