"""What a class's kernels take is measured on real ones."""

from __future__ import annotations

import pytest

from bigmodel_nb import cli
from bigmodel_nb.classroom import kernels
from bigmodel_nb.errors import ResourceError


def test_two_kernels_at_once(capsys):
    assert cli.main(["bench", "kernels", "--count", "2", "--code", "import bigmodel_nb; held = bytearray(b'x' * 50_000_000)"]) == 0
    first, memory, start = capsys.readouterr().out.splitlines()
    assert first.startswith("2 kernels") and int(memory.split()[3]) > 60 and "slowest" in start


def test_what_fails_in_a_kernel_is_said():
    with pytest.raises(ResourceError, match="ZeroDivisionError"):
        kernels.measure(1, "1 / 0")
