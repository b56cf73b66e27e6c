"""Wrong answers that no misconception describes."""

import math

import numpy as np

from bigmodel_nb.exercises.optimizers import (
    adam_step,
    adamw_step,
    clip_by_global_norm,
    cosine_schedule,
    sgd_momentum,
)

# sgd_momentum


def half_a_step(theta, grad, velocity, lr, beta=0.9):
    new, velocity = sgd_momentum(theta, grad, velocity, lr, beta)
    return (theta + new) / 2, velocity


def sign_of_the_gradient(theta, grad, velocity, lr, beta=0.9):
    return sgd_momentum(theta, np.sign(grad), velocity, lr, beta)


def usual_beta_always(theta, grad, velocity, lr, beta=0.9):
    return sgd_momentum(theta, grad, velocity, lr, 0.9)


def same_velocity_everywhere(theta, grad, velocity, lr, beta=0.9):
    return sgd_momentum(theta, grad, np.full_like(velocity, velocity.mean()), lr, beta)


def theta_alone(theta, grad, velocity, lr, beta=0.9):
    return sgd_momentum(theta, grad, velocity, lr, beta)[0]


def rounded(theta, grad, velocity, lr, beta=0.9):
    return tuple(np.round(a, 2) for a in sgd_momentum(theta, grad, velocity, lr, beta))


# adam_step


def centred(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """Divides by the standard deviation in place of the root mean square."""
    _, m, v = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return theta - lr * m_hat / (np.sqrt(np.abs(v_hat - m_hat**2)) + eps), m, v


def amsgrad(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    _, m, new = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    v = np.maximum(v, new)
    return theta - lr * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


def one_scale_for_all(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    _, m, v = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    root = np.sqrt(v.mean() / (1 - beta2**t)) + eps
    return theta - lr * m / (1 - beta1**t) / root, m, v


def signs_only(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    _, m, v = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    return theta - lr * np.sign(m), m, v


def usual_betas_always(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    return adam_step(theta, grad, m, v, t, lr, 0.9, 0.999, 1e-8)


def no_eps(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    with np.errstate(all="ignore"):
        return adam_step(theta, grad, m, v, t, lr, beta1, beta2, 0.0)


def corrected_after_the_root(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    _, m, v = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    return theta - lr * m / (1 - beta1**t) / (np.sqrt(v) / (1 - beta2**t) + eps), m, v


# adamw_step


def half_the_decay(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    return adamw_step(theta, grad, m, v, t, lr, beta1, beta2, eps, weight_decay / 2)


def decay_of_large_weights(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    new, m, v = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    return new - lr * weight_decay * np.where(np.abs(theta) > 0.8, theta, 0), m, v


def decay_with_the_square_of_lr(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    new, m, v = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    return new - lr**2 * weight_decay * theta, m, v


def decayed_moments(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    theta, m, v = adamw_step(theta, grad, m, v, t, lr, beta1, beta2, eps, weight_decay)
    return theta, m * (1 - lr * weight_decay), v


def momentum_with_decay(theta, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    _, m, v = adam_step(theta, grad, m, v, t, lr, beta1, beta2, eps)
    return theta * (1 - lr * weight_decay) - lr * m, m, v


# cosine_schedule


def squared_cosine(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
    rate = cosine_schedule(step, total_steps, 1.0, warmup_steps, 0.0)
    return lr_min + (lr_max - lr_min) * rate**2


def one_step_late(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
    return cosine_schedule(max(0, step - 1), total_steps, lr_max, warmup_steps, lr_min)


def last_step_is_the_minimum(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
    return cosine_schedule(step, max(total_steps - 1, warmup_steps), lr_max, warmup_steps, lr_min)


def steps_of_a_tenth(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
    return round(cosine_schedule(step, total_steps, lr_max, warmup_steps, lr_min), 1)


def square_root_decay(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
    return lr_max * math.sqrt((warmup_steps + 1) / (max(step, warmup_steps) + 1))


def an_array(step, total_steps, lr_max, warmup_steps=0, lr_min=0.0):
    return np.array([cosine_schedule(step, total_steps, lr_max, warmup_steps, lr_min)] * 2)


# clip_by_global_norm


def only_the_first(grads, max_norm):
    clipped, norm = clip_by_global_norm(grads, max_norm)
    return clipped[:1] + [grad.copy() for grad in grads[1:]], norm


def norm_alone(grads, max_norm):
    return clip_by_global_norm(grads, max_norm)[1]


def one_long_array(grads, max_norm):
    clipped, norm = clip_by_global_norm(grads, max_norm)
    return np.concatenate([grad.ravel() for grad in clipped]), norm


def dropped_when_long(grads, max_norm):
    norm = clip_by_global_norm(grads, max_norm)[1]
    return [grad * (norm <= max_norm) for grad in grads], norm


def soft(grads, max_norm):
    norm = clip_by_global_norm(grads, max_norm)[1]
    return [grad * max_norm / (norm + max_norm) for grad in grads], norm


def without_signs(grads, max_norm):
    clipped, norm = clip_by_global_norm(grads, max_norm)
    return [np.abs(grad) for grad in clipped], norm


OUTSIDE = {
    "optimizers.sgd_momentum": [
        half_a_step,
        sign_of_the_gradient,
        usual_beta_always,
        same_velocity_everywhere,
        theta_alone,
        rounded,
    ],
    "optimizers.adam_step": [
        centred,
        amsgrad,
        one_scale_for_all,
        signs_only,
        usual_betas_always,
        no_eps,
        corrected_after_the_root,
    ],
    "optimizers.adamw_step": [
        half_the_decay,
        decay_of_large_weights,
        decay_with_the_square_of_lr,
        decayed_moments,
        momentum_with_decay,
    ],
    "optimizers.cosine_schedule": [
        squared_cosine,
        one_step_late,
        last_step_is_the_minimum,
        steps_of_a_tenth,
        square_root_decay,
        an_array,
    ],
    "optimizers.clip_by_global_norm": [
        only_the_first,
        norm_alone,
        one_long_array,
        dropped_when_long,
        soft,
        without_signs,
    ],
}
