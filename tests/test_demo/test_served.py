"""The page's server as strangers see it: files of the disk, bombs, many at once."""

from __future__ import annotations

import http.client
import io
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from PIL import Image

from tests.test_demo.conftest import Server, wait_for

_PASSWORDS = 'root:'


def _send(server: Server, method: str, path: str, body: bytes = b'', **headers: str) -> tuple[int, bytes]:
    """A request whose path goes out as it is."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=240)
    try:
        connection.request(method, path, body or None, {key.replace('_', '-'): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _upload(server: Server, name: str, data: bytes) -> tuple[int, Any]:
    edge = secrets.token_hex(8)
    head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
    body = f'{head}Content-Type: application/octet-stream\r\n\r\n'.encode() + data + f'\r\n--{edge}--\r\n'.encode()
    kind = f'multipart/form-data; boundary={edge}'
    status, answer = _send(server, 'POST', '/gradio_api/upload', body, Content_Type=kind)
    return status, json.loads(answer)[0] if status == 200 else answer.decode()


def _function(server: Server, name: str) -> tuple[int, int]:
    """The number of what the page calls, and of the part that triggers it."""
    config = json.loads(_send(server, 'GET', '/config')[1])
    for call in config['dependencies']:
        if call['api_name'].split('_')[0] == name:
            return call['id'], call['targets'][0][0]
    raise AssertionError(f'there is no {name}')


def _look(server: Server, path: str, session: str, function: tuple[int, int], **more: Any) -> dict[str, Any]:
    """Has the faces of an upload found, as the page does; what is told at the end."""
    data = [{'path': path, 'meta': {'_type': 'gradio.FileData'}, 'orig_name': 'a', **more}]
    call = {'data': data, 'fn_index': function[0], 'trigger_id': function[1], 'session_hash': session}
    body = json.dumps(call).encode()
    status, answer = _send(server, 'POST', '/gradio_api/queue/join', body, Content_Type='application/json')
    if status != 200:
        return {'success': False, 'status': status, 'output': {'error': answer.decode()}}
    status, events = _send(server, 'GET', f'/gradio_api/queue/data?session_hash={session}')
    messages = [json.loads(line[6:]) for line in events.decode().splitlines() if line.startswith('data: ')]
    return next(message for message in reversed(messages) if message['msg'] == 'process_completed')


def _picture(size: tuple[int, int], kind: str = 'PNG', value: int = 90) -> bytes:
    out = io.BytesIO()
    Image.new('L', size, value).save(out, kind)
    return out.getvalue()


def test_nothing_of_the_disk_is_served(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / 'secret.txt'
    secret.write_text('root: secret')
    inside = str(server.visitors)
    names = [
        '/etc/passwd', '//etc/passwd', f'{inside}{9 * "/.."}/etc/passwd', '../../etc/passwd', str(secret),
        'file:///etc/passwd', '/proc/self/environ', '/proc/self/cwd', inside, __file__,
    ]  # fmt: skip
    roots = ['/gradio_api/file=', '/file=', '/gradio_api/file/', '/static/', '/assets/', '/svelte/', '/']
    for root in roots:
        for name in names:
            for path in (root + name, root + quote(name, safe=''), root + quote(name).replace('.', '%2e')):
                status, answer = _send(server, 'GET', path)
                assert status in (400, 403, 404, 405) and _PASSWORDS.encode() not in answer, path
                assert b'Traceback' not in answer


def test_a_file_of_the_server_or_an_address_is_no_upload(server: Server) -> None:
    function = _function(server, 'look')
    for path in ('/etc/passwd', __file__, 'http://127.0.0.1:1/a.png', 'https://example.org/a.png', '', '..'):
        for more in ({}, {'url': path or 'http://127.0.0.1:1/a.png'}):
            told = _look(server, path, secrets.token_hex(6), function, **more)
            assert not told['success'] and _PASSWORDS not in str(told), path
    copies = [path for path in server.visitors.rglob('*') if path.is_file() and b'root:' in path.read_bytes()[:100]]
    assert not copies


def test_the_programming_interface_is_closed(server: Server) -> None:
    for path in ('/gradio_api/info', '/gradio_api/openapi.json', '/docs', '/openapi.json', '/monitoring', '/?view=api'):
        status, answer = _send(server, 'GET', path)
        assert status == 404 or (path == '/?view=api' and b'"footer_links":[]' in answer), path
    body = json.dumps({'data': [None], 'session_hash': 'a'}).encode()
    for name in ('look', 'restore', 'write'):
        for route in ('run', 'api', 'call'):
            path = f'/gradio_api/{route}/{name}'
            assert _send(server, 'POST', path, body, Content_Type='application/json')[0] == 404


def test_text_bombs_and_damage_are_named_and_take_no_memory(server: Server) -> None:
    function, before = _function(server, 'look'), server.memory()
    whole = _picture((400, 300), 'JPEG')
    files = {
        'letter.jpg': (b'Dear all,\n' * 1000, 'no photograph'),
        'empty.png': (b'', 'empty file'),
        'bomb.png': (_picture((12000, 12000)), '12000x12000 px, and 4 million pixels are allowed'),
        'bomb.gif': (_picture((9000, 9000), 'GIF'), 'too many pixels'),
        'half.jpg': (whole[: len(whole) // 2], 'damaged or cut off'),
        'page.svg': (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', 'no photograph'),
    }
    for name, (data, text) in files.items():
        status, path = _upload(server, name, data)
        assert status == 200
        told = _look(server, path, secrets.token_hex(6), function)
        assert not told['success'] and text in told['output']['error'], (name, told)
        assert 'Traceback' not in str(told)
    status, text = _upload(server, 'large.jpg', bytes(2_100_000))
    assert status == 413 and 'larger than 2 MB' in text
    assert server.memory() - before < 60


def test_fifty_at_once_wait_or_are_told_and_memory_stays(server: Server, record_property: Any) -> None:
    function = _function(server, 'look')

    def visit(index: int) -> str:
        status, path = _upload(server, 'a.png', _picture((1200, 900), 'PNG', index))
        if status != 200:
            return str(path)
        told = _look(server, path, secrets.token_hex(6), function)
        return 'found' if told['success'] else told['output']['error']

    assert visit(99) == 'found'
    before = server.memory()  # with what the detector keeps for a photograph of this size
    with ThreadPoolExecutor(50) as pool:
        told = list(pool.map(visit, range(50)))
    assert told.count('found') >= 8 and {*told} <= {'found'} | {text for text in told if 'queue' in text.lower()}
    after = server.memory()
    record_property('memory', f'{before:.0f} -> {after:.0f} MB')
    assert after - before < 200


def test_what_a_visitor_leaves_is_deleted_with_the_page(server: Server) -> None:
    session, function = secrets.token_hex(6), _function(server, 'look')
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request('GET', f'/gradio_api/heartbeat/{session}')
    answer = connection.getresponse()
    assert answer.read(5) == b'data:'
    status, path = _upload(server, 'mine.png', _picture((500, 400), 'PNG', 17))
    assert status == 200 and _look(server, path, session, function)['success']
    kept = [file for file in server.visitors.rglob('original') if file.read_bytes() == Path(path).read_bytes()]
    assert len(kept) == 1 and (kept[0].parent / 'shown.jpg').is_file()
    answer.close()
    connection.close()
    wait_for(lambda: not kept[0].parent.exists() and not Path(path).exists())


def test_two_of_the_same_file_do_not_take_it_from_each_other(server: Server) -> None:
    function, data = _function(server, 'look'), _picture((300, 200), 'PNG', 3)
    (_, first), (_, second) = (_upload(server, 'same.png', data) for _ in range(2))
    assert first == second
    assert all(_look(server, first, secrets.token_hex(6), function)['success'] for _ in range(2))
