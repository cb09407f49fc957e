"""The page in a browser, at the size of a desk and of a telephone."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facesr_ext.demo.examples import write_examples
from tests.test_demo.conftest import Server, wait_for

SIZES: dict[str, dict[str, Any]] = {
    'desk': {'viewport': {'width': 1280, 'height': 1000}},
    'telephone': {
        'viewport': {'width': 390, 'height': 844}, 'device_scale_factor': 2, 'is_mobile': True, 'has_touch': True,
    },
}  # fmt: skip
_FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
_PATIENCE = 120_000  # ms


@pytest.fixture(scope='module')
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield started
        started.close()


@pytest.fixture(scope='module')
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six drawn faces, with EXIF."""
    path = write_examples(tmp_path_factory.mktemp('examples'))[0]
    exif = Image.Exif()
    exif[0x010E] = 'six drawn faces'
    with Image.open(path) as picture:
        picture.load()
    picture.save(path, quality=80, exif=exif)
    return path


class Visit:
    """A page that is open, and every address that it has asked for."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.asked: list[str] = []
        self.faults: list[str] = []
        page.set_default_timeout(_PATIENCE)
        page.on('request', lambda request: self.asked.append(request.url))
        page.on('pageerror', lambda error: self.faults.append(str(error)))
        page.goto(url)
        page.wait_for_selector('#source input[type=file]', state='attached')

    def drop(self, path: Path) -> None:
        self.page.set_input_files('#source input[type=file]', path)

    def told(self, text: str) -> None:
        """Waits until this is said below the result."""
        self.page.locator('#told').get_by_text(text).wait_for()

    def on(self, count: int) -> None:
        """Waits until so many faces are on."""
        wait_for(lambda: self.page.locator('#switches input:checked').count() == count)

    def seen(self, pictures: str) -> None:
        """Waits until pictures are loaded."""
        script = 'images => images.length > 0 && images.every(image => image.naturalWidth > 0)'
        wait_for(lambda: self.page.locator(pictures).evaluate_all(script))

    def taken(self, button: str) -> tuple[str, bytes]:
        """The name and the content of a download."""
        with self.page.expect_download() as download:
            self.page.click(button)
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()


@pytest.fixture(scope='module')
def contexts(browser: Any) -> Iterator[dict[str, Any]]:
    """One a size, whose pages share what they have read of the server's scripts and compiled."""
    opened = {name: browser.new_context(accept_downloads=True, **size) for name, size in SIZES.items()}
    yield opened
    for context in opened.values():
        context.close()


@pytest.fixture
def visit(contexts: dict[str, Any], server: Server, request: pytest.FixtureRequest) -> Iterator[Visit]:
    visit = Visit(contexts[getattr(request, 'param', 'desk')].new_page(), server.url)
    yield visit
    visit.page.close()
    assert not visit.faults
    own = server.url + '/'
    assert all(address.startswith((own, 'data:', f'blob:{own}')) for address in visit.asked)


@pytest.mark.parametrize('visit', SIZES, indirect=True)
def test_upload_switch_a_face_off_restore_slide_and_take_it_home(visit: Visit, group: Path) -> None:
    page = visit.page
    visit.drop(group)
    page.wait_for_selector('#marked img')
    switches = page.locator('#switches input[type=checkbox]')
    visit.on(6)
    outlined = page.locator('#marked img').get_attribute('src')
    switches.nth(1).click()
    wait_for(lambda: page.locator('#marked img').get_attribute('src') != outlined)
    page.click('#go')
    visit.told('5 faces restored')
    name, data = visit.taken('#photo')
    with Image.open(group) as before, Image.open(io.BytesIO(data)) as after:
        assert name == group.name and after.format == 'JPEG' and after.getexif()[0x010E] == 'six drawn faces'
        assert after.size == before.size and not np.array_equal(np.asarray(before), np.asarray(after))
    name, data = visit.taken('#json_file')
    record = json.loads(data)
    assert name == f'{group.name}.json' and [face['done'] for face in record['faces']].count(True) == 5
    assert record['faces'][1]['reason'] == 'not asked for'
    _slides(visit)
    if page.viewport_size['width'] < 500:
        assert page.evaluate('document.documentElement.scrollWidth') <= page.viewport_size['width']


def _slides(visit: Visit) -> None:
    """Both pictures are there, and the line between them follows the pointer."""
    page = visit.page
    page.locator('#after').scroll_into_view_if_needed()
    visit.seen('#after img')
    assert page.locator('#after img').count() >= 2
    handle = page.locator('#after [data-testid=slider]')
    start = handle.bounding_box()
    page.mouse.move(start['x'] + start['width'] / 2, start['y'] + start['height'] / 2)
    page.mouse.down()
    page.mouse.move(start['x'] - 60, start['y'] + start['height'] / 2, steps=4)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert handle.bounding_box()['x'] < start['x'] - 30


def test_a_click_on_a_face_switches_it_and_the_format_can_be_changed(visit: Visit, group: Path) -> None:
    page = visit.page
    visit.drop(group)
    picture = page.wait_for_selector('#marked img')
    visit.seen('#marked img')
    box = picture.bounding_box()
    page.mouse.click(box['x'] + box['width'] / 6, box['y'] + box['height'] / 4)  # the first portrait of six
    visit.on(5)
    page.get_by_role('button', name='None', exact=True).click()
    visit.on(0)
    page.click('#go')
    page.get_by_text('Every face is switched off').wait_for()
    page.get_by_role('button', name='All', exact=True).click()
    visit.on(6)
    page.click('#go')
    visit.told('6 faces restored')
    page.locator('#format').get_by_text('PNG').click()
    page.get_by_role('button', name='Photograph (png)').wait_for()
    name, data = visit.taken('#photo')
    assert name == 'drawn_faces.png' and Image.open(io.BytesIO(data)).format == 'PNG'
    page.get_by_role('button', name='Another photograph').click()
    page.wait_for_selector('#marked', state='hidden')


def test_a_text_file_is_named_as_such(visit: Visit, tmp_path: Path) -> None:
    letter = tmp_path / 'letter.jpg'
    letter.write_text('Dear all,\n' * 100)
    visit.drop(letter)
    visit.page.get_by_text('no photograph: JPEG, PNG').wait_for()
    assert 'Traceback' not in visit.page.content()


def test_examples_are_a_click_away_and_gone_with_the_page(visit: Visit, server: Server) -> None:
    visit.page.get_by_text('drawn face', exact=True).click()
    visit.page.wait_for_selector('#marked img')
    visit.on(1)
    assert list(server.visitors.rglob('original'))
    visit.page.close()
    wait_for(lambda: not list(server.visitors.rglob('original')))
