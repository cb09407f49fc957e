"""What reaches the page's server: what the page itself asks for, and no more than it may send."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from facesr_ext.demo.store import Store

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_API = '/gradio_api/'
_FILE, _UPLOAD = f'{_API}file=', f'{_API}upload'
_PAGES = ('/', '/config', '/theme.css', '/favicon.ico', '/manifest.json', '/robots.txt')
_CALLS = tuple(_API + name for name in ('startup-events', 'queue/join', 'queue/data', 'upload_progress', 'cancel',
                                        'reset', 'theme.css'))  # fmt: skip
_FOLDERS = ('/assets/', '/static/', '/svelte/', f'{_API}heartbeat/')
_CALL_BYTES, _FORM_BYTES = 1 << 20, 1 << 16  # of a call; of a form around an uploaded file
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = (
    ('content-security-policy', _POLICY), ('referrer-policy', 'no-referrer'), ('x-content-type-options', 'nosniff'),
    ('x-frame-options', 'DENY'), ('permissions-policy', 'camera=(self), microphone=(), geolocation=()'),
)  # fmt: skip


class Guard:
    """Stands before the page's server (ASGI) and lets pass what the page needs.

    Refused are: names of the host that are not its own (a foreign page may have its own name lead here), calls from
    other pages, addresses that the page does not use, files outside its folders, whether they are asked for or named in
    a call, bodies that are too long, and uploads when visitors have as much on the disk as they may. Answers forbid the
    browser to fetch anything from elsewhere.

    Args:
        app (Callable): The server.
        store (Store): Of what visitors have.
        folders (Sequence[Path]): Files in them are served, no others.
        upload_bytes (int): Of a file.
        disk_bytes (int): Of all files of visitors.
        host (str): Where the server listens. At a loopback address it answers to loopback names alone.
    """

    def __init__(
        self, app: App, store: Store, folders: Sequence[Path], upload_bytes: int, disk_bytes: int, host: str
    ) -> None:
        self.app, self.store, self.host = app, store, host
        self.folders = [folder.resolve() for folder in folders]
        self.upload_bytes, self.disk_bytes = upload_bytes, disk_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope['type'] == 'websocket':
            await send({'type': 'websocket.close', 'code': 1008})
            return
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return

        async def send_more(message: MutableMapping[str, Any]) -> None:
            if message['type'] == 'http.response.start':
                more = [(name.encode(), value.encode()) for name, value in _HEADERS]
                if scope['path'].startswith(_FILE):
                    more.append((b'cache-control', b'no-store'))
                message = {**message, 'headers': [*message.get('headers', []), *more]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None and scope['method'] == 'POST' and scope['path'] != _UPLOAD:
            body = await _whole(receive)
            refusal = None if self._names_no_other_file(body) else (403, 'This is no upload.')
            receive = _again(body, receive)
        if refusal is None:
            await self.app(scope, receive, send_more)
            return
        status, text = refusal
        headers = [(b'content-type', b'text/plain; charset=utf-8'), (b'connection', b'close')]
        await send_more({'type': 'http.response.start', 'status': status, 'headers': headers})
        await send_more({'type': 'http.response.body', 'body': text.encode()})

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the text by which a request is refused, None where it passes."""
        headers = {name.decode('latin-1').lower(): value.decode('latin-1') for name, value in scope['headers']}
        host, origin, path = headers.get('host', ''), headers.get('origin'), scope['path']
        if is_loopback(self.host) and not is_loopback(urlsplit(f'//{host}').hostname or ''):
            return 421, 'This page is for the machine that runs it alone.'
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, 'This page answers to itself alone.'
        if not self._is_open(path):
            return 404, 'There is nothing here.'
        if scope['method'] not in ('GET', 'HEAD', 'POST'):
            return 405, 'This page is read, and sent to, alone.'
        if scope['method'] == 'POST':
            return self._refused_body(path, headers)
        return None

    def _is_open(self, path: str) -> bool:
        if path.startswith(_FILE):
            return self._is_ours(path[len(_FILE) :])
        return path in (*_PAGES, *_CALLS, _UPLOAD) or path.startswith(_FOLDERS)

    def _is_ours(self, name: str) -> bool:
        """Whether a file lies in a folder that is served."""
        try:
            file = Path(name).resolve()
        except (OSError, ValueError, RuntimeError):
            return False
        return Path(name).is_absolute() and any(folder in file.parents for folder in self.folders)

    def _names_no_other_file(self, body: bytes) -> bool:
        """Whether the files that a call names, for Gradio to read or to fetch, are uploads of the page."""
        try:
            waiting = [json.loads(body or b'null')]
        except (ValueError, RecursionError):
            return False
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                if 'path' in value and not (isinstance(value['path'], str) and self._is_ours(value['path'])):
                    return False
                waiting += value.values()
            elif isinstance(value, list):
                waiting += value
        return True

    def _refused_body(self, path: str, headers: MutableMapping[str, str]) -> tuple[int, str] | None:
        length = headers.get('content-length', '')
        if not length.isdecimal():
            return 411, 'How long is it?'
        if path != _UPLOAD:
            return (413, 'The call is too long.') if int(length) > _CALL_BYTES else None
        if int(length) > self.upload_bytes + _FORM_BYTES:
            return 413, f'The file is larger than {self.upload_bytes / 1e6:g} MB; make it smaller.'
        if self.store.size() + int(length) > self.disk_bytes:
            return 507, 'There are too many photographs at the moment; come back in some minutes.'
        return None


async def _whole(receive: Receive) -> bytes:
    """The body of a request."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get('body', b''))
        more = message.get('more_body', False)
    return b''.join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that has been read once more, and then what there is besides."""
    waiting = [{'type': 'http.request', 'body': body, 'more_body': False}]

    async def receive_again() -> Any:
        return waiting.pop() if waiting else await receive()

    return receive_again


def is_loopback(host: str) -> bool:
    """Whether a name or address means the machine itself."""
    if host.lower() == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
