"""A small mutator: copies of a function with one operator, constant, axis, sign or term changed."""

import ast
import copy
import inspect
import textwrap

_BINARY = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
}
_COMPARE = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq, ast.Gt, ast.Lt),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
}


def _changes(node):
    """Replacements of one node, with a word for each."""
    if isinstance(node, ast.BinOp):
        for new in _BINARY.get(type(node.op), ()):
            yield f"{type(node.op).__name__} to {new.__name__}", ast.BinOp(node.left, new(), node.right)
        yield "right term dropped", node.left
        yield "left term dropped", node.right
    elif isinstance(node, ast.UnaryOp):
        yield f"{type(node.op).__name__} dropped", node.operand
    elif isinstance(node, ast.Compare):
        for new in _COMPARE.get(type(node.ops[0]), ()):
            yield f"compare with {new.__name__}", ast.Compare(node.left, [new()], node.comparators)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for step in (-1, 1):
            yield f"{node.value} to {node.value + step}", ast.Constant(node.value + step)
        if node.value:
            yield f"{node.value} negated", ast.Constant(-node.value)
    elif isinstance(node, ast.Call):
        for change in _call_changes(node):
            yield change


def _call_changes(node):
    if isinstance(node.func, ast.Attribute):
        yield f".{node.func.attr}() dropped", node.func.value
    if len(node.args) == 1 and not isinstance(node.args[0], (ast.Starred, ast.GeneratorExp)):
        yield "call dropped", node.args[0]
    if len(node.args) == 2:
        yield "arguments swapped", ast.Call(node.func, node.args[::-1], node.keywords)
    for place in range(len(node.keywords)):
        rest = node.keywords[:place] + node.keywords[place + 1 :]
        yield f"{node.keywords[place].arg}= dropped", ast.Call(node.func, node.args, rest)


class _Replace(ast.NodeTransformer):
    def __init__(self, target, new):
        self.target, self.new = target, new

    def visit(self, node):
        return self.new if node is self.target else super().generic_visit(node)


def _statements_dropped(tree):
    """One statement out of every block that has several."""
    for block in ast.walk(tree):
        body = getattr(block, "body", None)  # that of a lambda or a conditional expression is no list
        for place, statement in enumerate(body if isinstance(body, list) else ()):
            if isinstance(statement, (ast.Return, ast.FunctionDef)):
                continue
            if len(block.body) > 1 and not _is_docstring(statement):
                yield f"dropped: {ast.unparse(statement)}", block, place


def _is_docstring(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def mutants(function):
    """(what was changed, mutant) for every single change of a function."""
    source = textwrap.dedent(inspect.getsource(function))
    tree = ast.parse(source)
    nodes = [n for n in ast.walk(tree.body[0]) if not _in_signature(tree.body[0], n)]
    for number, node in enumerate(nodes):
        for word, _ in _changes(node):
            changed = copy.deepcopy(tree)
            twin = [n for n in ast.walk(changed.body[0]) if not _in_signature(changed.body[0], n)][number]
            new = next(new for w, new in _changes(twin) if w == word)
            yield from _compiled(function, _Replace(twin, new).visit(changed), f"line {node.lineno}: {word}")
    for number, (word, _, _) in enumerate(list(_statements_dropped(tree))):
        changed = copy.deepcopy(tree)
        _, block, place = list(_statements_dropped(changed))[number]
        del block.body[place]
        yield from _compiled(function, changed, word)


def _in_signature(definition, node):
    return any(node is n for n in ast.walk(definition.args))


def _compiled(function, tree, word):
    names = dict(function.__globals__)
    try:
        exec(compile(ast.fix_missing_locations(tree), f"<mutant: {word}>", "exec"), names)
    except (SyntaxError, ValueError, TypeError):
        return
    yield word, names[function.__name__]
