"""Reading option files as data, with the line of every key: nothing in a file or in ``--force_yml`` is executed.

PyYAML's safe constructors do the reading. A text such as ``1e-3`` stays text in a file, as BasicSR reads it (the option
check names it), but is a number in ``--force_yml``, where nobody can have meant anything else.
"""

from __future__ import annotations

import contextlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from facesr_ext.errors import FaceSRError, Finding, KeyPath, OptionError
from facesr_ext.host.choices import NONE, takes_none

FORCED = '--force_yml'
_MOST_BYTES = 1 << 20
_DEEPEST = 100  # brackets in brackets, for which PyYAML takes the square of their number
_MOST_VALUES = 200_000
"""Of an option file and of what its aliases make of it: aliases of aliases would fill any memory."""
_NUMBER = re.compile(r'[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?')

_COMPLETIONS: list[Callable[[dict[str, Any]], None]] = []


def complete_by(function: Callable[[dict[str, Any]], None]) -> None:
    """Registers a function that fills in options which a file leaves out, in place, whenever a file is read."""
    if function not in _COMPLETIONS:
        _COMPLETIONS.append(function)


class OptionFile:
    """An option file with ``--force_yml`` applied.

    Attributes:
        name (str): The path as the user gave it.
        options (OrderedDict): What it says; empty where it cannot be read at all.
        problems (list[Finding]): What is wrong with it as YAML, and with the overrides.
        unsafe (list[Finding]): Those of them that would have run code.
        readable (bool): Whether there are options.
    """

    def __init__(self, name: str, text: str, overrides: Iterable[str] = ()) -> None:
        self.name = name
        self.options: OrderedDict[str, Any] = OrderedDict()
        self.problems: list[Finding] = []
        self.unsafe: list[Finding] = []
        self.readable = False
        self._lines: dict[KeyPath, int] = {}
        self._forced: set[KeyPath] = set()
        self._none: set[KeyPath] = set()
        self._seen: set[int] = set()
        self._parse(text)
        for entry in overrides if self.readable else ():
            self._override(entry)
        for path in self._none:
            self._restore_none(path)
        if self.readable and not self.problems:
            self._complete()

    @classmethod
    def read(cls, path: str, overrides: Iterable[str] = ()) -> OptionFile:
        """Reads a file; one that cannot be read is a problem like any other."""
        try:
            with Path(path).open(encoding='utf-8') as stream:
                text = stream.read(_MOST_BYTES)
                whole = not stream.read(1)
        except FileNotFoundError:
            error = f'there is no such file (looked for from {Path.cwd()}); correct -opt'
            if Path(path).parts[:1] == ('options',):
                error += ', or have facesr init . write the shipped option files here'
        except (OSError, ValueError) as err:  # ValueError: another encoding, or NUL in the path
            error = f'cannot be read ({err}); give a YAML file in UTF-8'
        else:
            if whole:
                return cls(path, text, overrides)
            error = f'is longer than {_MOST_BYTES:,} characters, which no option file is; name another one'
        file = cls(path, '')
        file.problems = [Finding('error', error, where=path)]
        return file

    def _complete(self) -> None:
        """Lets others fill in what the file leaves out; what they refuse is a problem like any other."""
        for complete in _COMPLETIONS:
            try:
                complete(self.options)
            except FaceSRError as err:
                self.problems.append(Finding('error', err.message, err.key, self.where(err.key), self.line(err.key)))

    def line(self, path: KeyPath) -> int:
        """The line of a key, or of the nearest section around it; overrides come after the file."""
        while path and path not in self._lines and path not in self._forced:
            path = path[:-1]
        return 10**9 if path in self._forced else self._lines.get(path, 1)

    def where(self, path: KeyPath) -> str:
        """'file.yml:LINE', or '--force_yml'."""
        line = self.line(path)
        return FORCED if line == 10**9 else f'{self.name}:{line}'

    def get(self, path: KeyPath) -> Any:
        """The value at a path, None where there is none."""
        value: Any = self.options
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def is_fatal(self, problem: Finding) -> bool:
        """Whether nobody can use the file, be its parts ours or not."""
        return not self.readable or problem in self.unsafe or problem.where == FORCED

    # ---- the file -----------------------------------------------------------------------------------------------

    def _parse(self, text: str) -> None:
        try:
            loader = _SafeLoader(text)
            node = loader.get_single_node()
            if node is not None:
                node = self._walk(loader, node, ())
                _require_small(node)
                options = loader.construct_document(node)
            else:
                options = None
            loader.dispose()
        except yaml.YAMLError as err:
            mark = getattr(err, 'problem_mark', None)
            problem = getattr(err, 'problem', None) or str(err).split('\n')[0]
            remedy = 'look at indentation, quotes and colons here and in the line above'
            message = str(problem) if isinstance(err, _Refused) else f'this is no YAML: {problem}; {remedy}'
            self._problem(mark.line + 1 if mark else 1, (), message)
            return
        except RecursionError:
            self._problem(1, (), 'sections lie in sections too deep to be read; write it flatter')
            return
        if isinstance(options, dict):
            self.options, self.readable = OrderedDict(options), True
        else:
            self._problem(1, (), 'holds no sections; an option file is a mapping that begins with "name: ..."')

    def _walk(self, loader: yaml.SafeLoader, node: yaml.Node, path: KeyPath) -> yaml.Node:
        """Takes down lines, repeated keys and tags; what may not be constructed becomes null."""
        if id(node) in self._seen:
            return node  # an alias
        self._seen.add(id(node))
        if node.tag not in loader.yaml_constructors:
            self._refuse_tag(node, path)
            return yaml.ScalarNode('tag:yaml.org,2002:null', 'null', node.start_mark, node.end_mark)
        if isinstance(node, yaml.SequenceNode):
            node.value = [self._walk(loader, child, (*path, str(i))) for i, child in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            node.value = [self._walk_pair(loader, key, value, path) for key, value in node.value]
        return node

    def _walk_pair(
        self, loader: yaml.SafeLoader, key: yaml.Node, value: yaml.Node, path: KeyPath
    ) -> tuple[yaml.Node, yaml.Node]:
        line, name = key.start_mark.line + 1, str(key.value)
        inner = (*path, name)
        if key.tag == 'tag:yaml.org,2002:merge':
            return key, self._walk(loader, value, path)
        if key.tag != 'tag:yaml.org,2002:str':
            self._problem(line, inner, f'the key {name} is no text to YAML; put it into quotes')
            key = yaml.ScalarNode('tag:yaml.org,2002:str', name, key.start_mark, key.end_mark)
        elif inner in self._lines:
            self._problem(line, inner, f'stands in line {self._lines[inner]} too, and only this one counts; remove one')
        self._lines[inner] = line
        return key, self._walk(loader, value, inner)

    def _refuse_tag(self, node: yaml.Node, path: KeyPath) -> None:
        tag = node.tag.replace('tag:yaml.org,2002:', '!!')
        if tag.startswith('!!python/'):
            reason = 'could run code, so it is refused and has not been executed; write plain values and lists'
        else:
            reason = 'is unknown; write the plain value (numbers may have !!float)'
        problem = self._problem(node.start_mark.line + 1, path, f'the tag {tag} {reason}')
        if tag.startswith('!!python/'):
            self.unsafe.append(problem)

    def _problem(self, line: int, path: KeyPath, message: str) -> Finding:
        where = FORCED if line == 10**9 else f'{self.name}:{line}'
        self.problems.append(Finding('error', message, path, where, line))
        return self.problems[-1]

    # ---- --force_yml --------------------------------------------------------------------------------------------

    def _override(self, entry: str) -> None:
        """Applies ``section:key=value``; the section must be there, the key need not."""
        keys, equals, text = entry.partition('=')
        path = tuple(key.strip() for key in keys.split(':'))
        if not equals or not all(path):
            self._problem(10**9, (), f'{entry!r} is no override; write section:key=value, without spaces')
            return
        section = self.get(path[:-1])
        if not isinstance(section, dict):
            name = ':'.join(path[:-1])
            self._problem(10**9, path, f'the file has no section {name} that could take it; add that to the file')
            return
        try:
            section[path[-1]] = override_value(text.strip())
        except (yaml.YAMLError, ValueError, RecursionError) as err:  # ValueError: a number of thousands of digits
            reason = getattr(err, 'problem', None) or str(err).split('\n')[0]
            problem = self._problem(10**9, path, f'{text.strip()[:200]!r} is no value: {reason}; it was not executed')
            self.unsafe.extend([problem] * ('python/' in text))
        self._forced.add(path)
        self._none -= {place for place in self._none if place[: len(path)] == path}
        if re.search(rf'\b{NONE}\b', text):
            self._none |= {(*path, *inner) for inner in _none_places(text.strip())}

    def _restore_none(self, path: KeyPath) -> None:
        """Gives an override of ``none`` back to an option that takes this text."""
        section = self.get(path[:-1])
        if isinstance(section, dict) and path[-1] in section and takes_none(self.options, path):
            section[path[-1]] = NONE


class _Refused(yaml.error.MarkedYAMLError):
    """YAML, but not what an option file may be."""


class _SafeLoader(yaml.SafeLoader):
    """PyYAML's SafeLoader with ordered mappings, as BasicSR has them; a value that its tag does not fit is named."""

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        if self.flow_level == _DEEPEST:
            problem = f'brackets lie {_DEEPEST} deep; write it flatter'
            raise _Refused(problem=problem, problem_mark=self.get_mark())
        super().fetch_flow_collection_start(TokenClass)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as err:
            kind = node.tag.rpartition(':')[2]
            text = node.value if isinstance(node.value, str) else '...'
            problem = f'{text[:60]!r} cannot be read as {kind}; put texts into quotes'
            raise _Refused(problem=problem, problem_mark=node.start_mark) from err

    def ordered_map(self, node: yaml.MappingNode) -> OrderedDict[str, Any]:
        self.flatten_mapping(node)
        return OrderedDict(self.construct_pairs(node, deep=True))


_SafeLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _SafeLoader.ordered_map)


def _require_small(root: yaml.Node) -> None:
    """Refuses a document in which an anchor contains itself, or whose aliases stand for too many values."""
    sizes: dict[int, int | None] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node), 0)
        if known is None:
            problem = 'an anchor contains itself (&name ... *name); write the section out'
            raise _Refused(problem=problem, problem_mark=node.start_mark)
        if known or not isinstance(node, yaml.CollectionNode):
            return known or 1
        sizes[id(node)] = None
        inner = node.value if isinstance(node, yaml.SequenceNode) else [each for pair in node.value for each in pair]
        total = 1 + sum(map(size, inner))
        if total > _MOST_VALUES:
            problem = f'aliases (*name) stand for more than {_MOST_VALUES:,} values; write out what is meant'
            raise _Refused(problem=problem, problem_mark=node.start_mark)
        sizes[id(node)] = total
        return total

    size(root)


class OptionLoader:
    """What ``yaml.load(stream, Loader=OptionLoader)`` needs of a loader: option files as data, or an OptionError.

    Args:
        stream (IO | str): The open file, or text.
    """

    overrides: Sequence[str] = ()

    def __init__(self, stream: Any) -> None:
        text = stream if isinstance(stream, str) else stream.read()
        self.file = OptionFile(str(getattr(stream, 'name', 'option file')), text, self.overrides)

    def get_single_data(self) -> OrderedDict[str, Any]:
        """The options.

        Raises:
            OptionError: naming everything that is wrong with the file as YAML.
        """
        file = self.file
        fatal = [problem for problem in file.problems if file.is_fatal(problem)]
        if fatal:
            raise OptionError('\n'.join(map(str, fatal)))
        return file.options

    def dispose(self) -> None:
        """Part of the interface."""


def override_value(text: str) -> Any:
    """The value of a ``--force_yml`` entry: a YAML value, where ``1e-4`` and ``None`` too are what they look like.

    ``none`` is null here; for an option that takes this text `OptionFile` gives it back.

    Raises:
        yaml.YAMLError: for a list, mapping or tagged value that is not well formed or would need code.
    """
    plain = _plain_value(text)
    if not isinstance(plain, str):
        return plain
    if re.match(r'!!float\S', text):  # BasicSR needs no space there
        return float(text.removeprefix('!!float'))
    if text[:1] in ('!', '"', "'"):
        return _load(text)
    if text[:1] in ('[', '{'):
        return _plain_leaves(_load(text))
    try:
        value = _load(text)
    except yaml.YAMLError:
        return text  # a path or pattern with characters that YAML reserves
    if value is None and text.startswith(('#', '&')):
        return text  # a colour, not a comment; an anchor means nothing here
    return value if value is None or isinstance(value, bool) else text  # neither dates nor times of day


def _load(text: str) -> Any:
    loader = _SafeLoader(text)
    node = loader.get_single_node()
    if node is None:
        return None
    _require_small(node)
    return loader.construct_document(node)


def _none_places(text: str) -> Iterator[KeyPath]:
    """Where an override says ``none``: it itself, or entries of its mappings."""

    def walk(value: Any, path: KeyPath) -> Iterator[KeyPath]:
        if value == NONE:
            yield path
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield from walk(inner, (*path, str(key)))

    with contextlib.suppress(yaml.YAMLError, RecursionError):  # of which the override itself tells
        yield from walk(_load(text), ())


def _plain_value(text: str) -> Any:
    if text.lower() in ('none', '~'):
        return None
    if text.isdecimal():
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text) if re.search('[.eE]', text) else int(text)
    return text


def _plain_leaves(value: Any) -> Any:
    if isinstance(value, dict):
        return OrderedDict((key, _plain_leaves(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return [_plain_leaves(inner) for inner in value]
    return _plain_value(value) if isinstance(value, str) else value
