"""The bench: that it runs, that a figure below its bar is reported, and what it counts."""

import pytest

from bigmodel_nb import bench


def test_a_row_says_whether_it_holds():
    assert bench.Row("x", "s", 3.0, 2.0, bar=1.5).holds and not bench.Row("x", "s", 2.9, 2.0, bar=1.5).holds
    assert bench.Row("x", "s", 60, most=60).holds and not bench.Row("x", "s", 61, most=60).holds
    assert "FALLS SHORT" in bench.Row("x", "s", 61, most=60).cells()


@pytest.mark.parametrize(("held", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_tells_of_a_figure_that_falls_short(monkeypatch, capsys, held, code):
    row = bench.Row("x", "tokens/s", 2.0 if held else 1.0, 1.0, bar=1.5)
    monkeypatch.setattr(bench, "rows", lambda quick: [row])
    assert bench.main([]) == code
    assert ("FALLS SHORT" in capsys.readouterr().out) is not held


@pytest.mark.parametrize(("off", "differ"), [(1.0, False), (1.1, False), (0.9, False), (1.3, True), (0.8, True)])
def test_a_memory_plan_that_is_off_fails(monkeypatch, capsys, off, differ):
    from bigmodel_nb.memory import check

    monkeypatch.setattr(check, "measured", lambda *case: int(check.planned(*case).total / off))
    rows = bench.memory_rows()
    monkeypatch.setattr(bench, "rows", lambda quick: rows)
    assert len(rows) == 4 and bench.main([]) == int(differ)
    assert ("DIFFER" in capsys.readouterr().out) is differ


def test_it_runs_and_greedy_tokens_are_equal(capsys):
    assert bench.main(["--quick"]) == 0
    table = capsys.readouterr().out
    assert "greedy tokens equal" in table and "against Trainer" in table and "import bigmodel_nb" in table
    assert "two processes" in table and "losses of 2 steps" in table and "DIFFER" not in table


@pytest.mark.parametrize(("apart", "told"), [(5e-5, False), (2e-4, True), (float("nan"), True)])
def test_losses_of_two_processes_that_differ_are_reported(monkeypatch, apart, told):
    def finetuned(text, steps, processes, threads):
        losses = [3.0, 2.5 + (apart if processes == 2 else 0)]
        return {"trained_tokens": 100, "seconds": 2.0 / processes, "history": [{"loss": loss} for loss in losses]}

    monkeypatch.setattr(bench, "finetuned", finetuned)
    row = bench.processes_row(2, 1)
    assert (row.ours, row.other) == (100, 50) and row.holds
    assert ("LOSSES DIFFER" in row.note) is told
