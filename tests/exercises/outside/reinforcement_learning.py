"""Wrong answers that no misconception describes."""

import numpy as np

from bigmodel_nb.exercises.reinforcement_learning import (
    bootstraps_through_end,
    epsilon_greedy,
    is_unbiased,
    q_update,
    reinforce_gradient,
    returns_to_go,
)

# returns_to_go


def as_list(rewards, gamma):
    return returns_to_go(rewards, gamma).tolist()


def rounded(rewards, gamma):
    return np.round(returns_to_go(rewards, gamma), 1)


def three_steps(rewards, gamma):
    return returns_to_go(rewards, gamma) - gamma**3 * np.append(returns_to_go(rewards, gamma)[3:], np.zeros(min(3, len(rewards))))


def mean_reward(rewards, gamma):
    return returns_to_go(rewards, gamma) / len(rewards)


def standardised(rewards, gamma):
    G = returns_to_go(rewards, gamma)
    return (G - G.mean()) / (G.std() + 1e-8)


# q_update


def half_as_fast(Q, s, a, r, s_next, done, alpha, gamma):
    return q_update(Q, s, a, r, s_next, done, alpha / 2, gamma)


def second_best(Q, s, a, r, s_next, done, alpha, gamma):
    return q_update(np.sort(Q, axis=1)[:, ::-1], s, a, r, s_next, done, alpha, gamma)


def next_action(Q, s, a, r, s_next, done, alpha, gamma):
    return q_update(Q, s, (a + 1) % Q.shape[1], r, s_next, done, alpha, gamma)


def rewards_cut(Q, s, a, r, s_next, done, alpha, gamma):
    return q_update(Q, s, a, min(1.0, max(-0.5, r)), s_next, done, alpha, gamma)


def as_lists(Q, s, a, r, s_next, done, alpha, gamma):
    return q_update(Q, s, a, r, s_next, done, alpha, gamma).tolist()


# epsilon_greedy


def half_as_curious(values, epsilon):
    return epsilon_greedy(values, epsilon / 2)


def two_best(values, epsilon):
    order = np.argsort(-values)[:2]
    p = np.full(len(values), epsilon / len(values))
    p[order] += (1 - epsilon) / len(order)
    return p


def as_integers(values, epsilon):
    return np.round(100 * epsilon_greedy(values, epsilon)).astype(int)


def reversed_order(values, epsilon):
    return epsilon_greedy(values, epsilon)[::-1].copy()


def cumulative(values, epsilon):
    return epsilon_greedy(values, epsilon).cumsum()


# bootstraps_through_end


def largest_only(update):
    rows = [update(np.array([[1.0, 2.0], [v, -9.0]]), 0, 0, 1.0, 1, True, 0.5, 0.9)[0] for v in (-8.0, 5.0)]
    return not np.allclose(*rows)


def a_tuple(update):
    return (bootstraps_through_end(update),)


def as_a_word(update):
    return "yes" if bootstraps_through_end(update) else "no"


def how_far(update):
    rows = [update(np.array([[1.0, 2.0], [v, v]]), 0, 1, 1.0, 1, True, 0.5, 0.9)[0, 1] for v in (0.0, 5.0)]
    return float(rows[1] - rows[0])


def by_its_name(update):
    return "through" in repr(update)


# reinforce_gradient


def doubled(theta, states, actions, weights):
    return 2 * reinforce_gradient(theta, states, actions, weights)


def single_precision(theta, states, actions, weights):
    return reinforce_gradient(theta, states, actions, weights).astype(np.float32)


def first_half(theta, states, actions, weights):
    half = (len(states) + 1) // 2
    return reinforce_gradient(theta, states[:half], actions[:half], weights[:half])


def next_actions(theta, states, actions, weights):
    return reinforce_gradient(theta, states, (actions + 1) % theta.shape[1], weights)


def sizes_of_weights(theta, states, actions, weights):
    return reinforce_gradient(theta, states, actions, np.abs(weights))


# is_unbiased


def loosely(estimate):
    theta, rewards = np.array([0.5, -1.0, 0.2]), np.array([1.0, -2.0, 4.0])
    p = np.exp(theta) / np.exp(theta).sum()
    mean = sum(p[a] * estimate(theta, a, rewards[a]) for a in range(3))
    return np.allclose(mean, p * (rewards - p @ rewards), atol=1.0)


def true_or_nothing(estimate):
    return is_unbiased(estimate) or None


def signs_only(estimate):
    theta, rewards = np.array([0.5, -1.0, 0.2]), np.array([1.0, -2.0, 4.0])
    p = np.exp(theta) / np.exp(theta).sum()
    mean = sum(p[a] * estimate(theta, a, rewards[a]) for a in range(3))
    return bool((np.sign(mean) == np.sign(rewards - p @ rewards)).all())


def any_length_and_sign(estimate):
    theta, rewards = np.array([0.5, -1.0, 0.2]), np.array([1.0, -2.0, 4.0])
    p = np.exp(theta) / np.exp(theta).sum()
    mean, exact = sum(p[a] * estimate(theta, a, rewards[a]) for a in range(3)), p * (rewards - p @ rewards)
    return bool((mean @ exact) ** 2 > 0.99999 * (mean @ mean) * (exact @ exact) > 0)


def yes_or_no(estimate):
    return "unbiased" if is_unbiased(estimate) else "biased"


OUTSIDE = {
    "reinforcement_learning.returns_to_go": [as_list, rounded, three_steps, mean_reward, standardised],
    "reinforcement_learning.q_update": [half_as_fast, second_best, next_action, rewards_cut, as_lists],
    "reinforcement_learning.epsilon_greedy": [half_as_curious, two_best, as_integers, reversed_order, cumulative],
    "reinforcement_learning.bootstraps_through_end": [largest_only, a_tuple, as_a_word, how_far, by_its_name],
    "reinforcement_learning.reinforce_gradient": [doubled, single_precision, first_half, next_actions, sizes_of_weights],
    "reinforcement_learning.is_unbiased": [loosely, true_or_nothing, signs_only, any_length_and_sign, yes_or_no],
}
