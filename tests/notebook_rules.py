"""What a notebook of the course must be, as far as a program can judge it (design, section 4).

Each rule takes a notebook and its path and returns what is wrong, one line a violation. `RULES` holds
them all; test_notebook_rules.py shows what each of them rejects.
"""

from __future__ import annotations

import ast
import html
import json
import re
import statistics
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from nbformat import NotebookNode

Rule = Callable[[NotebookNode, Path], list[str]]

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1_000_000
IGNORE_TAG, PRECISION_TAG = "nbval-ignore-output", "lower-precision"
REASON_TAGS = {"shows-time", "shows-memory", "shows-sample", "shows-live"}  # why a cell isn't compared
IMAGES = ("image/png", "image/jpeg")
IMPORT_NAMES = {"sklearn": "scikit_learn", "mpl_toolkits": "matplotlib"}  # where it isn't the package's name
MINIMUM_EXERCISES = {  # of each lesson, by the curriculum's table
    "start_here": {"count_parameters"},
    "neuron_and_gradient_descent": {"sigmoid", "bce_loss", "bce_gradient", "gd_step"},
    "backpropagation": {
        "add_mul_backward", "topological_order", "linear_backward", "relu_backward", "mlp_backward",
    },
    "cross_entropy": {"softmax", "cross_entropy", "cross_entropy_gradient", "kl_divergence", "perplexity"},
    "optimizers": {"sgd_momentum", "adam_step", "adamw_step", "cosine_schedule", "clip_by_global_norm"},
    "generalization": {"dropout", "precision_recall_f1", "early_stopping", "train_val_test_split"},
    "convolution": {"conv2d", "conv2d_backward_kernel", "flatten_size"},
    "recurrent_networks": {"rnn_step", "lstm_step", "last_valid_state"},
    "tokenization": {"most_frequent_pair", "merge", "bpe_train", "bpe_encode", "bpe_decode"},
    "attention": {"attention_scores", "causal_mask", "scaled_dot_product", "multi_head_attention"},
    "transformer_translation": {"positional_encoding", "shift_right", "label_loss_with_padding", "beam_step"},
    "gpt2_from_scratch": {"layer_norm", "gelu_tanh", "transformer_block", "load_state_dict", "kv_cache_step"},
    "generate_text": {
        "greedy_step", "top_k_filter", "top_p_filter", "sample_loop", "beam_step", "repetition_penalty",
    },
    "finetune_gpt2": {"pack_into_blocks", "causal_lm_loss", "perplexity", "resume_equality"},
    "lora": {"lora_init", "lora_linear", "merge_lora", "count_trainable"},
    "robust_and_multimodal": {"fgsm", "adversarial_step", "fusion_early", "fusion_late", "group_rates"},
    "support_assistant": {"format_chat", "loss_mask", "threshold_for_precision"},
    "reinforcement_learning": {"q_update", "epsilon_greedy", "reinforce_gradient", "returns_to_go"},
    "gpu_and_scale": {"estimate_memory", "accumulate_gradients", "all_reduce_mean", "mfu"},
    "question_answering_service": {"bm25_score", "retry_with_backoff", "verify_audit_log"},
    "business_case": {"break_even", "cohort_revenue", "monte_carlo_profit"},
    "read_the_articles": {"graph_check", "verdict_table"},
    "pretrain_and_transfer": {"mask_tokens", "pool", "freeze_except", "learning_curve_point"},
    "gallery_pictures_and_sound": set(),
    "gallery_people_and_money": set(),
    "gallery_health_and_machines": set(),
    "gallery_running_a_service": set(),
    "market_and_customers": {"kmeans_step", "ab_sample_size", "clv", "wilson_interval"},
    "preference_tuning": {"dpo_loss", "kl_penalty"},
    "clinic": {
        "padding_counts", "shares_luck", "weights_do_not_sum_to_one", "may_charge_twice", "depends_on_test_rows",
        "wrong_for_bytes", "scores_another_token", "evaluates_in_training_mode", "is_another_divergence",
        "keeps_other_weights",
    },
}
RULES: list[Rule] = []


def rule(check: Rule) -> Rule:
    RULES.append(check)
    return check


# Reading a notebook


def code_cells(nb: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def prose(nb: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def is_ignored(cell: NotebookNode) -> bool:
    """Whether nbval leaves the cell's output out of the comparison."""
    return IGNORE_TAG in tags(cell) or bool(re.search(r"^\s*#+\s*\w*_IGNORE_OUTPUT\s*$", cell.source, re.MULTILINE))


def tree(cell: NotebookNode) -> ast.Module:
    """The cell's syntax; of a cell that isn't plain Python (see `plain_python`) nothing."""
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def calls(cell: NotebookNode) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a cell, with the called name as written: ("plt.show", node)."""
    for node in ast.walk(tree(cell)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def texts(cell: NotebookNode) -> Iterator[str]:
    """Every text that the cell's outputs show, without markup."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        for mime, value in output.get("data", {}).items():
            if mime in ("text/plain", "text/markdown"):
                yield value
            elif mime == "text/html":
                yield html.unescape(re.sub(r"(?s)<(style|script)\b.*?</\1>|<[^>]*>", " ", value))


def exercise_ids(cell: NotebookNode) -> list[str]:
    """Ids of the exercises that a cell defines by `@bn.exercise("id")`."""
    return [
        decorator.args[0].value
        for node in ast.walk(tree(cell))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        and ast.unparse(decorator.func).split(".")[-1] == "exercise"
        and decorator.args
        and isinstance(decorator.args[0], ast.Constant)
    ]


def lesson_name(path: Path) -> str:
    return path.stem.partition("_")[2]


def where(nb: NotebookNode, cell: NotebookNode) -> str:
    """A cell's place for a message: its number among all cells and its first line."""
    number = next(i for i, it in enumerate(nb.cells) if it is cell)
    first = next(iter(cell.source.strip().splitlines()), "empty")
    return f"cell {number} ({first[:50]})"


def found(nb: NotebookNode, cells: list[NotebookNode], pattern: str, what: str) -> list[str]:
    """A line for each of the cells whose source matches a pattern."""
    return [f"{where(nb, cell)}: {what}" for cell in cells if re.search(pattern, cell.source, re.MULTILINE)]


# The file


@rule
def metadata_complete(nb: NotebookNode, path: Path) -> list[str]:
    """metadata.bigmodel_nb holds every key, each of its type."""
    about = nb.metadata.get("bigmodel_nb", {})
    budget = about.get("budget", {})
    number = lambda value: type(value) is int and value >= 0  # noqa: E731
    good = {
        "lesson": number(about.get("lesson")),
        "title": isinstance(about.get("title"), str) and about["title"].strip(),
        "part": isinstance(about.get("part"), str) and about["part"].strip(),
        "minutes": number(about.get("minutes")) and about["minutes"] > 0,
        "needs": isinstance(about.get("needs"), list) and all(map(number, about["needs"])),
        "budget.seconds": number(budget.get("seconds")) and 0 < budget["seconds"] <= 90,
        "budget.rss_mb": number(budget.get("rss_mb")) and 0 < budget["rss_mb"] <= 1500,
        "sources": isinstance(about.get("sources"), list)
        and all(isinstance(it, str) and re.fullmatch(r"[SFCB]\d+", it) for it in about["sources"]),
    }
    return [f"metadata.bigmodel_nb.{key} is missing or wrong" for key, fine in good.items() if not fine]


@rule
def file_name(nb: NotebookNode, path: Path) -> list[str]:
    """NN_name.ipynb with the lesson's own number."""
    number = nb.metadata.get("bigmodel_nb", {}).get("lesson")
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", path.stem):
        return [f"{path.name} is not NN_verb_or_topic.ipynb"]
    return [] if int(path.stem[:2]) == number else [f"{path.name} has lesson number {number} in its metadata"]


@rule
def stable_metadata(nb: NotebookNode, path: Path) -> list[str]:
    """The kernel is python3, and nothing in the metadata tells when a cell ran."""
    bad = [] if nb.metadata.get("kernelspec", {}).get("name") == "python3" else ["the kernelspec is not python3"]
    timed = [where(nb, cell) for cell in nb.cells if {"execution", "ExecuteTime"} & set(cell.metadata)]
    return bad + [f"{it}: its metadata holds times" for it in timed]


@rule
def questions_folded(nb: NotebookNode, path: Path) -> list[str]:
    """JupyterLab folds away the source of a cell that asks a question: it holds the answer."""
    from bigmodel_nb.run import is_quiz

    return [
        f"{where(nb, cell)}: its source is not folded"
        for cell in nb.cells
        if is_quiz(cell) and cell.metadata.get("jupyter") != {"source_hidden": True}
    ]


@rule
def no_widget_state(nb: NotebookNode, path: Path) -> list[str]:
    """No metadata.widgets: with it, exporters show an empty cell in place of the picture."""
    return ["metadata.widgets is stored"] if "widgets" in nb.metadata else []


@rule
def cell_ids(nb: NotebookNode, path: Path) -> list[str]:
    """Every cell has an id of its own, so that translations and reports can point at it."""
    ids = [cell.get("id", "") for cell in nb.cells]
    bad = [f"cell {i} has no valid id" for i, it in enumerate(ids) if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", it)]
    return bad + [f"{n} cells have the id {it}" for it, n in Counter(ids).items() if n > 1]


@rule
def size(nb: NotebookNode, path: Path) -> list[str]:
    """At most 1 MB an output and 3 MB a notebook."""
    bad = [
        f"{where(nb, cell)}: an output of {length / MEGABYTE:.1f} MB"
        for cell in code_cells(nb)
        for output in cell.outputs
        if (length := len(json.dumps(output))) > MEGABYTE
    ]
    whole = len(json.dumps(nb))
    return bad + ([f"the notebook has {whole / MEGABYTE:.1f} MB"] if whole > 3 * MEGABYTE else [])


@rule
def no_private_paths(nb: NotebookNode, path: Path) -> list[str]:
    """No path of the machine that it was written on."""
    pattern = re.compile(r"(?<![\w.:])/(?:work|home|root|tmp|Users|private|var/folders)/|\b[A-Z]:\\\w")
    shown = {id(cell): [cell.source, *(texts(cell) if cell.cell_type == "code" else ())] for cell in nb.cells}
    return [
        f"{where(nb, cell)}: an absolute path, {hit[0]}"
        for cell in nb.cells
        for text in shown[id(cell)]
        if (hit := pattern.search(text))
    ]


# The lesson


@rule
def cell_count(nb: NotebookNode, path: Path) -> list[str]:
    """25 to 60 cells."""
    return [] if 25 <= len(nb.cells) <= 60 else [f"{len(nb.cells)} cells; 25 to 60 are wanted"]


@rule
def prose_length(nb: NotebookNode, path: Path) -> list[str]:
    """At most 2,600 words of prose (`remarks` speaks up from 2,000)."""
    words = len(prose(nb).split())
    return [f"{words:,} words of prose; about 2,000 are wanted, 2,600 are the limit"] if words > 2600 else []


@rule
def code_length(nb: NotebookNode, path: Path) -> list[str]:
    """Code cells of 2 to 8 lines in the median, none over 40."""
    lengths = [len(cell.source.splitlines()) for cell in code_cells(nb)]
    median = statistics.median(lengths or [0])
    bad = [] if 2 <= median <= 8 else [f"the median code cell has {median} lines; 3 to 6 are wanted"]
    return bad + [
        f"{where(nb, cell)}: {n} lines; at most about 35 are wanted"
        for cell, n in zip(code_cells(nb), lengths)
        if n > 40
    ]


@rule
def opening(nb: NotebookNode, path: Path) -> list[str]:
    """The first cell is the title with the minutes, what the lesson needs, and the machine's budget."""
    first = nb.cells[0] if nb.cells else NotebookNode(cell_type="raw", source="")
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        return ["the first cell is not a Markdown cell with the title"]
    minutes = nb.metadata.get("bigmodel_nb", {}).get("minutes")
    wanted = {
        rf"\b{minutes}[ \xa0-]min": f"how long it takes ({minutes} minutes)",
        r"(?i)\bneeds?\b": "what it needs",
        r"\b[MG]B\b": "the memory it takes",
    }
    return [f"the first cell doesn't say {what}" for pattern, what in wanted.items() if not re.search(pattern, first.source)]


@rule
def closing(nb: NotebookNode, path: Path) -> list[str]:
    """Headings 'Remember' and 'Further reading', the latter with a year."""
    headings = [m for m in re.finditer(r"^#{2,} (.+)$", prose(nb), re.MULTILINE)]
    named = {word: [m for m in headings if word in m[1].lower()] for word in ("remember", "further reading")}
    if missing := [word for word, hits in named.items() if not hits]:
        return [f"no heading says {word!r}" for word in missing]
    reading = prose(nb)[named["further reading"][-1].end() :]
    return [] if re.search(r"\b(?:18|19|20)\d\d\b", reading) else ["the further reading has no year"]


@rule
def sources_named(nb: NotebookNode, path: Path) -> list[str]:
    """Each source in the metadata is named where the lesson deals with it."""
    text = prose(nb)
    ids = nb.metadata.get("bigmodel_nb", {}).get("sources", [])
    return [f"source {it} is named nowhere in the text" for it in ids if not re.search(rf"\b{it}\b", text)]


@rule
def plain_looks(nb: NotebookNode, path: Path) -> list[str]:
    """No emoji and no banners, in text, code or printed output."""
    emoji = re.compile("[\U0001f000-\U0001faff\u2600-\u2712\u2714-\u2716\u2718-\u27bf\u2b50\u2b55\ufe0f]")
    banner = re.compile(r"""[=*#~_]{7,}|^\s*#\s*[-=*#~]{4,}|(["'])[-=*#~_]\1 *\* *\d+|<marquee|<blink""", re.MULTILINE)
    return [
        f"{where(nb, cell)}: {what}"
        for cell in nb.cells
        for what, pattern in (("emoji", emoji), ("a banner", banner))
        if any(pattern.search(text) for text in [cell.source, *(texts(cell) if cell.cell_type == "code" else ())])
    ]


@rule
def images_in_text(nb: NotebookNode, path: Path) -> list[str]:
    """Images in Markdown are files beside the notebook and have an alt text."""
    text = re.sub(r"(?s)```.*?```|`[^`\n]*`", "", prose(nb))
    shown = [(alt, source) for alt, source in re.findall(r"!\[([^\]]*)\]\(\s*<?([^)\s>]+)", text)]
    for tag in re.findall(r"(?is)<img\b[^>]*>", text):
        attributes = dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", tag))
        shown.append((attributes.get("alt", ""), attributes.get("src", "")))
    bad = [f"the image {source[:60]} has no alt text" for alt, source in shown if not alt.strip()]
    bad += [f"the image {source[:60]} is fetched from elsewhere" for _, source in shown if re.match(r"https?:|//", source)]
    local = [source for _, source in shown if not re.match(r"(?i)[a-z]+:|//", source)]
    return bad + [f"the image {source} is not there" for source in local if not (path.parent / source).is_file()]


# The code


@rule
def plain_python(nb: NotebookNode, path: Path) -> list[str]:
    """Code cells are plain Python: no magics, no shell, nothing that a script couldn't run."""
    bad = found(nb, code_cells(nb), r"^\s*[%!]|^\s*\?|\?\s*$|get_ipython\(", "a magic or shell command")
    for cell in code_cells(nb):
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            bad.append(f"{where(nb, cell)}: not Python: {error.msg}")
    return bad + [f"{where(nb, cell)}: empty" for cell in code_cells(nb) if not cell.source.strip()]


@rule
def core_imports(nb: NotebookNode, path: Path) -> list[str]:
    """Whatever a notebook imports is a core dependency (or comes with Python)."""
    allowed = core_dependencies() | set(sys.stdlib_module_names)
    return [
        f"{where(nb, cell)}: {name} is not a core dependency in pyproject.toml"
        for cell in code_cells(nb)
        for name in sorted(imported(tree(cell)))
        if name not in allowed and IMPORT_NAMES.get(name, name).lower() not in allowed
    ]


def core_dependencies() -> set[str]:
    """Names in pyproject's dependencies, as modules are written, and the package itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = (re.match(r"[\w.-]+", it)[0] for it in [project["name"], *project["dependencies"]])
    return {name.lower().replace("-", "_") for name in names}


def imported(module: ast.Module) -> set[str]:
    """Top-level names of the packages that some code imports.

    >>> sorted(imported(ast.parse("import numpy as np, os.path\\nfrom torch.nn import Linear")))
    ['numpy', 'os', 'torch']
    """
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or ".").partition(".")[0])
    return names


@rule
def no_star_imports(nb: NotebookNode, path: Path) -> list[str]:
    """Every name can be traced to where it comes from."""
    return found(nb, code_cells(nb), r"^\s*from\s+\S+\s+import\s+\*", "a star import")


@rule
def no_progress_bars(nb: NotebookNode, path: Path) -> list[str]:
    """No tqdm: its bars differ on each run and can't be compared."""
    return found(nb, code_cells(nb), r"\btqdm\b", "tqdm")


@rule
def never_waits(nb: NotebookNode, path: Path) -> list[str]:
    """No input() and no debugger: the lesson runs from top to bottom by itself."""
    return [
        f"{where(nb, cell)}: {name} waits for the learner"
        for cell in code_cells(nb)
        for name, _ in calls(cell)
        if name in ("input", "breakpoint", "getpass.getpass", "pdb.set_trace")
    ]


@rule
def figures_through_show(nb: NotebookNode, path: Path) -> list[str]:
    """Figures are shown by bn.show, which states what they hold."""
    shows = ("plt.show", "matplotlib.pyplot.show", "pyplot.show", "fig.show", "display")
    return [
        f"{where(nb, cell)}: {name}(...) shows a figure; use bn.show(fig, alt)"
        for cell in code_cells(nb)
        for name, call in calls(cell)
        if name in shows and (name != "display" or any(ast.unparse(it) in ("fig", "plt.gcf()") for it in call.args))
    ]


@rule
def no_trailing_semicolon(nb: NotebookNode, path: Path) -> list[str]:
    """A semicolon hides nothing when cells run without history, as nbval runs them."""
    return found(nb, code_cells(nb), r";\s*(?:#.*)?$", "a semicolon at the end of a line")


@rule
def full_precision(nb: NotebookNode, path: Path) -> list[str]:
    """Training and asserted numbers are float32; a cell whose subject is lower precision has its tag."""
    pattern = r"\bautocast\b|\btorch\.(?:bfloat16|float16|half)\b|\.(?:half|bfloat16)\(\)|\b(?:bf16|fp16)\s*=\s*True"
    cells = [cell for cell in code_cells(nb) if PRECISION_TAG not in tags(cell)]
    bad = found(nb, [it for it in cells if not is_ignored(it)], pattern, f"lower precision without the tag {PRECISION_TAG}")
    return bad + [
        f"{where(nb, cell)}: bn.finetune without precision='float32' trains differently on another machine"
        for cell in cells
        for name, call in calls(cell)
        if name in ("bn.finetune", "bigmodel_nb.finetune")
        and not any(it.arg == "precision" and "32" in ast.unparse(it.value) for it in call.keywords)
    ]


# Outputs and their comparison


@rule
def executed(nb: NotebookNode, path: Path) -> list[str]:
    """Every code cell was run, in order, in one go."""
    counts = [cell.execution_count for cell in code_cells(nb)]
    if counts == list(range(1, len(counts) + 1)):
        return []
    return ["the cells were not stored by one run from top to bottom: bigmodel-nb run LESSON --save"]


@rule
def no_errors(nb: NotebookNode, path: Path) -> list[str]:
    """No cell ends in an error; one that shows an error catches it and prints its message."""
    return [
        f"{where(nb, cell)}: {output.ename}"
        for cell in code_cells(nb)
        for output in cell.outputs
        if output.output_type == "error"
    ]


@rule
def no_warnings(nb: NotebookNode, path: Path) -> list[str]:
    """Nothing on stderr in a compared cell: warnings change with every release of a library."""
    return [
        f"{where(nb, cell)}: writes to stderr: {output.text.strip()[:60]}"
        for cell in code_cells(nb)
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr" and not is_ignored(cell)
    ]


@rule
def nothing_skipped(nb: NotebookNode, path: Path) -> list[str]:
    """No marker or tag that lets a cell be skipped or raise."""
    marked = found(nb, code_cells(nb), r"^\s*#+\s*NBVAL_(?:SKIP|RAISES_EXCEPTION)\s*$", "a marker to skip it or let it raise")
    refused = {"nbval-skip", "nbval-raises-exception", "raises-exception", "skip-execution"}
    return marked + [f"{where(nb, cell)}: the tag {it}" for cell in nb.cells for it in sorted(tags(cell) & refused)]


@rule
def few_ignored(nb: NotebookNode, path: Path) -> list[str]:
    """At most 4 cells escape comparison, each tagged with the reason and followed by a compared assertion."""
    cells = code_cells(nb)
    ignored = [i for i, cell in enumerate(cells) if is_ignored(cell)]
    bad = [f"{len(ignored)} cells escape comparison; 4 are the limit"] if len(ignored) > 4 else []
    for i in ignored:
        after = cells[i + 1] if i + 1 < len(cells) else None
        if after is None or is_ignored(after) or not any(isinstance(it, ast.Assert) for it in ast.walk(tree(after))):
            bad.append(f"{where(nb, cells[i])}: isn't compared, and no compared cell with an assert follows")
        if not tags(cells[i]) & REASON_TAGS:
            bad.append(f"{where(nb, cells[i])}: isn't compared, and no tag says why: {', '.join(sorted(REASON_TAGS))}")
    return bad


@rule
def same_everywhere(nb: NotebookNode, path: Path) -> list[str]:
    """Compared outputs hold no date, time, speed, address or device."""
    patterns = {
        "a date": r"\b\d{4}-\d\d-\d\d\b|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? \d{1,2} [A-Z][a-z]{2}",
        "a time of day": r"\b\d\d:\d\d:\d\d\b",
        "a duration": r"\b\d+\.\d+ ?(?:s|ms|us|µs|μs|ns|sec|secs|seconds|min)\b|\b\d+ ?(?:ms|us|µs|μs|ns)\b",
        "a speed": r"\b(?:it|tok|tokens|steps|samples)/s\b|\bper second\b|\b[GT]FLOPS?\b|\bFLOP/s\b",
        "an address": r"\b0x[0-9a-fA-F]{6,}\b",
        "a device": r"\bcuda\b|\bmps\b|\bcpu\b|\bdevice\(|\bNVIDIA\b|\bAVX",
    }
    return [
        f"{where(nb, cell)}: {what} in a compared output: {hit[0]!r}"
        for cell in code_cells(nb)
        if not is_ignored(cell)
        for text in texts(cell)
        for what, pattern in patterns.items()
        if (hit := re.search(pattern, text))
    ]


@rule
def pictures_described(nb: NotebookNode, path: Path) -> list[str]:
    """A picture has an alt text, and a text form that says more, which is what nbval compares."""
    bad = []
    for cell in code_cells(nb):
        for output in cell.outputs:
            data = output.get("data", {})
            for mime in set(data) & {*IMAGES, "image/svg+xml"}:
                text = data.get("text/plain", "").strip()
                alt = output.metadata.get(mime, {}).get("alt") or output.metadata.get("alt", "")
                if mime in IMAGES and not str(alt).strip():
                    bad.append(f"{where(nb, cell)}: a picture without an alt text in its metadata")
                if len(text) < 20 or text.startswith("<"):
                    bad.append(f"{where(nb, cell)}: a picture without a text form: {text[:40]!r}")
    return bad


@rule
def no_leftovers(nb: NotebookNode, path: Path) -> list[str]:
    """A cell that ends in a drawing call doesn't leave the drawn object's name behind."""
    pattern = re.compile(r"^\[?<|^Text\(|<[\w.]+ object at ")
    return [
        f"{where(nb, cell)}: leaves {value.strip()[:50]!r}"
        for cell in code_cells(nb)
        for output in cell.outputs
        if pattern.search(value := output.get("data", {}).get("text/plain", ""))
    ]


# Exercises


@rule
def exercises_named(nb: NotebookNode, path: Path) -> list[str]:
    """An exercise's id begins with the lesson's name, is in the catalogue, and is used once."""
    ids = [it for cell in code_cells(nb) for it in exercise_ids(cell)]
    known = catalogue_ids() if ids else set()
    name = lesson_name(path)
    bad = [f"exercise {it} doesn't begin with {name}." for it in ids if not it.startswith(f"{name}.")]
    bad += [f"exercise {it} is not in the catalogue" for it in ids if it not in known]
    return bad + [f"exercise {it} stands {n} times" for it, n in Counter(ids).items() if n > 1]


@rule
def exercises_complete(nb: NotebookNode, path: Path) -> list[str]:
    """Every exercise of the curriculum's table is there."""
    name = lesson_name(path)
    if name not in MINIMUM_EXERCISES:
        return [f"{name} has no row in MINIMUM_EXERCISES: take it from the curriculum's table"]
    ids = {it for cell in code_cells(nb) for it in exercise_ids(cell)}
    return [f"the exercise {name}.{it} is missing" for it in sorted(MINIMUM_EXERCISES[name]) if f"{name}.{it}" not in ids]


@rule
def exercises_unsolved(nb: NotebookNode, path: Path) -> list[str]:
    """Exercises are stored as the learner finds them: not attempted."""
    return [
        f"{where(nb, cell)}: its card isn't stored as 'not attempted'"
        for cell in code_cells(nb)
        for it in exercise_ids(cell)
        if not any(f"{it}: not attempted" in text for text in texts(cell))
    ]


def catalogue_ids() -> set[str]:
    from bigmodel_nb import exercises

    return {it.id for it in exercises.catalogue()}


def violations(nb: NotebookNode, path: Path) -> dict[str, list[str]]:
    """All rules on one notebook: name of the rule -> what is wrong, the broken rules only."""
    return {check.__name__: bad for check in RULES if (bad := check(nb, path))}


def remarks(nb: NotebookNode, path: Path) -> list[str]:
    """What is allowed but worth a look."""
    words = len(prose(nb).split())
    lines = statistics.median([len(cell.source.splitlines()) for cell in code_cells(nb)] or [0])
    return [f"{words:,} words of prose; about 2,000 are wanted"] * (words > 2000) + [
        f"the median code cell has {lines} lines; 3 to 6 are wanted"
    ] * (not 3 <= lines <= 6)
