"""In CI, what must run there doesn't pass by being skipped."""

import os
import subprocess
import sys

import pytest

from tests.notebook_rules import ROOT

CONFTEST = """
from pathlib import Path
from tests import conftest
from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport
conftest.REQUIRED.append(Path(__file__).parent / "browser")
"""
FILES = {
    "conftest.py": CONFTEST,
    "pytest.ini": "[pytest]\nmarkers = required_in_ci\n",
    "browser/test_in_folder.py": "import pytest\ndef test_it(): pytest.skip('no browser')\n",
    "browser/test_module.py": "import pytest\npytest.importorskip('no_such_package')\n",
    "browser/test_expected.py": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n",
    "test_marked.py": "import pytest\n@pytest.mark.required_in_ci\ndef test_it(): pytest.skip('no hub')\n",
    "test_other.py": "import pytest\n@pytest.mark.skipif(True, reason='no GPU')\ndef test_it(): pass\n",
}


@pytest.mark.parametrize(
    ("ci", "summary"),
    [("true", "2 failed, 1 skipped, 1 xfailed, 1 error"), ("", "4 skipped, 1 xfailed")],
    ids=["in CI", "elsewhere"],
)
def test_a_required_test_fails_where_it_is_skipped_in_ci(ci, summary, tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-m", "pytest", "-c", tmp_path / "pytest.ini", "-p", "no:nbval", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--continue-on-collection-errors", "-rfE", tmp_path],
        cwd=tmp_path, env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert summary in done.stdout, done.stdout
    assert ("skipped, but CI requires it: Skipped: no browser" in done.stdout) == bool(ci)
