"""What lesson 02's checks cost and say."""

import time

from bigmodel_nb import exercises


def test_a_walk_without_memory_is_told_so_at_once(outside):
    [work] = [work for work in outside["backpropagation.topological_order"] if work.__name__ == "enters_once_but_walks_every_way"]
    start = time.process_time()
    verdict = exercises.check("backpropagation.topological_order", work)
    assert time.process_time() - start < 2
    assert verdict.status == "failed" and "turn back where you have been" in verdict.text


def test_a_mistake_is_not_told_as_its_neighbour():
    """One number is not one for each sample; a mean over outputs may stand in place of one over samples."""
    linear, mlp = map(exercises.reference, ("backpropagation.linear_backward", "backpropagation.mlp_backward"))

    def one_number(x, w, grad):
        return *linear(x, w, grad)[:2], grad.sum()

    def outputs_counted(x, y, *params):
        return tuple(part * len(y) / y.shape[1] for part in mlp(x, y, *params))

    verdict = exercises.check("backpropagation.linear_backward", one_number)
    assert "is a single number" in verdict.hint
    verdict = exercises.check("backpropagation.mlp_backward", outputs_counted)
    assert "by the number of outputs" in verdict.hint
