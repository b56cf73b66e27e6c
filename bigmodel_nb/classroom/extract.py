"""What a submitted notebook holds: each exercise's source and the statements that it needs.

Nothing is executed here: cells are read as syntax trees. An exercise is found by the id in its
decorator, so cells may have been copied, renamed, split or moved.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

MAGIC = re.compile(r"\s*[%!?]|.*\?\s*$")
BUILTINS = frozenset(dir(builtins))
REFERENCED = re.compile(r"""reference\(\s*["']([\w.]+)["']""")


@dataclass(frozen=True)
class Statement:
    """A statement at the top of a cell: its source, the names that it binds and those that it reads."""

    cell: int
    source: str
    binds: frozenset[str]
    reads: frozenset[str]


@dataclass(frozen=True)
class Work:
    """A learner's function or class for one exercise, without its decorator.

    is_reference: there is none; the cell asks for the course's own.
    """

    id: str
    name: str
    cell: int
    source: str
    needs: tuple[Statement, ...] = ()
    is_reference: bool = False


@dataclass
class Submission:
    """The works of a notebook by exercise id, in the order of the notebook, and what was unusual about it."""

    works: dict[str, list[Work]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read(path: Path) -> Submission:
    """The works in a notebook file; what can't be read becomes a note."""
    try:
        notebook = nbformat.read(path, as_version=4)
        sources = [str(cell.source) if cell.cell_type == "code" else "" for cell in notebook.cells]
    except Exception as error:  # a damaged file may fail in any way
        return Submission(notes=[f"{path.name} can't be read: {type(error).__name__}"])
    return of_cells(sources)


def of_cells(sources: Iterable[str]) -> Submission:
    """The works in the cells of a notebook.

    >>> found = of_cells(["import math", '@bn.exercise("a.b")\\ndef f(x):\\n    return math.sin(x)'])
    >>> [(work.name, [it.source for it in work.needs]) for work in found.works["a.b"]]
    [('f', ['import math'])]
    """
    found, statements, pending = Submission(), [], []
    for number, source in enumerate(sources):
        for id in REFERENCED.findall(source):
            found.works.setdefault(id, []).append(Work(id, "", number, "", is_reference=True))
        try:
            tree = ast.parse(without_magics(source))
        except (SyntaxError, ValueError) as error:
            found.notes.append(f"cell {number + 1} is not Python: {error.__class__.__name__}")
            continue
        for node in tree.body:
            statements.append(_statement(number, node))
            if id := exercise_of(node):
                pending.append((id, node, number, len(statements)))
    for id, node, number, place in pending:
        node.decorator_list = []
        source = ast.unparse(node)
        needs = needed(names(node)[1], statements, place - 1)
        found.works.setdefault(id, []).append(Work(id, node.name, number, source, tuple(needs)))
    return found


def without_magics(source: str) -> str:
    """A cell's Python: lines that are magics, shell commands or questions become `pass`.

    >>> without_magics("%time\\nx = 1")
    'pass\\nx = 1'
    """
    if source.lstrip().startswith("%%"):
        source = source.lstrip().partition("\n")[2]
    return "\n".join("pass" if MAGIC.match(line) else line for line in source.split("\n"))


def exercise_of(node: ast.stmt) -> str | None:
    """The id in a definition's decorator `@bn.exercise("id")`, if it has one."""
    for decorator in getattr(node, "decorator_list", ()):
        if isinstance(decorator, ast.Call) and _called(decorator) == "exercise" and decorator.args:
            argument = decorator.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                return argument.value
    return None


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def names(node: ast.stmt) -> tuple[frozenset[str], frozenset[str]]:
    """(bound, read): the names that a statement binds at the top, and those of the top that it may read.

    >>> bound, read = names(ast.parse("def f(x):\\n    y = x\\n    return g(y)").body[0])
    >>> sorted(bound), sorted(read)
    (['f'], ['g'])
    """
    try:
        top = symtable.symtable(ast.unparse(node), "<cell>", "exec")
    except SyntaxError:  # a tree may be made of what can't be compiled, such as two parameters of one name
        return frozenset(), frozenset()
    bound = {it.get_name() for it in top.get_symbols() if it.is_assigned() or it.is_imported() or it.is_namespace()}
    return frozenset(bound), frozenset(_globals(top) - BUILTINS)


def _globals(table: symtable.SymbolTable) -> set[str]:
    """The names of the top that a scope and those in it read: no parameters, no variables of their own."""
    own = {it.get_name() for it in table.get_symbols() if it.is_referenced() and (it.is_global() or table.get_type() == "module")}
    return own.union(*map(_globals, table.get_children()))


def _statement(number: int, node: ast.stmt) -> Statement:
    bound, read = names(node)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        bound = frozenset({node.name})
        if exercise_of(node):  # a helper that was itself an exercise is taken without its check
            node = ast.parse(ast.unparse(node)).body[0]
            node.decorator_list = []
    return Statement(number, ast.unparse(node), bound, read)


def needed(wanted: Iterable[str], statements: list[Statement], own: int) -> Iterator[Statement]:
    """The statements that bind what a work reads, and what those read, in the notebook's order.

    A name has the meaning that it has when the notebook is run from top to bottom and the work is
    called after its cell: definitions may stand below it, so the last one counts, or the last before
    it where it is also assigned again.
    """
    chosen, open_names, seen = set(), list(wanted), set()
    while open_names:
        name = open_names.pop()
        if name in seen:
            continue
        seen.add(name)
        for place, statement in enumerate(statements):
            if place != own and name in statement.binds and place not in chosen:
                chosen.add(place)
                open_names += statement.reads
    return (statements[place] for place in sorted(chosen))
