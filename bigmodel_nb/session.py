"""What every lesson starts with: seeds, plot style and quiet third-party libraries."""

from __future__ import annotations

import functools
import gc
import logging
import os
import random
import sys
import warnings

from bigmodel_nb.errors import DataError

QUIET = {  # read by the libraries when they are imported
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TQDM_DISABLE": "1",
}
HARMLESS = (  # the beginnings of warnings that ask nothing of a learner
    "IProgress not found",
    "The pynvml package is deprecated",
    "'pin_memory' argument is set as true but no accelerator is found",
)


class Session:
    """What `setup` returns; its text is the same on every machine.

    >>> Session(0)
    bigmodel-nb course session, seed 0
    """

    def __init__(self, seed: int):
        self.seed = seed

    def __repr__(self) -> str:
        return f"bigmodel-nb course session, seed {self.seed}"


def setup(seed: int = 0, own_code: bool | str = False) -> Session:
    """Seed random, NumPy and torch, set the plot style, and switch third-party progress bars off.

    May be called again at any time; prints nothing and uses no network. `own_code=True` stops
    exercises from replacing unfinished work by the course's solution, and is remembered for the
    workspace; "off" goes back; False leaves it as it is. Errors: DataError for a seed outside
    0 .. 2**32 - 1 or another `own_code`.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise DataError(f"seed must be an integer from 0 to 2**32 - 1; received {seed!r}.")
    if own_code not in (True, False, "off"):
        raise DataError(f'own_code must be True, False or "off"; received {own_code!r}.')
    silence()
    let_forks_compute()
    seed_everything(seed)
    set_style()
    if own_code:
        from bigmodel_nb import exercises

        exercises.set_own_code(own_code is True)
    return Session(seed)


def seed_everything(seed: int) -> None:
    """Seed the generators of random, NumPy and torch (all devices)."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def silence() -> None:
    """Progress bars, telemetry and harmless warnings of other libraries off, imported or not yet."""
    os.environ.update(QUIET)
    for text in HARMLESS:
        warnings.filterwarnings("ignore", message=text)
    # a first import on a slow machine says that the font cache is being built
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    loaded = sys.modules
    if "transformers.utils.logging" in loaded:
        loaded["transformers.utils.logging"].set_verbosity_error()
        loaded["transformers.utils.logging"].disable_progress_bar()
    elif "huggingface_hub.utils.tqdm" in loaded:
        with warnings.catch_warnings(action="ignore"):  # says that the variable set above has priority
            loaded["huggingface_hub.utils"].disable_progress_bars()
    if "datasets.utils" in loaded:
        loaded["datasets.utils"].disable_progress_bars()


@functools.cache
def let_forks_compute() -> None:
    """Let torch compute on one thread in forked processes, such as those of accelerate's notebook_launcher.

    They have none of the threads of this process, and would wait for them for ever. What they inherit is
    left to this process to collect: looking through it would give each of them a copy.
    """

    def take_one_thread():
        gc.freeze()
        if hasattr(sys.modules.get("torch"), "set_num_threads"):
            sys.modules["torch"].set_num_threads(1)

    if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
        os.register_at_fork(after_in_child=take_one_thread)


def set_style() -> None:
    """matplotlib: readable sizes, colours that colour-blind readers tell apart, PNG in notebooks."""
    import matplotlib

    from bigmodel_nb.figures import STYLE

    matplotlib.rcParams.update(STYLE)
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("png")
