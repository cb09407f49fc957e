"""A report of a training, from its folder alone: Markdown with curves and images."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import list_images, read_image, write_image
from facesr_ext.degradations.presets import PRESETS
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.host.parts import registry_names
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.inference.restorer import Restorer
from facesr_ext.metrics.metric_info import higher_is_better
from facesr_ext.reports.curves import Curve, Panel, draw_curves
from facesr_ext.runs.atomic import require_free
from facesr_ext.runs.folder import RunFolder
from facesr_ext.runs.run_log import RunLog, logged_value, read_run

SHOWN = 8
REPORT = 'report.md'
_CELL, _WIDTH = 256, 1200
_BASELINE, _LOSS = '_bicubic', 'l_'
_GROUPS = (
    ('losses', 'l_', True),
    ('gradient norm', 'grad_norm', True),
)
"""Panels of the training: title, how the names of its figures begin, and whether the axis is to be logarithmic."""
_ELSEWHERE = ('network_', 'degradation', 'path', 'logger', 'dist_params')  # in other tables, or of no interest
_ADDED = ('dist', 'rank', 'world_size', 'auto_resume', 'is_train', 'root_path', 'phase', 'section')  # by the runner


def write_report(
    run: Path, output: Path, lq: Path | None = None, beside: Sequence[Path] = (), force: bool = False
) -> Path:
    """Writes ``report.md`` and its images.

    Args:
        run (Path): Folder of the training, ``experiments/<name>``.
        output (Path): Folder, made where it is missing; an earlier report of the same run is replaced.
        lq (Path | None): LQ images to restore by the run's latest checkpoint; the first eight are shown.
        beside (Sequence[Path]): Other runs or checkpoints whose results of the same images are shown beside.
        force (bool): Replace other files, too.

    Returns:
        Path: The report.

    Raises:
        DatasetError: if the folder is not that of a training, or a file cannot be read or written.
        CheckpointError: if LQ is given but there is no checkpoint.
        OptionError: for ``beside`` without LQ or of another scale, or a file that would be replaced.
    """
    if beside and lq is None:
        raise OptionError('--beside shows what other networks make of the images of --lq; name their folder')
    log, path = read_run(run), output / REPORT
    _require_free(log, output, lq, force)
    sections = [
        f'# {log.name}',
        *_result(log),
        *_model(log),
        *_table('Losses', ('loss', 'settings'), _losses(log)),
        *_table('Hyper-parameters', ('option', 'value'), _hyper_parameters(log)),
        *_curves(log, output),
        *_training_pairs(output, run),
        *_validations(log, output, run),
        *(_predictions((run, *beside), lq, output) if lq is not None else []),
        *_table('Machine', ('what', 'value'), [*log.machine.items(), *_speed(log)]),
    ]
    try:
        output.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(sections) + '\n', encoding='utf-8')
    except OSError as err:
        raise DatasetError(f'cannot write {path}: {err.strerror or err}') from err
    return path


def _require_free(log: RunLog, output: Path, lq: Path | None, force: bool) -> None:
    """Refuses to replace what is no report of this run."""
    path = output / REPORT
    own = path.is_file() and path.read_text(encoding='utf-8', errors='replace').startswith(f'# {log.name}\n')
    charts = [f'{kind}_{name}.png' for name in log.validations for kind in ('validation', 'sheet')]
    names = (REPORT, 'training.png', 'predictions.png', *charts)
    require_free([output / name for name in names], [lq] if lq else (), force or own)


# ---- sections -----------------------------------------------------------------------------------------------------


def _result(log: RunLog) -> list[str]:
    """The last and the best validation in a sentence for each set."""
    lines = [_validated(log, name, means) for name, means in log.validations.items() if _main_metric(means)]
    return ['', *lines] if lines else ['', 'No validation has been written yet.']


def _validated(log: RunLog, name: str, means: Mapping[int, Mapping[str, float]]) -> str:
    metric, last = _main_metric(means), max(means)
    where = f'Validation on `{name}`: {metric}'
    known = {iteration: figures[metric] for iteration, figures in means.items() if not math.isnan(figures[metric])}
    if not known:
        return f'{where} was never measured, its values are missing in every table; the log says why.'
    lower = higher_is_better(log.options.get(f'val:metrics:{metric}:type', metric)) is False
    best = (min if lower else max)(known, key=lambda iteration: known[iteration])
    figure = f'{known[last]:.2f} at iteration {last}' if last in known else f'is missing at iteration {last}'
    base = means[last].get(metric + _BASELINE)
    if base is None:
        gain = ''
    elif math.isnan(base):
        gain = ", bicubic's is missing"
    else:
        gain = f', bicubic {base:.2f}'
        if last in known and math.isfinite(known[last] - base):
            gain = f', {known[last] - base:+.2f} against bicubic ({base:.2f})'
    return f'{where} {figure}{gain}; best {known[best]:.2f} at {best}.'


def _main_metric(means: Mapping[int, Mapping[str, float]]) -> str:
    """PSNR in RGB, or whatever metric comes first; '' for tables without figures."""
    names = [key for key in next(iter(means.values())) if not key.endswith(_BASELINE)]
    return next((name for name in ('psnr_rgb', 'psnr') if name in names), names[0] if names else '')


def _model(log: RunLog) -> list[str]:
    rows = [(name, f'{num:,d} parameters') for name, num in log.networks.items()]
    limit = log.options.get('challenge:max_params')
    if limit and limit != 'None' and rows:
        left = int(limit) - next(iter(log.networks.values()))
        rows.append(('limit of the challenge', f'{int(limit):,d} parameters, {left:,d} left'))
    sections = [key.partition(':')[0] for key in log.options if key.startswith('network_')]
    for section in dict.fromkeys(sections):
        rows.append((section, _settings(log, section)))
    if 'scale' in log.options:
        rows.append(('scale', log.options['scale']))
    if any(key.startswith('degradation:') for key in log.options):
        rows.append(('degradation', _degradation(log)))
    return _table('Model', ('what', 'value'), rows)


def _degradation(log: RunLog) -> str:
    """Its settings, with what a preset stands for and what its class has where nothing else is said."""
    given = {key.removeprefix('degradation:'): v for key, v in log.options.items() if key.startswith('degradation:')}
    return degradation_text(given)


def degradation_text(section: Mapping[str, Any]) -> str:
    """A section in words, with what its preset and its class have, and in it those of the parts of a mixture."""
    parts = section.get('parts')
    parts = logged_value(parts) if isinstance(parts, str) else parts
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return _told(_expanded(section))
    return _told({**section, 'parts': '; '.join(degradation_text(part) for part in parts)})


def _expanded(given: Mapping[str, Any]) -> dict[str, Any]:
    """A section with the values of its preset and of the class."""
    preset = PRESETS.get(str(given.get('preset')), {})
    kind = str(given.get('type', preset.get('type')))
    known = kind in registry_names(DEGRADATION_REGISTRY)
    parameters = inspect.signature(DEGRADATION_REGISTRY.get(kind)).parameters.values() if known else ()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty and p.default is not None}
    first = {key: given[key] for key in ('preset',) if key in given}
    return {**first, **({'type': kind} if known else {}), **defaults, **preset, **given}


def _told(settings: Mapping[str, Any]) -> str:
    return ', '.join(f'{key}: {value}' for key, value in settings.items())


def _losses(log: RunLog) -> list[tuple[str, str]]:
    names = [key.split(':')[1] for key in log.options if key.startswith('train:') and key.endswith('_opt:type')]
    return [(name, _settings(log, f'train:{name}')) for name in names]


def _settings(log: RunLog, section: str) -> str:
    found = {key.removeprefix(f'{section}:'): v for key, v in log.options.items() if key.startswith(f'{section}:')}
    return _told(found)


def _hyper_parameters(log: RunLog) -> list[tuple[str, str]]:
    """Every option beside networks, losses and what the runner adds."""
    rows = []
    for key, value in log.options.items():
        parts = key.split(':')
        elsewhere = parts[0].startswith(_ELSEWHERE) or any(part.endswith('_opt') for part in parts)
        added = parts[-1] in _ADDED or (parts[0], parts[-1]) == ('datasets', 'scale')
        if not elsewhere and not added and parts[:2] != ['val', 'metrics'] and value != 'None':
            rows.append((key, value))
    return [('training images', f'{log.images:,d}')] * (log.images is not None) + rows


def _curves(log: RunLog, output: Path) -> list[str]:
    """Losses and learning rate over the iterations."""
    if not log.steps:
        return ['', '## Training', '', 'The log holds no iteration yet.']
    panels = []
    names = dict.fromkeys(name for step in log.steps for name in step.figures)
    for title, prefix, log_axis in _GROUPS:
        curves = [_series(log, name) for name in names if name.startswith(prefix)]
        if curves:
            positive = all(value > 0 for curve in curves for value in curve.y)
            panels.append(Panel(title, curves, log_axis and positive))
    panels[1:1] = _psnr_panel(log)
    rates = Curve('lr', [step.iteration for step in log.steps], [step.lr for step in log.steps])
    panels.append(Panel('learning rate', [rates]))
    write_image(output / 'training.png', draw_curves(panels))
    return ['', '## Training', '', '![Training curves](training.png)']


def _psnr_panel(log: RunLog) -> list[Panel]:
    """PSNR of the training batches and of the validations, and by the axis on the right the validations' losses."""
    left = [series for series in [_series(log, 'psnr')._replace(name='training')] if series.x]
    right: list[Curve] = []
    for name, means in log.validations.items():
        metric = _main_metric(means)
        if metric.startswith('psnr'):
            left += [c._replace(name=f'{name}, {c.name}') for c in _validation_curves(means, metric)]
        losses = [key for key in next(iter(means.values())) if key.startswith(_LOSS)]
        curves = [c._replace(name=f'{name}, {key}') for key in losses for c in _validation_curves(means, key)]
        right += [c._replace(dashed=True) for c in curves]
    return [Panel('PSNR, dB, and on the right the validation loss', left, right=right)] if left else []


def _series(log: RunLog, name: str) -> Curve:
    found = [(step.iteration, step.figures[name]) for step in log.steps if name in step.figures]
    return Curve(name, [x for x, _ in found], [y for _, y in found])


def _validations(log: RunLog, output: Path, run: Path) -> list[str]:
    """Curves and table of each metric, and the last contact sheet of each set."""
    lines: list[str] = []
    for name, means in log.validations.items():
        keys = next(iter(means.values()))
        metrics = [key for key in keys if not key.endswith(_BASELINE) and not key.startswith(_LOSS)]
        if not metrics:
            continue
        panels = [Panel(metric, _validation_curves(means, metric)) for metric in metrics]
        write_image(output / f'validation_{name}.png', draw_curves(panels))
        rows = [(str(i), *(_figure(means[i][m]) for m in metrics)) for i in means]
        last = means[max(means)]
        if all(m + _BASELINE in last for m in metrics):
            rows.append(('bicubic', *(_figure(last[m + _BASELINE]) for m in metrics)))
        lines += _table(f'Validation: {name}', ('iteration', *metrics), rows)
        lines += ['', f'![Validation curves](validation_{name}.png)']
        sheet = RunFolder(run).sheet(name, max(means))
        if sheet.is_file():
            write_image(output / f'sheet_{name}.png', _reduced(read_image(sheet)))
            lines += ['', f'![LQ, bicubic, result, ground truth](sheet_{name}.png)']
    return lines


def _figure(value: float) -> str:
    return 'missing' if math.isnan(value) else f'{value:.4f}'


def _training_pairs(output: Path, run: Path) -> list[str]:
    """The first batch, as far as the run has shown it: ten rows, where it has so many."""
    sheet = RunFolder(run).first_batch
    if not sheet.is_file():
        return []
    write_image(output / 'training_pairs.png', _reduced(read_image(sheet)))
    return ['', '## Training pairs', '', '![LQ and ground truth of the first batch](training_pairs.png)']


def _validation_curves(means: dict[int, dict[str, float]], metric: str) -> list[Curve]:
    """The result's, and bicubic's beside it."""
    return [
        Curve(name, list(means), [figures[key] for figures in means.values()], dashed)
        for name, key, dashed in (('result', metric, False), ('bicubic', metric + _BASELINE, True))
        if all(key in figures for figures in means.values())
    ]


def _predictions(sources: Sequence[Path], lq: Path, output: Path) -> list[str]:
    """LQ, bicubic and the results of each run or checkpoint for given images."""
    names = list_images(lq, ('--lq',))[:SHOWN]
    images = [read_image(lq / name) for name in names]
    results = []
    for source in sources:
        restorer = Restorer(source)
        results.append(restorer.restore(images))
        if results[-1][0].shape != results[0][0].shape:
            raise OptionError(f'--beside {source}: its scale is {restorer.scale}, not that of {sources[0]}')
    rows = []
    for image, *made in zip(images, *results, strict=True):
        enlarged = cv2.resize(image, made[0].shape[1::-1], interpolation=cv2.INTER_CUBIC)
        rows.append([image, enlarged, *made])
    titles = ('LQ', 'bicubic', *(['result'] if len(sources) == 1 else (source.stem for source in sources)))
    write_image(output / 'predictions.png', contact_sheet(rows, titles, _cell(rows), names))
    return ['', '## Predicted images', '', '![Predicted images](predictions.png)']


def _cell(rows: Sequence[Sequence[np.ndarray]]) -> int:
    """Small results are shown pixel by pixel, large ones reduced."""
    return min(_CELL * 3 // 2, max(_CELL, max(row[-1].shape[0] for row in rows)))


def _reduced(sheet: np.ndarray) -> np.ndarray:
    """A contact sheet no wider than a page shows."""
    height, width = sheet.shape[:2]
    if width <= _WIDTH:
        return sheet
    return cv2.resize(sheet, (_WIDTH, round(height * _WIDTH / width)), interpolation=cv2.INTER_AREA)


def _speed(log: RunLog) -> list[tuple[str, str]]:
    if not log.steps:
        return []
    return [('seconds an iteration', f'{log.steps[-1].seconds:.3f}')]


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A headline and a table; nothing where there are no rows."""
    lines = ['| ' + ' | '.join(text.replace('|', r'\|') for text in row) + ' |' for row in rows]
    if not lines:
        return []
    return ['', f'## {title}', '', f'| {" | ".join(head)} |', '|' + '---|' * len(head), *lines]
