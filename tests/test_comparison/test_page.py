"""The page and the report: whole, self-contained, and not to be taken over by a name."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from facesr_ext.comparison import page
from facesr_ext.comparison.report import Shown, write_all
from facesr_ext.comparison.results import Comparison, Published, ResultFolder
from facesr_ext.data.image_io import decode_image, read_image
from facesr_ext.errors import DatasetError
from tests.test_comparison.examples import HOSTILE, comparison, write_faces

VOID = {'meta', 'img', 'input', 'br', 'link'}


class Reader(HTMLParser):
    """What a browser would see: elements with their attributes, and that every element is closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or '' for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts[self.open[-1] if self.open else ''] = self.texts.get(self.open[-1] if self.open else '', '') + data

    def all(self, tag: str) -> list[dict[str, str]]:
        """Attributes of every element of a name."""
        return [attributes for name, attributes in self.elements if name == tag]


def written(found: Comparison, root: Path, shown: Shown = Shown(num=2, page_images=2)) -> Reader:
    """The page of a comparison, read."""
    folder = ResultFolder(root)
    write_all(found, folder, shown)
    reader = Reader(folder.page.read_text(encoding='utf-8'))
    assert not reader.open
    return reader


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the images of the test set."""
    write_faces(comparison(), ResultFolder(tmp_path))
    return tmp_path


def test_all_files_are_there_and_named(root: Path) -> None:
    files = write_all(comparison(), ResultFolder(root), Shown(num=2, page_images=2))
    names = {path.relative_to(root).as_posix() for path in files}
    assert names >= {'index.html', 'report.md', 'tables.tex', 'table_test.csv', 'images_test.csv', 'table_seen.csv'}
    assert 'pictures/faces_test.png' in names and all(path.is_file() for path in files)
    assert not list(root.rglob('.*'))  # nothing half written is left


def test_the_page_fetches_nothing(root: Path) -> None:
    reader = written(comparison(), root)
    assert all(image['src'].startswith('data:image/') for image in reader.all('img') if 'src' in image)
    assert not reader.all('link') and not any('src' in script for script in reader.all('script'))
    assert [link['href'] for link in reader.all('a') if not link['href'].startswith('#')] == ['https://example.org/p']
    text = (root / 'index.html').read_text(encoding='utf-8')
    assert set(re.findall(r'https?://[^"<\s]+', text)) == {'https://example.org/p'}
    assert 'url(' not in text and '@import' not in text


def test_the_policy_admits_the_page_s_own_script_and_style(root: Path) -> None:
    reader = written(comparison(), root)
    policy = next(meta['content'] for meta in reader.all('meta') if 'http-equiv' in meta)
    assert "default-src 'none'" in policy and 'unsafe-inline' not in policy
    for tag in ('script', 'style'):
        digest = base64.b64encode(hashlib.sha256(reader.texts[tag].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not any('style' in attributes or 'onclick' in attributes for _, attributes in reader.elements)


def test_names_of_strangers_do_no_harm(root: Path) -> None:
    found = comparison(name=HOSTILE)
    found.methods = [replace(method, label=HOSTILE + '" onload="x') for method in found.methods]
    found.sets = [replace(facts, lq=HOSTILE) for facts in found.sets]
    found.published = [Published(HOSTILE, {'psnr_rgb': 1.0}, HOSTILE, 'javascript:alert(1)')]
    found.notes, found.machine = [HOSTILE], {HOSTILE: HOSTILE, 'Command': HOSTILE}
    reader = written(found, root)
    assert len(reader.all('script')) == 1 and not any('onload' in attributes for _, attributes in reader.elements)
    assert all(link['href'].startswith('#') for link in reader.all('a'))
    assert '<script>alert(1)</script>' in reader.texts['h1']
    report = (root / 'report.md').read_text(encoding='utf-8')
    assert '<script' not in report and '\n=cmd()' not in report


def test_tables_can_be_sorted_by_raw_figures(root: Path) -> None:
    reader = written(comparison(), root)
    values = [cell['data-sort'] for cell in reader.all('td') if 'data-sort' in cell]
    assert '24.5' in values and 'nan' not in values
    assert sum('best' in cell.get('class', '') for cell in reader.all('td')) == 4  # PSNR on both sets, RMSE, KID
    heads = [head for head in reader.all('th') if 'data-first' in head]
    assert {head['data-first'] for head in heads} == {'ascending', 'descending'} and len(reader.all('dialog')) == 1


def test_each_shown_face_has_a_slider_and_every_method(root: Path) -> None:
    reader = written(comparison(), root)
    assert len(reader.all('article')) == 2 and len(reader.all('select')) == 4
    assert [slider['type'] for slider in reader.all('input')] == ['range', 'range']
    alts = [image.get('alt', '') for image in reader.all('img')]
    for label in ('LQ', 'Bicubic', 'FSRNet', 'Twin', 'GT'):
        assert alts.count(f'{label}, u') == (3 if label not in ('LQ', 'GT') else 2)  # image, zoom, error
    image = next(i for i in reader.all('img') if i.get('alt') == 'GT, u')
    data = base64.b64decode(image['src'].partition(',')[2])
    gt = read_image(ResultFolder(root).image('test', 'GT', 'u'))
    assert np.array_equal(decode_image(data, 'page'), gt)  # small images are exact


def test_a_comparison_without_images_says_so(tmp_path: Path) -> None:
    reader = written(comparison(), tmp_path)
    assert not reader.all('article') and not reader.all('input')
    assert 'no pictures' in reader.texts['li'] and 'no pictures' in (tmp_path / 'report.md').read_text(encoding='utf-8')


def test_the_page_stays_small(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, 'BUDGET', 200_000)
    reader = written(comparison(), root, Shown(num=1, page_images=6))
    shown = len(reader.all('article'))
    assert 0 < shown < 6 and f'the page shows {shown} of 6 faces' in reader.texts['li']
    assert (root / 'index.html').stat().st_size < 260_000


def test_large_images_are_reduced_and_small_ones_exact() -> None:
    rng = np.random.default_rng(0)
    large = page.embed(rng.integers(0, 256, (1024, 768, 3), np.uint8))
    assert (large.width, large.height) == (384, 512) and large.uri.startswith('data:image/jpeg')
    img = rng.integers(0, 256, (160, 20, 3), np.uint8)
    small = page.embed(img)
    assert np.array_equal(decode_image(base64.b64decode(small.uri.partition(',')[2]), 'x'), img)


def test_a_damaged_image_costs_its_face_alone(root: Path) -> None:
    ResultFolder(root).image('test', 'net', 'z').write_bytes(b'no picture')
    reader = written(comparison(), root, Shown(num=1, page_images=1))
    assert len(reader.all('article')) == 1
    reader = written(comparison(), root, Shown(num=1, page_images=2))
    assert 'z.png' in reader.texts['li'] and (root / 'tables.tex').is_file()


def test_the_page_shows_gap_machine_and_commands(root: Path) -> None:
    reader = written(comparison(machine={'CPU': 'x86', 'Command': 'facesr compare -opt s0.yml'}), root)
    assert 'x86' in reader.texts['dd'] and reader.texts['pre'] == 'facesr compare -opt s0.yml'
    assert 'psnr_rgb, dB ↑ gap' in reader.texts['th'] and 'there is no folder /data/lost' in reader.texts['li']


def test_names_of_files_that_are_no_text_are_shown_as_far_as_they_are(tmp_path: Path) -> None:
    found = comparison()
    found.sets = [replace(facts, images=('\udcff', *facts.images[1:])) for facts in found.sets]
    write_all(found, ResultFolder(tmp_path), Shown())
    assert (tmp_path / 'images_test.csv').read_text(encoding='utf-8').splitlines()[1].startswith('?,bicubic,20.0')


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(DatasetError, match='cannot write into .*file'):
        write_all(comparison(), ResultFolder(tmp_path / 'file'), Shown())


def test_script_style_and_template_are_found() -> None:
    for name in ('page.html.j2', 'page.css', 'page.js'):
        assert resources.files('facesr_ext.comparison').joinpath(name).is_file()


def test_files_are_the_same_each_time(root: Path) -> None:
    write_all(comparison(), ResultFolder(root), Shown(num=1, page_images=1))
    before = {path: path.read_bytes() for path in root.rglob('*') if path.is_file()}
    write_all(comparison(), ResultFolder(root), Shown(num=1, page_images=1))
    assert before == {path: path.read_bytes() for path in root.rglob('*') if path.is_file()}
