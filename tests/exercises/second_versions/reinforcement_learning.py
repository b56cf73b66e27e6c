"""Each misconception once more, in another style and with other names."""

import numpy as np


def noiseless(work):
    def run(*args):
        with np.errstate(all="ignore"):
            return work(*args)

    return run


# returns_to_go: sums over pairs of steps


def summed(weight, pays=lambda k, t: k >= t):
    """Sums of the rewards at k with pays(k, t), each times weight(gamma, k, t)."""

    def run(paid, discount):
        n = len(paid)
        return np.array([sum(paid[k] * weight(discount, k, t) for k in range(n) if pays(k, t)) for t in range(n)], float)

    return run


RETURNS = {
    "one_return_for_all": [summed(lambda g, k, t: g**k, lambda k, t: True), summed(lambda g, k, t: 1, lambda k, t: True)],
    "not_discounted": [lambda paid, discount: np.flip(np.cumsum(np.flip(paid)))],
    "reward_of_now_left_out": [
        summed(lambda g, k, t: g ** (k - t - 1), lambda k, t: k > t),
        summed(lambda g, k, t: g ** (k - t), lambda k, t: k > t),
    ],
    "discounted_from_the_start": [summed(lambda g, k, t: g**k)],
    "past_in_place_of_future": [
        summed(lambda g, k, t: g ** (t - k), lambda k, t: k <= t),
        summed(lambda g, k, t: g**k, lambda k, t: k <= t),
    ],
    "last_first": [lambda paid, discount: summed(lambda g, k, t: g ** (k - t))(paid, discount)[::-1]],
    "discounts_the_reward_of_now": [summed(lambda g, k, t: g ** (k - t + 1))],
    "two_steps_only": [summed(lambda g, k, t: g ** (k - t), lambda k, t: t <= k <= t + 1)],
    "gamma_grows_too_fast": [summed(lambda g, k, t: g ** (2 * (k - t)))],
    "gamma_divides": [summed(lambda g, k, t: g ** (t - k))],
    "first_return_only": [lambda paid, discount: sum(x * discount**k for k, x in enumerate(paid))],
}


# q_update: in lists


def table_of(new, place=lambda s, a, s_next: (s, a)):
    """An update whose new entry is new(table, old, s, a, r, s_next, done, alpha, gamma)."""

    def run(Q, s, a, r, s_next, done, alpha, gamma):
        rows = [list(row) for row in Q]
        i, j = place(s, a, s_next)
        rows[i][j] = new(rows, rows[i][j], s, a, r, s_next, done, alpha, gamma)
        return np.array(rows)

    return run


def blend(goal, weight=lambda alpha: alpha):
    """(1 - alpha) old + alpha goal, with goal(rows, s, a, r, s_next, done, gamma)."""

    def new(rows, old, s, a, r, s_next, done, alpha, gamma):
        w = weight(alpha)
        return old * (1 - w) + w * goal(rows, s, a, r, s_next, done, gamma)

    return table_of(new)


def proper(rows, s, a, r, s_next, done, gamma):
    return r + (0 if done else gamma * max(rows[s_next]))


def row_at_once(Q, s, a, r, s_next, done, alpha, gamma):
    out = np.array(Q)
    out[s] += alpha * (proper(Q.tolist(), s, a, r, s_next, done, gamma) - out[s])
    return out


def other_place(Q, s, a, r, s_next, done, alpha, gamma):
    out = np.array(Q)
    out[s_next][a] += alpha * (proper(Q.tolist(), s, a, r, s_next, done, gamma) - out[s_next][a])
    return out


def entry(Q, s, a, r, s_next, done, alpha, gamma):
    return float(Q[s, a] + alpha * (proper(Q.tolist(), s, a, r, s_next, done, gamma) - Q[s, a]))


Q = {
    "bootstraps_through_the_end": [blend(lambda q, s, a, r, n, done, g: r + g * max(q[n]))],
    "done_turned_round": [blend(lambda q, s, a, r, n, done, g: r + (g * max(q[n]) if done else 0))],
    "nothing_learned_at_the_end": [
        lambda Q, s, a, r, n, done, alpha, g: np.array(Q) if done else blend(proper)(Q, s, a, r, n, done, alpha, g)
    ],
    "same_action_again": [blend(lambda q, s, a, r, n, done, g: r + (0 if done else g * q[n][a]))],
    "mean_of_the_next_values": [blend(lambda q, s, a, r, n, done, g: r + (0 if done else g * sum(q[n]) / len(q[n])))],
    "place_of_the_maximum": [blend(lambda q, s, a, r, n, done, g: r + (0 if done else g * q[n].index(max(q[n]))))],
    "best_of_the_old_state": [blend(lambda q, s, a, r, n, done, g: r + (0 if done else g * max(q[s])))],
    "best_of_the_whole_table": [blend(lambda q, s, a, r, n, done, g: r + (0 if done else g * max(map(max, q))))],
    "replaced_by_the_target": [blend(proper, lambda alpha: 1)],
    "target_added": [table_of(lambda q, old, s, a, r, n, done, alpha, g: old + alpha * proper(q, s, a, r, n, done, g))],
    "away_from_the_target": [blend(proper, lambda alpha: -alpha)],
    "alpha_turned_round": [blend(proper, lambda alpha: 1 - alpha)],
    "gamma_left_out": [blend(lambda q, s, a, r, n, done, g: r + (0 if done else max(q[n])))],
    "reward_discounted": [
        blend(lambda q, s, a, r, n, done, g: g * r + (0 if done else g * max(q[n]))),
        blend(lambda q, s, a, r, n, done, g: r if done else g * r + g * max(q[n])),
    ],
    "reward_lost_at_the_end": [blend(lambda q, s, a, r, n, done, g: 0.0 if done else r + g * max(q[n]))],
    "reward_at_the_end_only": [blend(lambda q, s, a, r, n, done, g: r if done else g * max(q[n]))],
    "whole_row_changed": [row_at_once],
    "next_state_changed": [other_place],
    "new_value_only": [entry],
}


# epsilon_greedy: action by action


def shared(winners, part):
    """Probabilities part(won, n_winners, A, epsilon), with winners(list of values) -> list of places."""

    def run(values, epsilon):
        places = winners(values.tolist())
        return np.array([part(i in places, len(places), len(values), epsilon) for i in range(len(values))])

    return noiseless(run)


def top(values):
    return [i for i, v in enumerate(values) if v == max(values)]


def usual(won, n, A, epsilon):
    return epsilon / A + (won and (1 - epsilon) / n)


def boltzmann(values, epsilon):
    return np.exp(values) / np.exp(values).sum()


GREEDY = {
    "first_of_equals": [shared(lambda v: top(v)[:1], usual)],
    "last_of_equals": [shared(lambda v: top(v)[-1:], usual)],
    "each_of_equals_in_full": [shared(top, lambda won, n, A, e: e / A + (1 - e if won else 0))],
    "best_not_among_the_random": [
        shared(lambda v: top(v)[:1], lambda won, n, A, e: 1 - e if won else e / (A - 1)),
        shared(top, lambda won, n, A, e: (1 - e if n < A else 1) / n if won else e / (A - n)),
    ],
    "does_not_sum_to_one": [
        shared(top, lambda won, n, A, e: (1 - e) / n if won else e / A),
        shared(lambda v: top(v)[:1], lambda won, n, A, e: 1 - e if won else e / A),
    ],
    "epsilon_turned_round": [shared(top, lambda won, n, A, e: usual(won, n, A, 1 - e))],
    "never_explores": [shared(top, lambda won, n, A, e: usual(won, n, A, 0.0))],
    "epsilon_for_each": [shared(top, lambda won, n, A, e: e + (won and (1 - e) / n))],
    "worst_favoured": [shared(lambda v: top([-x for x in v]), usual)],
    "softmax": [boltzmann],
    "in_proportion": [noiseless(lambda values, epsilon: epsilon / len(values) + (1 - epsilon) * values / np.sum(values))],
    "an_action": [lambda values, epsilon: max(range(len(values)), key=lambda i: values[i])],
}


# bootstraps_through_end: two calls at a time, in a table with more states


def trial(update, row, start=(0.3, -0.7, 1.2), done=True, alpha=0.6, gamma=0.7, r=2.0):
    """What an update makes of row 2 when row 0, the next state, holds `row`."""
    table = np.array([np.zeros(3) + row, [9.0, 9.0, 9.0], start])
    return np.array(update(table, 2, 2, r, 0, done, alpha, gamma))[2]


def differs(rows, **options):
    return lambda update: any(
        np.abs(trial(update, row, **options) - trial(update, rows[0], **options)).max() > 1e-9 for row in rows[1:]
    )


def wrong_somewhere(rows):
    def test(update):
        return any(np.abs(trial(update, row) - [0.3, -0.7, 1.2 + 0.6 * (2.0 - 1.2)]).max() > 1e-9 for row in rows)

    return test


def same_at_the_end(row):
    def test(update):
        before, after = (trial(update, np.array(row), done=done) for done in (False, True))
        return float(np.abs(before - after).max()) < 1e-9

    return test


UPDATE = {
    "zeros_hide_it": [wrong_somewhere([0.0])],
    "before_the_end": [differs([0.0, 7.0, -7.0], done=False)],
    "done_switched": [
        same_at_the_end(row) for row in ([7.0, 2.0, 1.0], [1.0, 2.0, 7.0], [-7.0, -8.0, -9.0], [-9.0, -8.0, -7.0])
    ],
    "turned_round": [lambda update: not differs([0.0, 7.0, -7.0])(update)],
    "any_mistake_counts": [wrong_somewhere([0.0, 7.0, -7.0]), wrong_somewhere([7.0])],
    "nothing_can_show": [differs([0.0, 7.0, -7.0], gamma=0.0)],
    "negative_values_only": [differs([0.0, -7.0])],
    "positive_values_only": [differs([0.0, 7.0])],
    "one_entry_only": [differs([0.0, np.array([7.0, 0, 0]), np.array([-7.0, 0, 0])])],
    "does_it_change_anything": [lambda update: bool(np.abs(trial(update, 7.0) - [0.3, -0.7, 1.2]).max() > 1e-9)],
}


# reinforce_gradient: step by step, with lists


def policy(theta, row):
    e = np.exp(theta[row] - max(theta[row]))
    return e / sum(e)


def walk(move, weights=lambda w: w, chances=policy, add=True, end=lambda g, n: g):
    """A gradient whose row of step t is weights[t] * move(p, a)."""

    def run(theta, states, actions, credit):
        out = np.zeros_like(theta)
        for s, a, w in zip(states, actions, weights(credit)):
            row = w * move(chances(theta, s), a)
            out[s] = out[s] + row if add else row
        return end(out, len(states))

    return noiseless(run)


def score(p, a):
    row = -np.array(p)
    row[a] += 1
    return row


def only(a, n, value=1.0):
    row = np.zeros(n)
    row[a] = value
    return row


def unstable(theta, row):
    return np.exp(theta[row]) / np.exp(theta[row]).sum()


def columns(theta, row):
    e = np.exp(theta - theta.max(0))
    return (e / e.sum(0))[row]


def all_rows(theta, states, actions, credit):
    total = sum(w * score(policy(theta, s), a) for s, a, w in zip(states, actions, credit))
    return np.tile(total, (len(theta), 1))


POLICY = {
    "downhill": [walk(lambda p, a: -score(p, a))],
    "probability_not_log": [walk(lambda p, a: p[a] * score(p, a))],
    "divided_once_more": [walk(lambda p, a: score(p, a) / max(p[a], 1e-300))],
    "chosen_action_only": [walk(lambda p, a: only(a, len(p))), walk(lambda p, a: only(a, len(p), 1 - p[a]))],
    "probabilities_only": [walk(lambda p, a: -p)],
    "weights_ignored": [walk(score, weights=lambda w: [1.0] * len(w))],
    "one_weight_for_all": [walk(score, weights=lambda w: [sum(w)] * len(w)), walk(score, weights=lambda w: [w[0]] * len(w))],
    "mean_over_the_steps": [walk(score, end=lambda g, n: g / n)],
    "last_visit_only": [walk(score, add=False)],
    "every_state_changed": [all_rows],
    "theta_for_probabilities": [walk(score, chances=lambda theta, s: theta[s])],
    "softmax_over_the_states": [walk(score, chances=columns)],
    "overflow": [walk(score, chances=unstable)],
    "stepped": [lambda theta, *rest: walk(score)(theta, *rest) + theta],
}


# is_unbiased: with lists, over four random bandits


def expected(estimate, theta, pays, weigh=lambda p, n: p):
    p = np.exp(theta) / np.exp(theta).sum()
    w = weigh(p, len(p))
    return p, np.sum([w[a] * np.asarray(estimate(theta, a, pays[a])) for a in range(len(p))], axis=0)


def bandits(theta=lambda rng: rng.normal(size=3), pays=lambda rng: rng.normal(size=3) * 4):
    rng = np.random.default_rng(7)
    return [(theta(rng), pays(rng)) for _ in range(4)]


def judged(fits=lambda mean, p, pays: np.abs(mean - p * (pays - (p * pays).sum())).max() < 1e-9, weigh=lambda p, n: p, **made):
    def test(estimate):
        for theta, pays in bandits(**made):
            p, mean = expected(estimate, theta, pays, weigh)
            if not fits(mean, p, pays):
                return False
        return True

    return test


def exact_each_time(estimate):
    for theta, pays in bandits():
        p = np.exp(theta) / np.exp(theta).sum()
        for a in range(3):
            if np.abs(estimate(theta, a, pays[a]) - p * (pays - (p * pays).sum())).max() > 1e-9:
                return False
    return True


def zero_sums(estimate):
    return all(abs(sum(estimate(theta, a, pays[a]))) < 1e-9 for theta, pays in bandits() for a in range(3))


def upwards(mean, p, pays):
    exact = p * (pays - (p * pays).sum())
    lengths = np.linalg.norm(mean) * np.linalg.norm(exact)
    return lengths > 0 and np.dot(mean, exact) / lengths > 1 - 1e-6


UNBIASED = {
    "theta_zero_hides_it": [judged(theta=lambda rng: np.zeros(3))],
    "not_weighted": [judged(weigh=lambda p, n: np.ones(n) / n), judged(weigh=lambda p, n: np.ones(n))],
    "single_pulls": [exact_each_time],
    "direction_only": [judged(fits=upwards)],
    "rewards_never_negative": [judged(pays=lambda rng: 1 + 4 * rng.random(3))],
    "rewards_never_above_one": [judged(pays=lambda rng: 1 - 4 * rng.random(3))],
    "turned_round": [lambda estimate: not judged()(estimate)],
    "sums_to_zero": [zero_sums],
    "minus_sign_expected": [judged(fits=lambda mean, p, pays: np.abs(mean + p * (pays - (p * pays).sum())).max() < 1e-9)],
}


VERSIONS = {
    "reinforcement_learning.returns_to_go": RETURNS,
    "reinforcement_learning.q_update": Q,
    "reinforcement_learning.epsilon_greedy": GREEDY,
    "reinforcement_learning.bootstraps_through_end": UPDATE,
    "reinforcement_learning.reinforce_gradient": POLICY,
    "reinforcement_learning.is_unbiased": UNBIASED,
}
