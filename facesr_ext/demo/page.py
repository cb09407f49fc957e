"""The page itself: what is on it, and what follows a click. Gradio has to find its settings when this is imported."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from facesr_ext.demo.desk import AS_IT_WAS, FORMATS, Desk
from facesr_ext.demo.store import GONE, Kept
from facesr_ext.errors import FaceSRError
from facesr_ext.inference.shipped import SHIPPED

TITLE = 'Faces of photographs, restored'
_ONE_BY_ONE = 'photographs'
_SESSIONS = 100  # whose switches Gradio remembers, some MB each; it forgets none by itself
CSS = """
.gradio-container {max-width: 1200px !important; margin: 0 auto !important}
#marked img {cursor: pointer; touch-action: manipulation}
#switches [data-testid=checkbox-group] {max-height: 220px; overflow-y: auto}
#after {min-height: 180px}
footer {display: none !important}
"""


@contextmanager
def _told() -> Iterator[None]:
    """Shows what the visitor can mend as it is."""
    try:
        yield
    except FaceSRError as err:
        raise gr.Error(html.escape(str(err)), duration=None, title='Sorry', print_exception=False) from err
    except OSError as err:
        text = GONE if isinstance(err, FileNotFoundError) else f'The server cannot keep it: {err.strerror or err}.'
        raise gr.Error(html.escape(text), duration=None, title='Sorry', print_exception=False) from err
    except MemoryError as err:
        text = 'There is too little memory for this photograph; take a smaller one.'
        raise gr.Error(text, duration=None, title='Sorry', print_exception=False) from err


def build_page(desk: Desk, examples: Sequence[Path]) -> gr.Blocks:
    """Builds the page.

    Args:
        desk (Desk): Does the work.
        examples (Sequence[Path]): Photographs to try.
    """
    gr.set_static_paths([examples[0].parent])
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        limits = desk.limits
        gr.Markdown(
            f'# {TITLE}\nEverything stays on the machine that runs this page. A photograph is deleted when you close '
            f'the page, and after {limits.minutes} minutes without use. Up to {limits.megabytes} MB and '
            f'{limits.megapixels:g} million pixels.'
        )
        with gr.Row():
            with gr.Column(min_width=320):
                parts = _source_parts(examples)
            with gr.Column(min_width=320):
                parts.update(_result_parts(list(desk.restorers)))
        _wire(page, parts, _Acts(desk, examples))
    page.queue(max_size=limits.waiting, default_concurrency_limit=1, api_open=False)
    page.state_session_capacity = max(_SESSIONS, 4 * limits.waiting)
    return page


def _source_parts(examples: Sequence[Path]) -> dict[str, Any]:
    """What a photograph comes in by, and its faces."""
    parts: dict[str, Any] = {}
    with gr.Group() as parts['incoming']:
        parts['source'] = gr.Image(
            type='filepath', image_mode=None, label='Photograph', sources=['upload', 'webcam', 'clipboard'], height=320,
            buttons=[], placeholder='Drop a photograph here, or click to choose one', elem_id='source',
        )  # fmt: skip
    with gr.Column(visible=False) as parts['faces']:
        parts['marked'] = gr.Image(
            show_label=False, interactive=False, buttons=['fullscreen'], elem_id='marked',
            alt_text='The photograph with its faces outlined',
        )  # fmt: skip
        parts['note'] = gr.Markdown(elem_id='note')
        parts['switches'] = gr.CheckboxGroup(label='Faces to restore', elem_id='switches')
        with gr.Row():
            parts['all'] = gr.Button('All', size='sm', min_width=80)
            parts['none'] = gr.Button('None', size='sm', min_width=80)
            parts['again'] = gr.Button('Another photograph', size='sm', min_width=160)
    parts['examples'] = gr.Dataset(
        label='Examples', components=[gr.Image(render=False, type='filepath', label='')], type='index',
        samples=[[str(path)] for path in examples], sample_labels=[path.stem.replace('_', ' ') for path in examples],
        elem_id='examples',
    )  # fmt: skip
    return parts


def _result_parts(models: Sequence[str]) -> dict[str, Any]:
    """What is asked for, and what comes back."""
    parts: dict[str, Any] = {}
    choices = [(f'{name} ({SHIPPED[name].summary})' if name in SHIPPED else name, name) for name in models]
    parts['model'] = gr.Radio(choices, value=models[0], label='Model', elem_id='model')
    parts['strength'] = gr.Slider(0, 1, 1, step=0.05, label='Strength', elem_id='strength')
    parts['go'] = gr.Button('Restore', variant='primary', interactive=False, elem_id='go')
    parts['slider'] = gr.ImageSlider(
        show_label=False, interactive=False, elem_id='after',
        buttons=['fullscreen'], max_height=640,
    )  # fmt: skip
    with gr.Column(visible=False) as parts['taking']:
        parts['told'] = gr.Markdown(elem_id='told')
        parts['format'] = gr.Radio(list(FORMATS), value=AS_IT_WAS, label='Format', elem_id='format')
        with gr.Row():
            parts['photo'] = gr.DownloadButton('Photograph', variant='primary', elem_id='photo', min_width=140)
            parts['json_file'] = gr.DownloadButton('JSON', elem_id='json_file', min_width=140)
        with gr.Accordion('What became of each face (JSON)', open=False):
            parts['json'] = gr.JSON(show_label=False, elem_id='json')
    return parts


def _wire(page: gr.Blocks, parts: dict[str, Any], acts: _Acts) -> None:
    """What follows a click."""
    quiet: dict[str, Any] = {'api_visibility': 'private', 'show_progress': 'hidden'}
    busy: dict[str, Any] = {'api_visibility': 'private', 'concurrency_id': _ONE_BY_ONE, 'concurrency_limit': 1}
    looked = [parts[name] for name in ('incoming', 'examples', 'faces', 'marked', 'note', 'switches', 'go', 'slider',
                                       'taking')]  # fmt: skip
    faces = [parts['marked'], parts['switches']]
    made = [parts[name] for name in ('photo', 'json_file', 'json', 'told')]
    source, switches = parts['source'], parts['switches']
    source.change(acts.look, source, looked, preprocess=False, show_progress_on=source, **busy)
    parts['examples'].click(acts.example, parts['examples'], looked, preprocess=False, show_progress_on=source, **busy)
    switches.input(acts.redraw, switches, parts['marked'], trigger_mode='always_last', **quiet)
    parts['marked'].select(acts.click, switches, faces, **quiet)
    parts['all'].click(acts.all_on, None, faces, **quiet)
    parts['none'].click(acts.all_off, None, faces, **quiet)
    parts['again'].click(acts.leave, None, [source, *looked], **quiet)
    parts['go'].click(
        acts.restore, [parts['model'], switches, parts['strength'], parts['format']],
        [parts['slider'], parts['taking'], *made], show_progress_on=parts['slider'], **busy,
    )  # fmt: skip
    parts['format'].input(
        acts.write, parts['format'], made, show_progress_on=parts['told'], trigger_mode='always_last', **busy
    )
    page.unload(acts.unload)


class _Acts:
    """What the page does; each is called by Gradio with values of the page and the request."""

    def __init__(self, desk: Desk, examples: Sequence[Path]) -> None:
        self.desk, self.examples = desk, examples

    def _kept(self, request: gr.Request) -> Kept:
        return self.desk.store.get(_session(request))

    def look(self, upload: dict[str, Any] | None, request: gr.Request) -> Any:
        """A photograph has come. It is taken as Gradio has stored it, for Gradio would decode it to say what it is."""
        if upload is None:
            return [gr.skip()] * 9
        path = Path(str(upload.get('path')))
        return self._looked(path, path, request)

    def example(self, index: int, request: gr.Request) -> Any:
        """An example has been chosen."""
        return self._looked(self.examples[int(index)], None, request)

    def _looked(self, path: Path, upload: Path | None, request: gr.Request) -> Any:
        """The faces of a photograph are shown, all of them on."""
        with _told():
            try:
                data = path.read_bytes()
            except OSError as err:
                raise FaceSRError('The upload is gone; drop it again.') from err
            kept = self.desk.look(_session(request), path.name, data, upload)
            on = _switchable(kept)
            marked = self.desk.outline(kept, on)
        choices = [(f'{face.number}: {face.size:.0f} px', face.number) for face in kept.found if face.number in on]
        return [
            gr.update(visible=False), gr.update(visible=False), gr.update(visible=True), str(marked), _note(kept),
            gr.update(choices=choices, value=on, visible=bool(on)), gr.update(interactive=bool(on)), None,
            gr.update(visible=False),
        ]  # fmt: skip

    def redraw(self, on: list[int], request: gr.Request) -> str:
        """Faces have been switched."""
        with _told():
            return str(self.desk.outline(self._kept(request), on))

    def click(self, on: list[int], request: gr.Request, event: gr.SelectData) -> Any:
        """Somebody has clicked into the photograph."""
        with _told():
            kept = self._kept(request)
            number = self.desk.face_at(kept, *event.index)
            if number is None:
                return [gr.skip(), gr.skip()]
            now = sorted({*on} ^ {number})
            return [str(self.desk.outline(kept, now)), now]

    def all_on(self, request: gr.Request) -> Any:
        """All are on."""
        with _told():
            kept = self._kept(request)
            return [str(self.desk.outline(kept, _switchable(kept))), _switchable(kept)]

    def all_off(self, request: gr.Request) -> Any:
        """All are off."""
        with _told():
            return [str(self.desk.outline(self._kept(request), [])), []]

    def leave(self, request: gr.Request) -> Any:
        """The photograph is deleted, and the page is as it was at first."""
        self.desk.store.drop(_session(request))
        return [
            None, gr.update(visible=True), gr.update(visible=True), gr.update(visible=False), None, '',
            gr.update(choices=[], value=[]), gr.update(interactive=False), None, gr.update(visible=False),
        ]  # fmt: skip

    def restore(
        self,
        model: str,
        on: list[int],
        strength: float,
        kind: str,
        request: gr.Request,
        progress: Callable[..., Any] = gr.Progress(),
    ) -> Any:
        """Faces are restored, and the result is written."""

        def tell(done: int, of: int) -> None:
            progress(done / max(of, 1), desc=f'{len(on)} faces')

        with _told():
            pair = self.desk.restore(self._kept(request), model, on, strength, tell)
        return [tuple(map(str, pair)), gr.update(visible=True), *self.write(kind, request)]

    def write(self, kind: str, request: gr.Request) -> Any:
        """The result is written to be taken home."""
        with _told():
            made = self.desk.write(self._kept(request), kind)
        size = made.photo.stat().st_size / 1e6
        lines = [f'{sum(face["done"] for face in made.record["faces"])} faces restored, {size:.1f} MB']
        lines += [f'face {face["number"]} {face["warning"]}' for face in made.record['faces'] if face['warning']]
        lines += made.record['notes']
        lines[-1] += '. Drag the line between before and after; zoom by the wheel, or two fingers'
        return [
            gr.update(value=str(made.photo), label=f'Photograph ({made.photo.suffix[1:]})'), str(made.json),
            made.record, f'{"; ".join(lines)}.',
        ]  # fmt: skip

    def unload(self, request: gr.Request) -> None:
        """The visitor has gone."""
        self.desk.store.drop(_session(request))


def _session(request: gr.Request) -> str:
    if not request.session_hash:
        raise gr.Error('The page has lost its session; load it again.', print_exception=False)
    return str(request.session_hash)


def _switchable(kept: Kept) -> list[int]:
    return [face.number for face in kept.found if face.reason is None]


def _note(kept: Kept) -> str:
    """What there is to say of the faces that were found."""
    if not kept.found:
        return 'No face was found. Faces that are turned by 90 degrees or more, or very small, are not.'
    left = [f'face {face.number}: {face.reason}' for face in kept.found if face.reason is not None]
    many = 'One face was found' if len(kept.found) == 1 else f'{len(kept.found)} faces were found'
    return '; '.join([f'{many}. Click into the picture to switch one off or on', *left])
