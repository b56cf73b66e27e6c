"""Exercises of lesson 19."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .engine.model import Check, Exercise, misconceptions_of


def returns_to_go(rewards, gamma):
    """What is still to come after each step of an episode.

    rewards: float array (T,), the reward of each step; gamma: the discount, 0 to 1
    -> float array (T,): G[t] = rewards[t] + gamma * rewards[t + 1] + gamma**2 * rewards[t + 2] + ...
    """
    G = np.zeros(len(rewards))
    later = 0.0
    for t in reversed(range(len(rewards))):
        later = rewards[t] + gamma * later
        G[t] = later
    return G


def q_update(Q, s, a, r, s_next, done, alpha, gamma):
    """One step of Q-learning.

    Q: float array (states, actions); s, a: where the agent was and what it did; r: the reward it got
    s_next: where it is now; done: True if the episode has ended there, so that nothing comes after it
    alpha: the learning rate; gamma: the discount -> a new table; Q itself stays as it is
    """
    target = r if done else r + gamma * Q[s_next].max()
    Q = Q.copy()
    Q[s, a] += alpha * (target - Q[s, a])
    return Q


def epsilon_greedy(values, epsilon):
    """How likely each action is: mostly the best one, sometimes any.

    values: float array (A,), the Q values of one state; epsilon: 0 to 1
    -> float array (A,) with sum 1: epsilon is shared equally by all actions, the best one among them,
       1 - epsilon goes to the best one, and where several are equally good, in equal parts to these
    """
    best = values == values.max()
    return epsilon / len(values) + (1 - epsilon) * best / best.sum()


def bootstraps_through_end(update):
    """True if this update counts the values of the next state although the episode ended there.

    update: a function like q_update, (Q, s, a, r, s_next, done, alpha, gamma) -> table; it may be wrong
       in other ways, too, and it may write into Q in place
    -> bool: whether, with done=True, what becomes of Q[s] depends on Q[s_next]
    """
    rows = []
    for value in (0.0, 5.0, -5.0):
        Q = np.array([[1.0, 2.0, 3.0], [value, value, value]])
        rows.append(update(Q, 0, 1, 1.0, 1, True, 0.5, 0.9)[0])
    return not (np.allclose(rows[0], rows[1]) and np.allclose(rows[0], rows[2]))


def reinforce_gradient(theta, states, actions, weights):
    """Estimate of the policy gradient from one episode; the policy in state s is softmax(theta[s]).

    theta: float array (S, A); states, actions: int arrays (T,), what was met and what was done
    weights: float array (T,), what each action is credited with, such as its return to go
    -> float array (S, A): the sum over t of weights[t] times the gradient of log pi(actions[t] | states[t])
    """
    p = np.exp(theta - theta.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    gradient = np.zeros(theta.shape)
    for s, a, weight in zip(states, actions, weights):
        gradient[s] -= weight * p[s]
        gradient[s, a] += weight
    return gradient


def is_unbiased(estimate):
    """True if the mean of this estimate, over all arms of a bandit, is the gradient of the expected reward.

    estimate: a function (theta, action, reward) -> array (A,); theta (A,): the policy is softmax(theta),
       action: the arm that was pulled; reward: the float that this arm always pays
    -> bool: whether it holds for any theta and any rewards
    """
    rng = np.random.default_rng(0)
    for _ in range(4):
        theta, rewards = rng.normal(size=3), 3 * rng.normal(size=3)
        p = np.exp(theta) / np.exp(theta).sum()
        mean = sum(p[a] * estimate(theta, a, rewards[a]) for a in range(3))
        if not np.allclose(mean, p * (rewards - p @ rewards)):
            return False
    return True


# What all share


def _quiet(function):
    """The function without NumPy's warnings of overflow and 0/0."""
    return np.errstate(all="ignore")(function)


def _answer(work, *case):
    """A learner's verdict; NumPy's own True and False are as good as Python's."""
    result = work(*case)
    return bool(result) if isinstance(result, np.bool_) else result


def _softmax(theta):
    e = np.exp(theta - theta.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# returns_to_go


def _returns_case(rng, T=5, gamma=0.9):
    return rng.normal(size=T), gamma


def _returns_sample(rng):
    return _returns_case(rng, int(rng.integers(1, 9)), float(rng.choice([0.0, 0.5, 0.9, 1.0])))


def _returns_oracle(rewards, gamma):
    """The definition, term by term."""
    T = len(rewards)
    return np.array([math.fsum(gamma**k * float(rewards[t + k]) for k in range(T - t)) for t in range(T)])


def _check_returns_by_hand(attempt):
    why = "1 is paid at the end only: it is worth 1 there, 0.9 one step before, 0.81 two steps before."
    attempt.expect((np.array([0.0, 0.0, 1.0]), 0.9), np.array([0.81, 0.9, 1.0]), why)
    why = "3, then 2 + 0.5 * 3, then 1 + 0.5 * 3.5."
    attempt.expect((np.array([1.0, 2.0, 3.0]), 0.5), np.array([2.75, 3.5, 3.0]), why)


def _check_returns_random(attempt):
    rng = np.random.default_rng(1)
    for T, gamma in ((4, 0.9), (7, 0.5), (12, 0.99)):
        case = _returns_case(rng, T, gamma)
        attempt.expect(case, _returns_oracle(*case))


def _check_returns_ends(attempt):
    rng = np.random.default_rng(2)
    rewards = rng.normal(size=6)
    attempt.expect((rewards, 1.0), rewards[::-1].cumsum()[::-1].copy(), "With gamma 1 nothing is discounted.")
    attempt.expect((rewards, 0.0), rewards.copy(), "With gamma 0 only the reward of now counts.")


def _check_returns_one(attempt):
    attempt.expect((np.array([2.5]), 0.7), np.array([2.5]), "One step only.")
    attempt.expect((np.zeros(3), 0.7), np.zeros(3), "No reward at all.")


def _check_returns_future(attempt):
    rewards = np.random.default_rng(3).normal(size=6)
    changed = rewards.copy()
    changed[0] += 7.0
    expected = _returns_oracle(changed, 0.8)
    attempt.expect((changed, 0.8), expected, "What was paid before step t doesn't count in G[t].")


def _returns_probes():
    rng = np.random.default_rng(4)
    return [_returns_case(rng, 4, 0.9), _returns_case(rng, 6, 0.5), _returns_case(rng, 3, 0.7)]


def _powers(rewards, gamma):
    return gamma ** np.arange(len(rewards))


def _fast_returns(rewards, gamma):
    T = len(rewards)
    lag = np.arange(T) - np.arange(T)[:, None]  # k - t
    return np.where(lag >= 0, gamma ** np.maximum(lag, 0), 0.0) @ rewards


_RETURNS_WRONG = {
    "one_return_for_all": (
        lambda rewards, gamma: np.full(len(rewards), (_powers(rewards, gamma) * rewards).sum()),
        lambda rewards, gamma: np.full(len(rewards), rewards.sum()),
    ),
    "not_discounted": (lambda rewards, gamma: _fast_returns(rewards, 1.0),),
    "reward_of_now_left_out": (
        lambda rewards, gamma: np.append(_fast_returns(rewards, gamma)[1:], 0.0),
        lambda rewards, gamma: np.append(gamma * _fast_returns(rewards, gamma)[1:], 0.0),
    ),
    "discounted_from_the_start": (
        lambda rewards, gamma: (_powers(rewards, gamma) * rewards)[::-1].cumsum()[::-1],
    ),
    "past_in_place_of_future": (
        lambda rewards, gamma: (_powers(rewards, gamma) * rewards).cumsum(),
        lambda rewards, gamma: _fast_returns(rewards[::-1], gamma)[::-1],
        lambda rewards, gamma: rewards.cumsum(),
    ),
    "last_first": (lambda rewards, gamma: _fast_returns(rewards, gamma)[::-1],),
    "discounts_the_reward_of_now": (lambda rewards, gamma: gamma * _fast_returns(rewards, gamma),),
    "two_steps_only": (lambda rewards, gamma: rewards + gamma * np.append(rewards[1:], 0.0),),
    "gamma_grows_too_fast": (lambda rewards, gamma: _fast_returns(rewards, gamma**2),),
    "gamma_divides": (lambda rewards, gamma: _fast_returns(rewards, 1 / gamma) if gamma else rewards * 1.0,),
    "first_return_only": (lambda rewards, gamma: float(_fast_returns(rewards, gamma)[0]),),
}
_RETURNS_HINTS = {
    "one_return_for_all": "Every step gets the return of the whole episode. What was paid before a step is not "
    "owed to it.",
    "not_discounted": "gamma has no effect: a reward ten steps away counts as much as one now.",
    "reward_of_now_left_out": "G[t] begins with rewards[t]: the last return is the last reward, not 0.",
    "discounted_from_the_start": "You discount each reward from the start of the episode. For G[t] the clock starts "
    "at t: rewards[t] counts in full.",
    "past_in_place_of_future": "You add up what came *before* a step. Go through the rewards from the end.",
    "last_first": "Right numbers in reverse order: you went from the end to the start and kept them in that order.",
    "discounts_the_reward_of_now": "Your first term is gamma * rewards[t]. The reward of now is not discounted.",
    "two_steps_only": "You look one step ahead only. Add gamma times the *return* of the next step, not its reward.",
    "gamma_grows_too_fast": "You discount twice for each step.",
    "gamma_divides": "You divide by gamma, so that what is far away counts more.",
    "first_return_only": "That is G[0]. One return for each step is asked for.",
}


# q_update


def _q_case(rng, S=4, A=3, done=False, alpha=0.5, gamma=0.9):
    Q = rng.normal(size=(S, A)) * 2
    s, s_next = (int(n) for n in rng.choice(S, 2, replace=False)) if S > 1 else (0, 0)
    return Q, s, int(rng.integers(A)), float(rng.normal()), s_next, done, alpha, gamma


def _q_sample(rng):
    S, A = (int(n) for n in rng.integers((1, 1), (6, 5)))
    return _q_case(rng, S, A, bool(rng.random() < 0.4), float(rng.uniform(0.05, 1)), float(rng.uniform(0, 1)))


def _q_oracle(Q, s, a, r, s_next, done, alpha, gamma):
    """As a weighted mean of the old value and the target, in lists."""
    table = Q.tolist()
    future = 0.0 if done else max(table[s_next])
    table[s][a] = (1 - alpha) * table[s][a] + alpha * (r + gamma * future)
    return np.array(table)


def _expect_q(attempt, case, why=""):
    attempt.expect(case, _q_oracle(*case), why)


def _check_q_by_hand(attempt):
    Q = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])
    expected = np.array([[1.0, 3.3], [3.0, 4.0], [0.0, 0.0]])
    why = "The target is 1 + 0.9 * 4 = 4.6, and 2 goes half of the way to it."
    attempt.expect((Q, 0, 1, 1.0, 1, False, 0.5, 0.9), expected, why)


def _check_q_end(attempt):
    Q = np.array([[1.0, 2.0], [5.0, 5.0]])
    why = "The episode has ended: the target is the reward, 1, whatever the table says of the last state."
    attempt.expect((Q, 0, 1, 1.0, 1, True, 0.5, 0.9), np.array([[1.0, 1.5], [5.0, 5.0]]), why)
    rng = np.random.default_rng(11)
    for S, A in ((3, 2), (5, 4)):
        _expect_q(attempt, _q_case(rng, S, A, True), "The episode ends with this step.")


def _check_q_random(attempt):
    rng = np.random.default_rng(12)
    for S, A in ((3, 2), (6, 4), (2, 1)):
        alpha, gamma = (float(x) for x in rng.uniform(0.1, 1, 2))
        _expect_q(attempt, _q_case(rng, S, A, False, alpha, gamma))


def _check_q_rates(attempt):
    rng = np.random.default_rng(13)
    Q, s, a, r, s_next, *_ = _q_case(rng)
    attempt.expect((Q, s, a, r, s_next, False, 0.0, 0.9), Q.copy(), "With alpha 0 nothing is learned.")
    _expect_q(attempt, (Q, s, a, r, s_next, False, 1.0, 0.9), "With alpha 1 the target replaces the old value.")
    _expect_q(attempt, (Q, s, a, r, s_next, False, 0.3, 0.0), "With gamma 0 only the reward counts.")


def _check_q_same_state(attempt):
    rng = np.random.default_rng(14)
    for a in range(3):
        Q, s, _, r, *_ = _q_case(rng)
        _expect_q(attempt, (Q, s, a, r, s, False, 0.5, 0.9), "The agent ran into a wall and stayed where it was.")


def _q_probes():
    rng = np.random.default_rng(15)
    return [
        _q_case(rng, 4, 3, False, 0.4, 0.8),
        _q_case(rng, 4, 3, True, 0.3, 0.9),
        _q_case(rng, 5, 4, False, 0.7, 0.6),
        _q_case(rng, 3, 4, True, 0.6, 0.7),
    ]


def _q_with(
    future=lambda Q, s, a, s_next: Q[s_next].max(),
    end=lambda Q, s, a, s_next, done: not done,
    target=lambda r, gamma, future, goes_on: r + gamma * future if goes_on else r,
    step=lambda old, target, alpha: old + alpha * (target - old),
    where=lambda s, a, s_next: (s, a),
    value=lambda Q, new, s, a: Q,
):
    """An update from its parts."""

    def run(Q, s, a, r, s_next, done, alpha, gamma):
        Q, goes_on = Q.copy(), end(Q, s, a, s_next, done)
        goal = target(r, gamma, future(Q, s, a, s_next), goes_on)
        place = where(s, a, s_next)
        Q[place] = step(Q[place], goal, alpha)
        return value(Q, Q[place], s, a)

    return run


def _q_nothing_at_the_end(Q, s, a, r, s_next, done, alpha, gamma):
    return Q.copy() if done else q_update(Q, s, a, r, s_next, done, alpha, gamma)


def _q_in_place(Q, s, a, r, s_next, done, alpha, gamma):
    target = r if done else r + gamma * Q[s_next].max()
    Q[s, a] += alpha * (target - Q[s, a])
    return Q


_Q_WRONG = {
    "mean_of_the_next_values": (_q_with(future=lambda Q, s, a, s_next: Q[s_next].mean()),),
    "bootstraps_through_the_end": (_q_with(end=lambda Q, s, a, s_next, done: True),),
    "done_turned_round": (_q_with(end=lambda Q, s, a, s_next, done: done),),
    "nothing_learned_at_the_end": (_q_nothing_at_the_end,),
    "same_action_again": (_q_with(future=lambda Q, s, a, s_next: Q[s_next, a]),),
    "place_of_the_maximum": (_q_with(future=lambda Q, s, a, s_next: Q[s_next].argmax()),),
    "best_of_the_old_state": (_q_with(future=lambda Q, s, a, s_next: Q[s].max()),),
    "best_of_the_whole_table": (_q_with(future=lambda Q, s, a, s_next: Q.max()),),
    "replaced_by_the_target": (_q_with(step=lambda old, target, alpha: target),),
    "target_added": (_q_with(step=lambda old, target, alpha: old + alpha * target),),
    "away_from_the_target": (_q_with(step=lambda old, target, alpha: old - alpha * (target - old)),),
    "alpha_turned_round": (_q_with(step=lambda old, target, alpha: alpha * old + (1 - alpha) * target),),
    "gamma_left_out": (_q_with(target=lambda r, gamma, future, goes_on: r + future * goes_on),),
    "reward_discounted": (
        _q_with(target=lambda r, gamma, future, goes_on: gamma * (r + future * goes_on)),
        _q_with(target=lambda r, gamma, future, goes_on: gamma * (r + future) if goes_on else r),
    ),
    "reward_lost_at_the_end": (_q_with(target=lambda r, gamma, future, goes_on: (r + gamma * future) * goes_on),),
    "reward_at_the_end_only": (_q_with(target=lambda r, gamma, future, goes_on: gamma * future if goes_on else r),),
    "whole_row_changed": (_q_with(where=lambda s, a, s_next: s),),
    "next_state_changed": (_q_with(where=lambda s, a, s_next: (s_next, a)),),
    "new_value_only": (_q_with(value=lambda Q, new, s, a: float(new)),),
}
_Q_HINTS = {
    "bootstraps_through_the_end": "Right as long as the episode goes on. Where done is True nothing comes after s_next: "
    "which part of the target is 0 then?",
    "done_turned_round": "You look ahead exactly where the episode has ended, and nowhere else.",
    "nothing_learned_at_the_end": "Where done is True you change nothing. That step has a reward, often the only one.",
    "same_action_again": "You take Q[s_next, a], as if the agent had to repeat its action. It may choose the best one.",
    "mean_of_the_next_values": "You take the mean over the next actions. Q-learning takes the best.",
    "place_of_the_maximum": "argmax is the number of the best action. Its value is asked for: max.",
    "best_of_the_old_state": "You look at the best action of s. The agent is in s_next now.",
    "best_of_the_whole_table": "You take the largest value of the whole table. Only row s_next can be reached.",
    "replaced_by_the_target": "The target replaces the old value. alpha says how far to go towards it.",
    "target_added": "You add alpha times the target, so the value grows with every visit. Add alpha times the "
    "*difference* to the old value.",
    "away_from_the_target": "Your value moves away from the target.",
    "alpha_turned_round": "alpha is the weight of the target, 1 - alpha that of the old value. Yours are exchanged.",
    "gamma_left_out": "gamma has no effect.",
    "reward_discounted": "You discount the reward of now as well. Only what comes after it is discounted.",
    "reward_lost_at_the_end": "Where done is True your target is 0. The last reward was paid all the same.",
    "reward_at_the_end_only": "While the episode goes on you forget r.",
    "whole_row_changed": "You change all actions of s. The agent has tried only one of them.",
    "next_state_changed": "You change row s_next. What has been learned is the worth of a in s.",
    "new_value_only": "That is the new value. Return the whole table.",
}


# epsilon_greedy


def _greedy_sample(rng):
    A = int(rng.integers(1, 6))
    values = np.round(rng.normal(size=A), int(rng.integers(0, 2)))  # ties are frequent
    return values, float(rng.choice([0.0, 0.1, 0.5, 1.0]))


def _greedy_oracle(values, epsilon):
    """Action by action, counting the best ones."""
    values = values.tolist()
    winners = [i for i, v in enumerate(values) if v == max(values)]
    return np.array([epsilon / len(values) + (i in winners) * (1 - epsilon) / len(winners) for i in range(len(values))])


def _expect_greedy(attempt, case, why=""):
    attempt.expect(case, _greedy_oracle(*case), why)


def _check_greedy_by_hand(attempt):
    case = np.array([1.0, 3.0, 2.0, 0.0]), 0.2
    why = "Each of 4 gets 0.2 / 4 = 0.05, and the best one 0.8 more."
    attempt.expect(case, np.array([0.05, 0.85, 0.05, 0.05]), why)


def _check_greedy_random(attempt):
    rng = np.random.default_rng(21)
    for A in (2, 3, 5):
        _expect_greedy(attempt, (rng.normal(size=A), float(rng.uniform(0.05, 0.6))))
    _expect_greedy(attempt, (-1 - rng.random(4), 0.1), "All values are negative here.")


def _check_greedy_ties(attempt):
    why = "Nothing is known yet, so no action is better than another."
    attempt.expect((np.zeros(4), 0.1), np.full(4, 0.25), why)
    attempt.expect((np.array([2.0, 1.0, 2.0]), 0.3), np.array([0.45, 0.1, 0.45]), "Two actions are equally good here.")


def _check_greedy_ends(attempt):
    values = np.array([0.5, -1.0, 0.2])
    attempt.expect((values, 0.0), np.array([1.0, 0.0, 0.0]), "With epsilon 0 it is always the best one.")
    attempt.expect((values, 1.0), np.full(3, 1 / 3), "With epsilon 1 it is any action, the best one as often as others.")
    attempt.expect((np.array([4.0]), 0.3), np.array([1.0]), "There is one action only.")


def _check_greedy_scale(attempt):
    rng = np.random.default_rng(22)
    values = rng.normal(size=4)
    for changed in (values * 100, values * 1e-3, values + 7):
        attempt.expect((changed, 0.2), _greedy_oracle(values, 0.2), "Only the order of the values counts, not their size.")


def _greedy_probes():
    rng = np.random.default_rng(23)
    return [
        (rng.normal(size=4), 0.3),
        (np.array([1.0, 2.0, 2.0, -3.0, 2.0]), 0.2),
        (np.array([-0.5, -2.0, -0.5]), 0.4),
        (np.zeros(3), 0.1),
        (np.array([-4.0, -1.0, 0.5]), 0.6),
    ]


def _greedy_with(best, share=lambda best, A, epsilon: epsilon / A + (1 - epsilon) * best):
    return _quiet(lambda values, epsilon: share(best(values), len(values), epsilon))


def _all_best(values):
    best = (values == values.max()).astype(float)
    return best / best.sum()


def _one_best(place):
    return lambda values: np.eye(len(values))[place(values)]


_first = _one_best(lambda values: values.argmax())
_last = _one_best(lambda values: len(values) - 1 - values[::-1].argmax())


def _others_only(best, A, epsilon):
    return np.where(best > 0, (1 - epsilon) * best, epsilon / max(1, A - 1))


def _others_share(best, A, epsilon):
    rest = (best == 0).sum()
    return (1 - epsilon) * best + (epsilon / rest * (best == 0) if rest else epsilon * best)


def _rest_unfilled(best, A, epsilon):
    return np.where(best > 0, (1 - epsilon) * best, epsilon / A)


_GREEDY_WRONG = {
    "epsilon_turned_round": (
        _greedy_with(_all_best, lambda best, A, epsilon: (1 - epsilon) / A + epsilon * best),
        _greedy_with(_first, lambda best, A, epsilon: (1 - epsilon) / A + epsilon * best),
    ),
    "first_of_equals": (_greedy_with(_first),),
    "last_of_equals": (_greedy_with(_last),),
    "each_of_equals_in_full": (_greedy_with(lambda values: (values == values.max()).astype(float)),),
    "best_not_among_the_random": tuple(
        _greedy_with(best, share) for share in (_others_only, _others_share) for best in (_all_best, _first)
    ),
    "does_not_sum_to_one": (_greedy_with(_all_best, _rest_unfilled), _greedy_with(_first, _rest_unfilled)),
    "never_explores": (
        _greedy_with(_all_best, lambda best, A, epsilon: best),
        _greedy_with(_first, lambda best, A, epsilon: best),
    ),
    "epsilon_for_each": (
        _greedy_with(_all_best, lambda best, A, epsilon: epsilon + (1 - epsilon) * best),
        _greedy_with(_all_best, lambda best, A, epsilon: epsilon + (1 - A * epsilon) * best),
    ),
    "worst_favoured": (
        _greedy_with(lambda values: _all_best(-values)),
        _greedy_with(lambda values: _first(-values)),
    ),
    "softmax": (
        _greedy_with(_softmax),
        lambda values, epsilon: _softmax(values),
        _quiet(lambda values, epsilon: _softmax(values / epsilon)),
    ),
    "in_proportion": (
        _greedy_with(lambda values: values / values.sum()),
        _greedy_with(lambda values: np.maximum(values, 0) / np.maximum(values, 0).sum()),
    ),
    "an_action": (lambda values, epsilon: int(values.argmax()),),
}
_GREEDY_HINTS = {
    "first_of_equals": "Where several actions are equally good you take the first. A table that starts with zeros then "
    "makes the agent run into the same wall for ever.",
    "last_of_equals": "Where several actions are equally good you take the last. Share 1 - epsilon among them.",
    "each_of_equals_in_full": "Each of the best actions gets the whole of 1 - epsilon, and your sum is above 1.",
    "best_not_among_the_random": "You share epsilon among the other actions. 'Any action' includes the best one.",
    "does_not_sum_to_one": "Your probabilities don't sum to 1: the best action gets its part of epsilon, too.",
    "epsilon_turned_round": "epsilon is the part for exploring. Yours are exchanged.",
    "never_explores": "epsilon has no effect.",
    "epsilon_for_each": "Every action gets the whole epsilon. They share it.",
    "worst_favoured": "You favour the smallest value.",
    "softmax": "That is a softmax: it depends on how large the values are. Here only the order counts.",
    "in_proportion": "You share in proportion to the values. What if one is negative?",
    "an_action": "That is an action. Return how likely each of them is.",
}


# bootstraps_through_end: the learner's own test, tried on right and on wrong updates


@dataclass(frozen=True)
class Update:
    """A Q update; `kind` says what is wrong with it, if anything."""

    kind: str
    actions: int = 3  # that a table must have for it; 0: any number

    def __call__(self, Q, s, a, r, s_next, done, alpha, gamma):
        kind, ahead, end = self.kind, Q[s_next].max(), 0.0
        if kind in THROUGH:
            end = THROUGH[kind](Q[s_next], a)
        if kind == "own row at the end":
            end = Q[s].max()
        if kind == "done turned round":
            ahead, end = 0.0, ahead
        if kind == "mean, right at the end":
            ahead = Q[s_next].mean()
        if kind == "the end costs one":
            end = -1.0
        target = r + gamma * (end if done else ahead)
        if kind == "reward doubled at the end" and done:
            target = 2 * r
        if kind == "nothing at the end" and done:
            return Q
        table = Q if "in place" in kind else Q.copy()
        old = table[s, a]
        if kind == "target added":
            table[s, a] = old + alpha * target
        elif kind == "alpha forgotten":
            table[s, a] = target
        else:
            table[s, a] = old + alpha * (target - old)
        return table

    def __repr__(self):
        return f"<an update: {self.kind}>"


THROUGH = {  # what it takes from the row of the next state although the episode has ended
    "through the end": lambda row, a: row.max(),
    "through the end, in place": lambda row, a: row.max(),
    "through the end, mean": lambda row, a: row.mean(),
    "through the end, same action": lambda row, a: row[a],
    "through the end, worst": lambda row, a: row.min(),
    "through the end, a little": lambda row, a: 0.2 * row.max(),
    "through the end, if good": lambda row, a: max(0.0, row.max()),
    "through the end, if bad": lambda row, a: min(0.0, row.max()),
}
LEAKING = (*THROUGH, "done turned round")
TIGHT = (
    "right", "right, in place", "mean, right at the end", "own row at the end", "reward doubled at the end",
    "nothing at the end", "target added", "alpha forgotten", "the end costs one",
)  # fmt: skip


def _update_sample(rng):
    return (Update(str(rng.choice(LEAKING + TIGHT))),)


def _check_updates(kinds, expected, why):
    def check(attempt):
        for kind in kinds:
            attempt.expect((Update(kind),), expected, why.format(kind))

    return check


_check_update_right = _check_updates(
    TIGHT[:3], False, "This update stops at the end ({}): row s comes out the same, whatever row s_next holds."
)
_check_update_through = _check_updates(LEAKING[:3] + LEAKING[-1:], True, "This update looks behind the end ({}).")
_check_update_hidden = _check_updates(
    LEAKING[3:-1], True, "This update looks behind the end ({}). Does your table let it show?"
)
_check_update_other = _check_updates(
    TIGHT[3:], False, "This update is wrong in another way ({}), but Q[s_next] has no part in it."
)


def _update_probes():
    return [(Update(kind),) for kind in TIGHT + LEAKING]


def _tested(
    rows=(0.0, 5.0, -5.0), s_row=(1.0, 2.0, 3.0), r=1.0, done=True, alpha=0.5, gamma=0.9,
    verdict=lambda seen, start: not all(np.allclose(seen[0], row) for row in seen[1:]),
):  # fmt: skip
    """A test from its parts: tables that differ in the row of the next state, and what it compares."""

    def test(update):
        seen = []
        for row in rows:
            Q = np.array([s_row, np.broadcast_to(row, 3)], dtype=float)
            seen.append(update(Q, 0, 1, r, 1, done, alpha, gamma)[0].copy())
        return bool(verdict(seen, np.array(s_row)))

    return test


def _not_as_it_should(seen, start):
    """Compares the result with the right one, so that any other mistake is a leak, too."""
    right = start.copy()
    right[1] += 0.5 * (1.0 - right[1])
    return not all(np.allclose(row, right) for row in seen)


def _right_is_wrong(seen, start):
    return all(np.allclose(seen[0], row) for row in seen[1:])


def _done_switched(row):
    """Asks whether `done` makes a difference."""

    def test(update):
        table = np.array([[1.0, 2.3, 3.0], row])
        one, two = (update(table.copy(), 0, 1, 1.0, 1, done, 0.5, 0.9) for done in (True, False))
        return bool(np.allclose(one, two))

    return test


_UPDATE_WRONG = {
    "turned_round": (_tested(verdict=_right_is_wrong),),
    "zeros_hide_it": (
        _tested(rows=(0.0,), s_row=(0.0, 0.0, 0.0), verdict=lambda seen, start: not np.allclose(seen[0], [0, 0.5, 0])),
        _tested(rows=(0.0,), verdict=_not_as_it_should),
    ),
    "before_the_end": (_tested(done=False),),
    "done_switched": tuple(
        _done_switched(row) for row in ([5.0, 3.0, 4.0], [3.0, 5.0, 4.0], [-5.0, -3.0, -4.0], [-3.0, -5.0, -4.0])
    ),
    "any_mistake_counts": (_tested(verdict=_not_as_it_should), _tested(rows=(5.0,), verdict=_not_as_it_should)),
    "nothing_can_show": (_tested(gamma=0.0), _tested(alpha=0.0)),
    "negative_values_only": (_tested(rows=(0.0, -5.0)), _tested(rows=(-1.0, -5.0))),
    "positive_values_only": (_tested(rows=(0.0, 5.0)), _tested(rows=(1.0, 5.0))),
    "one_entry_only": (_tested(rows=(0.0, (5.0, 0.0, 0.0), (-5.0, 0.0, 0.0))),),
    "does_it_change_anything": (_tested(rows=(5.0,), s_row=(1.0, 2.3, 3.0), verdict=lambda seen, start: not np.allclose(seen[0], start)),),
}
_UPDATE_HINTS = {
    "done_switched": "You ask whether `done` makes a difference. Leave done=True and change the row s_next: an update may look "
    "behind the end in another way than before it.",
    "zeros_hide_it": "In your table the values of the next state are 0, and 0.9 times 0 shows nothing. What if they "
    "start at 5?",
    "before_the_end": "You call the update with done=False. There every update should look ahead.",
    "turned_round": "Your True and False are exchanged.",
    "any_mistake_counts": "You compare with the right result, so every mistake is a leak. Call the update twice, with "
    "different rows s_next, and compare the two.",
    "nothing_can_show": "Your test never says True. With gamma 0, with alpha 0 or with equal rows nothing of the next "
    "state can show.",
    "negative_values_only": "Some updates only let good values through. Try a positive row as well.",
    "positive_values_only": "Some updates only let bad values through. Try a negative row as well.",
    "one_entry_only": "You change one entry of the next row. The update may look at another: change all of them.",
    "does_it_change_anything": "Every update changes Q[s] by the reward. The question is whether the *next row* has a "
    "part in it.",
}


# reinforce_gradient


def _policy_case(rng, S=3, A=3, T=6, scale=1.0):
    theta = rng.normal(size=(S, A)) * scale
    return theta, rng.integers(0, S, T), rng.integers(0, A, T), rng.normal(size=T) * 2


def _policy_sample(rng):
    S, A, T = (int(n) for n in rng.integers((1, 2, 1), (4, 5, 9)))
    return _policy_case(rng, S, A, T, float(rng.choice([0.5, 2.0])))


def _policy_oracle(theta, states, actions, weights):
    """By central differences of the weighted log-probability."""

    def score(table):
        total = 0.0
        for s, a, weight in zip(states.tolist(), actions.tolist(), weights.tolist()):
            top = max(table[s])
            total += weight * (table[s][a] - top - math.log(math.fsum(math.exp(v - top) for v in table[s])))
        return total

    out, table = np.zeros(theta.shape), theta.tolist()
    for i, j in np.ndindex(theta.shape):
        kept, values = table[i][j], []
        for step in (1e-5, -1e-5):
            table[i][j] = kept + step
            values.append(score(table))
        table[i][j] = kept
        out[i, j] = (values[0] - values[1]) / 2e-5
    return np.round(out, 8)


def _expect_policy(attempt, case, why=""):
    attempt.expect(case, _policy_oracle(*case), why)


def _check_policy_by_hand(attempt):
    case = np.zeros((1, 2)), np.array([0]), np.array([1]), np.array([4.0])
    why = "Both actions have probability 0.5. log p(1) grows by 0.5 with theta[1] and falls by 0.5 with theta[0]."
    attempt.expect(case, np.array([[-2.0, 2.0]]), why)
    case = np.zeros((2, 2)), np.array([0, 1]), np.array([0, 0]), np.array([2.0, -6.0])
    attempt.expect(case, np.array([[1.0, -1.0], [-3.0, 3.0]]), "An action that did harm gets less likely.")


def _check_policy_random(attempt):
    rng = np.random.default_rng(31)
    for S, A, T in ((2, 3, 1), (3, 2, 5), (4, 4, 8)):
        _expect_policy(attempt, _policy_case(rng, S, A, T), "Compared with finite differences.")


def _check_policy_again(attempt):
    rng = np.random.default_rng(32)
    theta, _, _, weights = _policy_case(rng, 2, 3, 4)
    why = "The same state is met four times: all four count."
    _expect_policy(attempt, (theta, np.zeros(4, int), np.array([0, 1, 1, 2]), weights), why)
    _expect_policy(attempt, (theta, np.ones(4, int), np.array([2, 2, 2, 2]), weights), why)


def _check_policy_large(attempt):
    theta = np.array([[1000.0, 0.0, -1000.0], [2.0, 1.0, 0.0]])
    p = np.exp([2.0, 1.0, 0.0]) / np.exp([2.0, 1.0, 0.0]).sum()
    expected = np.array([[-3.0, 3.0, 0.0], np.array([1.0, 0.0, 0.0]) - p])
    case = theta, np.array([0, 1]), np.array([1, 0]), np.array([3.0, 1.0])
    attempt.expect(case, expected, "theta in the thousands must not overflow.")


def _check_policy_rows(attempt):
    rng = np.random.default_rng(33)
    theta, states, actions, weights = _policy_case(rng, 5, 3, 4)
    _expect_policy(attempt, (theta, states % 2, actions, weights), "States that were not met have gradient 0.")
    attempt.expect((theta, states, actions, weights * 0), np.zeros((5, 3)), "Nothing was paid.")


def _policy_probes():
    rng = np.random.default_rng(34)
    theta, _, _, weights = _policy_case(rng, 2, 3, 5)
    twice = theta, np.array([0, 0, 1, 1, 0]), np.array([0, 2, 1, 1, 0]), weights
    large = np.array([[800.0, 1.0, 0.0], [0.5, 0.1, 0.0]])
    return [twice, _policy_case(rng, 3, 4, 7), _policy_case(rng, 1, 2, 3), (large, *twice[1:])]


def _policy_with(
    probabilities=_softmax,
    score=lambda p, hot: hot - p,
    weight=lambda weights: weights,
    gather=lambda shape, states, rows: _added(shape, states, rows),
    final=lambda gradient, T: gradient,
):
    """A gradient from its parts; the rows (T, A) belong to the states (T,)."""

    def run(theta, states, actions, weights):
        p = probabilities(theta)[states]
        rows = weight(weights)[:, None] * score(p, np.eye(theta.shape[1])[actions])
        return final(gather(theta.shape, states, rows), len(states))

    return _quiet(run)


def _added(shape, states, rows):
    out = np.zeros(shape)
    np.add.at(out, states, rows)
    return out


def _overwritten(shape, states, rows):
    out = np.zeros(shape)
    out[states] += rows  # of equal indices only the last one counts
    return out


def _bare_softmax(theta):
    return np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)


def _chosen(p, hot):
    return (p * hot).sum(axis=1, keepdims=True)


_POLICY_WRONG = {
    "downhill": (_policy_with(score=lambda p, hot: p - hot),),
    "probability_not_log": (_policy_with(score=lambda p, hot: _chosen(p, hot) * (hot - p)),),
    "divided_once_more": (_policy_with(score=lambda p, hot: (hot - p) / np.maximum(_chosen(p, hot), 1e-300)),),
    "chosen_action_only": (
        _policy_with(score=lambda p, hot: hot),
        _policy_with(score=lambda p, hot: hot * (1 - p)),
    ),
    "probabilities_only": (_policy_with(score=lambda p, hot: p), _policy_with(score=lambda p, hot: -p)),
    "weights_ignored": (_policy_with(weight=np.ones_like),),
    "one_weight_for_all": (
        _policy_with(weight=lambda w: np.full(len(w), w.sum())),
        _policy_with(weight=lambda w: np.full(len(w), w[0])),
        _policy_with(weight=lambda w: np.full(len(w), w.mean())),
    ),
    "mean_over_the_steps": (_policy_with(final=lambda g, T: g / T),),
    "last_visit_only": (_policy_with(gather=_overwritten),),
    "every_state_changed": (
        _policy_with(gather=lambda shape, states, rows: np.broadcast_to(rows.sum(axis=0), shape).copy()),
    ),
    "theta_for_probabilities": (_policy_with(probabilities=lambda theta: theta),),
    "softmax_over_the_states": (_policy_with(probabilities=lambda theta: _softmax(theta.T).T),),
    "overflow": (_policy_with(probabilities=_bare_softmax),),
    "stepped": (lambda theta, *rest: theta + reinforce_gradient(theta, *rest),),
}
_POLICY_HINTS = {
    "downhill": "Your gradient points away from the return. To be subtracted from theta? The return is to grow.",
    "probability_not_log": "You differentiate the probability. Asked is the gradient of its logarithm: that divides by "
    "the probability.",
    "divided_once_more": "You divide by the probability of the action as well. The logarithm has done that already.",
    "chosen_action_only": "Only the action that was taken moves. If it gets likelier, what about the others?",
    "probabilities_only": "Where does it show which action was taken?",
    "weights_ignored": "weights has no effect: good and bad actions count alike.",
    "one_weight_for_all": "All steps get the same weight. Each has its own.",
    "mean_over_the_steps": "You divide by the number of steps. The sum is asked for.",
    "last_visit_only": "Where a state is met twice only its last visit counts: `gradient[states] += rows` writes every "
    "index once. np.add.at(gradient, states, rows) adds them all.",
    "every_state_changed": "All states get the same gradient. An action in s moves row s only.",
    "theta_for_probabilities": "You use theta as if it held probabilities. Softmax of the row first.",
    "softmax_over_the_states": "Your softmax runs over the states. Each state shares out 1 over its *actions*.",
    "overflow": "Right for small theta, nan for large. What does a stable softmax subtract first?",
    "stepped": "That is theta after a step. Return the gradient itself.",
}


# is_unbiased: the learner's own test, tried on right and on wrong estimates


@dataclass(frozen=True)
class Estimate:
    """An estimate of a bandit's gradient from one pull; `kind` says how it is made."""

    kind: str

    def __call__(self, theta, action, reward):
        p = _softmax(np.asarray(theta, dtype=float))
        hot = np.eye(len(p))[action]
        return np.asarray(ESTIMATES[self.kind](p, hot, float(reward), np.asarray(theta, dtype=float)))

    def __repr__(self):
        return f"<an estimate: {self.kind}>"


ESTIMATES = {
    "score": lambda p, hot, r, theta: r * (hot - p),
    "score, baseline 2": lambda p, hot, r, theta: (r - 2) * (hot - p),
    "score, baseline from theta": lambda p, hot, r, theta: (r + theta[0] - 3) * (hot - p),
    "score, written out": lambda p, hot, r, theta: r * hot - r * p,
    "wrong sign": lambda p, hot, r, theta: -r * (hot - p),
    "no score": lambda p, hot, r, theta: 0.0 * p,
    "doubled": lambda p, hot, r, theta: 2 * r * (hot - p),
    "probability, not its logarithm": lambda p, hot, r, theta: r * (p @ hot) * (hot - p),
    "divided by p": lambda p, hot, r, theta: r * (hot - p) / (p @ hot),
    "probability, times the number of arms": lambda p, hot, r, theta: len(p) * r * (p @ hot) * (hot - p),
    "chosen arm only": lambda p, hot, r, theta: r * hot,
    "uniform p": lambda p, hot, r, theta: r * (hot - 1 / len(p)),
    "baseline is the reward": lambda p, hot, r, theta: (r - 0.5 * r * (p @ hot)) * (hot - p),
    "rewards above 0 only": lambda p, hot, r, theta: max(r, 0.0) * (hot - p),
    "size of the reward": lambda p, hot, r, theta: abs(r) * (hot - p),
    "rewards cut at 1": lambda p, hot, r, theta: min(r, 1.0) * (hot - p),
}
HONEST = tuple(ESTIMATES)[:4]
BIASED = tuple(ESTIMATES)[4:]


def _estimate_sample(rng):
    return (Estimate(str(rng.choice(list(ESTIMATES)))),)


def _check_estimates(kinds, expected, why):
    def check(attempt):
        for kind in kinds:
            attempt.expect((Estimate(kind),), expected, why.format(kind))

    return check


_check_estimate_right = _check_estimates(HONEST, True, "The mean of this estimate is the gradient ({}).")
_check_estimate_sign = _check_estimates(BIASED[:3], False, "The mean of this estimate is not the gradient ({}).")
_check_estimate_score = _check_estimates(BIASED[3:7], False, "The mean of this estimate is not the gradient ({}).")
_check_estimate_hidden = _check_estimates(
    BIASED[7:], False, "The mean of this estimate is the gradient for some theta or some rewards only ({})."
)


def _estimate_probes():
    return [(Estimate(kind),) for kind in ESTIMATES]


def _unbiased_with(
    thetas=((0.5, -1.0, 0.2), (-0.3, 0.8, 1.1)), rewards=((1.0, -2.0, 4.0), (-3.0, 0.5, 2.5)),
    mean=lambda p, each: p @ each, exact=lambda p, r: p * (r - p @ r), verdict=np.allclose,
):  # fmt: skip
    """A test from its parts."""

    def test(estimate):
        for theta, r in zip(np.array(thetas), np.array(rewards)):
            p = _softmax(theta)
            each = np.array([estimate(theta, a, r[a]) for a in range(len(p))])
            if not verdict(mean(p, each), exact(p, r)):
                return False
        return True

    return test


def _same_direction(a, b):
    """Equal up to a positive factor."""
    return bool(a @ b > 0.9999 * math.sqrt((a @ a) * (b @ b)) > 0)


_ESTIMATE_WRONG = {
    "turned_round": (lambda estimate: not is_unbiased(estimate),),
    "theta_zero_hides_it": (_unbiased_with(thetas=np.zeros((2, 3))),),
    "not_weighted": (_unbiased_with(mean=lambda p, each: each.mean(axis=0)),
                     _unbiased_with(mean=lambda p, each: each.sum(axis=0))),
    "single_pulls": (
        _unbiased_with(mean=lambda p, each: each, exact=lambda p, r: np.tile(p * (r - p @ r), (3, 1))),
        _unbiased_with(mean=lambda p, each: each[2]),
    ),
    "direction_only": (_unbiased_with(verdict=_same_direction),),
    "rewards_never_negative": (_unbiased_with(rewards=((1.0, 2.0, 5.0), (3.0, 0.5, 2.5))),),
    "rewards_never_above_one": (_unbiased_with(rewards=((1.0, -2.0, 0.5), (-3.0, 0.5, 0.2))),),
    "sums_to_zero": (
        lambda estimate: all(abs(np.sum(estimate(np.array([0.5, -1.0, 0.2]), a, 1.0 + a))) < 1e-9 for a in range(3)),
    ),
    "minus_sign_expected": (_unbiased_with(exact=lambda p, r: -p * (r - p @ r)),),
}  # fmt: skip
_ESTIMATE_HINTS = {
    "theta_zero_hides_it": "With theta = 0 all arms are equally likely, and a mistake in p doesn't show. Try others.",
    "not_weighted": "You take the plain sum or mean over the arms. How often is each of them pulled?",
    "single_pulls": "You want a single pull to give the exact gradient. Only the mean over the arms does, each counted "
    "as often as it is pulled.",
    "direction_only": "You compare the direction only. An estimate that is twice too long is wrong, too.",
    "rewards_never_negative": "All your rewards are positive. A mistake in the sign of a reward doesn't show.",
    "rewards_never_above_one": "No reward of yours is above 1. An estimate that cuts them there passes.",
    "turned_round": "Your True and False are exchanged.",
    "sums_to_zero": "That the entries sum to 0 holds for many wrong gradients. Compare with the exact one, "
    "p * (rewards - p @ rewards).",
    "minus_sign_expected": "Your exact gradient has the wrong sign: which arm should become likelier?",
}


EXERCISES = (
    Exercise(
        id="reinforcement_learning.returns_to_go",
        reference=returns_to_go,
        difficulty=1,
        minutes=6,
        section="What is a step worth?",
        hints=(
            "The last return is the last reward. Each one before it is its own reward plus gamma times the return after.",
            "Go backwards: for t in reversed(range(len(rewards))).",
            "later = rewards[t] + gamma * later; G[t] = later, with later = 0.0 before the loop.",
        ),
        checks=(
            Check("two episodes by hand", _check_returns_by_hand),
            Check("random rewards", _check_returns_random),
            Check("gamma 0 and 1", _check_returns_ends),
            Check("short episodes", _check_returns_one),
            Check("the past does not count", _check_returns_future),
        ),
        misconceptions=misconceptions_of(_RETURNS_WRONG, _RETURNS_HINTS),
        probes=_returns_probes,
        sample=_returns_sample,
    ),
    Exercise(
        id="reinforcement_learning.q_update",
        reference=q_update,
        difficulty=2,
        minutes=8,
        section="Learning without the tables",
        hints=(
            "First the target: the reward, and, unless the episode has ended, gamma times the best value of s_next.",
            "Then move Q[s, a] by alpha times (target - Q[s, a]), in a copy of the table.",
            "target = r if done else r + gamma * Q[s_next].max()",
        ),
        checks=(
            Check("one step by hand", _check_q_by_hand),
            Check("the end of an episode", _check_q_end),
            Check("random tables", _check_q_random),
            Check("extreme rates", _check_q_rates),
            Check("against a wall", _check_q_same_state),
        ),
        misconceptions=misconceptions_of(_Q_WRONG, _Q_HINTS),
        probes=_q_probes,
        sample=_q_sample,
    ),
    Exercise(
        id="reinforcement_learning.epsilon_greedy",
        reference=epsilon_greedy,
        difficulty=2,
        minutes=8,
        section="Learning without the tables",
        hints=(
            "values == values.max() is True for all the best actions, also if there are several.",
            "Everybody gets epsilon / len(values), the best ones included.",
            "best = values == values.max(); then add (1 - epsilon) * best / best.sum().",
        ),
        checks=(
            Check("four actions by hand", _check_greedy_by_hand),
            Check("random values", _check_greedy_random),
            Check("equally good actions", _check_greedy_ties),
            Check("epsilon 0 and 1", _check_greedy_ends),
            Check("only the order counts", _check_greedy_scale),
        ),
        misconceptions=misconceptions_of(_GREEDY_WRONG, _GREEDY_HINTS),
        probes=_greedy_probes,
        sample=_greedy_sample,
    ),
    Exercise(
        id="reinforcement_learning.bootstraps_through_end",
        reference=bootstraps_through_end,
        difficulty=3,
        minutes=10,
        section="Nothing comes after the end",
        hints=(
            "Call the update twice with done=True, on tables that differ in row s_next only. Does row s differ?",
            "Make a new table for each call: the update may write into it. Try large, small and negative values.",
            "rows.append(update(Q, 0, 1, 1.0, 1, True, 0.5, 0.9)[0]), then np.allclose of the rows.",
        ),
        checks=(
            Check("updates that stop", _check_update_right),
            Check("updates that go on", _check_update_through),
            Check("leaks that hide", _check_update_hidden),
            Check("other mistakes", _check_update_other),
        ),
        misconceptions=misconceptions_of(_UPDATE_WRONG, _UPDATE_HINTS),
        probes=_update_probes,
        sample=_update_sample,
        drive=_answer,
    ),
    Exercise(
        id="reinforcement_learning.reinforce_gradient",
        reference=reinforce_gradient,
        difficulty=3,
        minutes=12,
        section="The policy itself",
        hints=(
            "For one step: the gradient of log softmax(theta[s])[a] for theta[s] is one_hot(a) - p.",
            "Compute p (S, A) by a stable softmax of each row; then go through the steps and *add* into row s.",
            "gradient[s] -= weight * p[s]; gradient[s, a] += weight",
        ),
        checks=(
            Check("two actions by hand", _check_policy_by_hand),
            Check("random episodes against finite differences", _check_policy_random),
            Check("states met again", _check_policy_again),
            Check("large theta", _check_policy_large),
            Check("states not met", _check_policy_rows),
        ),
        misconceptions=misconceptions_of(_POLICY_WRONG, _POLICY_HINTS),
        probes=_policy_probes,
        sample=_policy_sample,
    ),
    Exercise(
        id="reinforcement_learning.is_unbiased",
        reference=is_unbiased,
        difficulty=3,
        minutes=12,
        section="What the articles say",
        hints=(
            "With a few arms there is no need to draw: the mean is the sum over a of p[a] * estimate(theta, a, rewards[a]).",
            "The exact gradient is p * (rewards - p @ rewards). Compare with np.allclose.",
            "Do it for several random theta and rewards, some of them negative: a single theta can hide a mistake.",
        ),
        checks=(
            Check("estimates that are right", _check_estimate_right),
            Check("sign, score and length", _check_estimate_sign),
            Check("wrong scores", _check_estimate_score),
            Check("mistakes that hide", _check_estimate_hidden),
        ),
        misconceptions=misconceptions_of(_ESTIMATE_WRONG, _ESTIMATE_HINTS),
        probes=_estimate_probes,
        sample=_estimate_sample,
        drive=_answer,
    ),
)
