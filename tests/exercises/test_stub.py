import functools

import pytest

from bigmodel_nb.exercises.engine.stub import is_stub


class Empty:
    """Nothing yet."""

    def __init__(self):
        super().__init__()

    def forward(self, x):
        raise NotImplementedError("forward")


class Begun(Empty):
    def forward(self, x):
        return x


def wrapped(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(*args)

    return wrapper


@wrapped
def decorated_stub(x):
    ...


def placeholder(x):
    y = ...
    return y


def begun(x):
    y = x
    return None


@pytest.mark.parametrize("work", [Empty, decorated_stub, placeholder, lambda: None, lambda *a, **k: NotImplemented])
def test_stubs(work):
    assert is_stub(work)


@pytest.mark.parametrize(
    "work", [Begun, begun, len, lambda x: 0, lambda x: [], lambda: print(), lambda: (yield), functools.partial(begun)]
)
def test_not_stubs(work):
    assert not is_stub(work)


def raises_another():
    raise ValueError


def test_another_exception_is_an_attempt():
    assert not is_stub(raises_another)
