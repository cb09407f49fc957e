"""What passes the guard, and what does not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from facesr_ext.demo.guard import Guard, is_loopback
from facesr_ext.demo.store import Store


async def _server(scope: Any, receive: Any, send: Any) -> None:
    if scope['method'] == 'POST':
        assert (await receive())['body'] == scope['body']
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'x-own', b'1')]})
    await send({'type': 'http.response.body', 'body': b'served'})


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    for name in ('visitors', 'examples'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'a.jpg').write_bytes(b'1' * 100)
    (tmp_path / 'secret').write_text('s')
    (tmp_path / 'visitors' / 'link').symlink_to(tmp_path / 'secret')
    store = Store(tmp_path / 'visitors', 1)
    return Guard(_server, store, (tmp_path / 'visitors', tmp_path / 'examples'), 1000, 100_000, '127.0.0.1')


def _ask(
    guard: Guard, path: str, method: str = 'GET', body: bytes = b'{}', **headers: str
) -> tuple[int, dict[str, str]]:
    """The status, and the headers of the answer."""
    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    sent = {'host': '127.0.0.1:7860', **{key.replace('_', '-'): value for key, value in headers.items()}}
    raw = [(key.encode(), value.encode()) for key, value in sent.items()]
    halves = [{'body': body[len(body) // 2 :]}, {'body': body[: len(body) // 2], 'more_body': True}]
    if path.endswith('/upload'):
        halves = [{'body': body}]

    async def receive() -> Any:
        return halves.pop()

    scope = {'type': 'http', 'path': path, 'method': method, 'headers': raw, 'body': body}
    asyncio.run(guard(scope, receive, send))
    assert (told[1]['body'] == b'served') == (told[0]['status'] == 200)
    return told[0]['status'], {key.decode(): value.decode() for key, value in told[0]['headers']}


@pytest.mark.parametrize('path', ['/', '/config', '/assets/index.js', '/gradio_api/queue/data'])
def test_the_page_gets_what_it_needs_and_browsers_fetch_nothing_from_elsewhere(guard: Guard, path: str) -> None:
    status, headers = _ask(guard, path)
    assert status == 200 and headers['x-own'] == '1' and headers['x-frame-options'] == 'DENY'
    policy = dict(part.split(maxsplit=1) for part in headers['content-security-policy'].split('; '))
    assert policy['default-src'] == policy['connect-src'] == "'self'"
    assert not any('http' in value or '*' in value for value in policy.values())


@pytest.mark.parametrize(
    'path',
    ['/docs', '/gradio_api/info', '/gradio_api/openapi.json', '/gradio_api/run/predict', '/gradio_api/call/look',
     '/gradio_api/proxy=http://example.org', '/monitoring', '/gradio_api/deep_link', '/../etc/passwd', '/login'],
)  # fmt: skip
def test_what_the_page_does_not_use_is_closed(guard: Guard, path: str) -> None:
    assert _ask(guard, path)[0] == 404 and _ask(guard, path, 'POST', content_length='2')[0] == 404


def test_files_are_served_from_its_own_folders_alone(guard: Guard, tmp_path: Path) -> None:
    file = '/gradio_api/file='
    for name in ('visitors', 'examples'):
        status, headers = _ask(guard, f'{file}{tmp_path}/{name}/a.jpg')
        assert status == 200 and headers['cache-control'] == 'no-store'
    inside = f'{tmp_path}/visitors'
    for path in (
        '/etc/passwd', f'{tmp_path}/secret', f'{inside}/../secret', f'{inside}/link', inside, '', 'a.jpg', '~/a',
        'http://example.org/a.jpg', 'file:///etc/passwd', f'{inside}/\0', 'x' * 5000,
    ):  # fmt: skip
        assert _ask(guard, file + path)[0] == 404, path


def test_other_names_of_the_host_and_other_pages_are_refused(guard: Guard) -> None:
    assert [_ask(guard, '/', host=host)[0] for host in ('localhost', '[::1]:7860', '127.0.0.1')] == [200] * 3
    assert [_ask(guard, '/', host=host)[0] for host in ('example.org', 'localhost.example.org:7860', '')] == [421] * 3
    upload = '/gradio_api/upload'
    assert _ask(guard, upload, 'POST', origin='http://127.0.0.1:7860', content_length='5')[0] == 200
    for origin in ('http://example.org', 'http://127.0.0.1:9999', 'null'):
        assert _ask(guard, upload, 'POST', origin=origin, content_length='5')[0] == 403
    guard.host = '0.0.0.0'
    assert _ask(guard, '/', host='photos.example.org')[0] == 200


def test_bodies_have_a_length_and_are_not_too_long(guard: Guard) -> None:
    upload, join = '/gradio_api/upload', '/gradio_api/queue/join'
    assert _ask(guard, upload, 'POST', content_length=str(1000 + (1 << 16)))[0] == 200
    assert _ask(guard, upload, 'POST', content_length=str(1001 + (1 << 16)))[0] == 413
    assert _ask(guard, join, 'POST', content_length=str(1 << 20))[0] == 200
    assert _ask(guard, join, 'POST', content_length=str(1 + (1 << 20)))[0] == 413
    assert _ask(guard, upload, 'POST', transfer_encoding='chunked')[0] == 411
    assert _ask(guard, upload, 'PUT', content_length='5')[0] == 405


def test_calls_name_uploads_alone(guard: Guard, tmp_path: Path) -> None:
    def call(body: object) -> int:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return _ask(guard, '/gradio_api/queue/join', 'POST', data, content_length=str(len(data)))[0]

    own = f'{tmp_path}/visitors/a.jpg'
    assert call({'data': [{'path': own, 'url': 'http://127.0.0.1:7860/gradio_api/file=a'}, [1, 2], 'default']}) == 200
    for path in ('/etc/passwd', 'http://example.org/a.png', f'{tmp_path}/visitors/../secret', '', None, [own]):
        assert call({'data': [{'deep': [{'path': path}]}, {'path': own}]}) == 403
    for body in (b'{', b'[' * 100_000, b'\xff'):
        assert call(body) == 403


def test_uploads_stop_when_the_disk_has_its_share(guard: Guard, tmp_path: Path) -> None:
    (tmp_path / 'visitors' / 'b').write_bytes(b'0' * 99_500)
    assert _ask(guard, '/gradio_api/upload', 'POST', content_length='300')[0] == 200
    assert _ask(guard, '/gradio_api/upload', 'POST', content_length='900')[0] == 507


def test_what_loopback_is() -> None:
    assert all(is_loopback(host) for host in ('127.0.0.1', '127.1.2.3', '::1', 'localhost', 'LocalHost'))
    assert not any(is_loopback(host) for host in ('0.0.0.0', '::', '192.168.1.2', 'example.org', ''))
