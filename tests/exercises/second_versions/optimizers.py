"""Each misconception once more, in another style and with other names."""

import math

import numpy as np


def each(rule):
    """A rule for single floats as one for arrays: place by place, in a loop."""

    def step(*args):
        arrays = [a for a in args if isinstance(a, np.ndarray)]
        numbers = [a for a in args if not isinstance(a, np.ndarray)]
        places = [rule(*(float(a.flat[i]) for a in arrays), *numbers) for i in range(arrays[0].size)]
        return tuple(np.array(column).reshape(arrays[0].shape) for column in zip(*places))

    return step


class Momentum:
    """Every mistake is a switch."""

    def __init__(self, mean=False, inside=False, down=False, old=False, up=False, keep=None, on_grad=False,
                 fade=True, forget=False, ahead=False, twice=False, swap=False):
        self.__dict__.update(locals())

    def __call__(self, w, g, vel, rate, friction=0.9):
        keep = 1.0 if not self.fade or self.on_grad else friction
        fresh = g * (1 - friction if self.mean else friction if self.on_grad else rate if self.inside else 1)
        now = np.zeros_like(vel) if self.forget else np.multiply(vel, keep)
        now = np.subtract(now, fresh) if self.down else np.add(now, fresh)
        push = vel if self.old else now
        if self.ahead:
            push = friction * now + g
        if self.twice:
            push = now + g
        scale = -1.0 if self.inside else -rate
        if self.up or self.down:
            scale = -scale
        out = [w + scale * push, {None: now, "old": vel.copy(), "grad": g.copy()}[self.keep]]
        return tuple(reversed(out)) if self.swap else tuple(out)


class Adam:
    """The same for Adam and AdamW."""

    def __init__(self, m=True, v=True, shift=0, fixed=False, kept="new", first="new", eps="outside", power=0.5,
                 square=lambda g: g * g, swap=False, swap_weights=False, sums=False, bare=False, sign=-1.0,
                 scale_square=False, decay=None):
        self.__dict__.update(locals())

    def __call__(self, w, g, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
        return each(self.one)(w, g, m, v, t, lr, beta1, beta2, eps, weight_decay)

    def one(self, w, g, m, v, t, lr, b1, b2, eps, wd):
        a, b = (b2, b1) if self.swap else (b1, b2)
        before, slope = w, g + wd * w if self.decay == "gradient" else g
        keep_a, keep_b = (1 - a, 1 - b) if self.swap_weights else (a, b)
        new_a, new_b = (1.0, 1.0) if self.sums else (1 - keep_a, 1 - keep_b)
        new_v = keep_b * v + ((new_b * slope) ** 2 if self.scale_square else new_b * self.square(slope))
        new_m = keep_a * m + new_a * slope
        use_m, use_v = (new_m, new_v) if self.first == "new" else (m, v)
        n = 1 if self.fixed else t + self.shift
        hat_m = use_m / (1 - a**n) if self.m else use_m
        hat_v = use_v / (1 - b**n) if self.v else use_v
        if self.power == 0.5 and hat_v < 0:
            root = math.nan
        elif self.eps == "inside":
            root = (hat_v + eps) ** self.power
        else:
            root = hat_v**self.power + eps
        rise = (g if self.bare else hat_m) / root
        if self.decay == "divided":
            rise += wd * w / root
        shrink = {"plain": lr * wd, "no lr": wd, "grow": -lr * wd, "twice": 2 * lr * wd}.get(self.decay, 0.0)
        w = w - shrink * w + self.sign * lr * rise
        if self.decay == "after":
            w = w - lr * wd * w
        if self.decay == "sign":
            w = w - math.copysign(lr * wd, before)
        return w, *{"new": (new_m, new_v), "hat": (hat_m, hat_v), "old": (m, v)}[self.kept]


class Schedule:
    """The same for the schedule; `turns` is the part of a full circle that the cosine goes."""

    def __init__(self, rise="right", begin="right", turns=0.5, low=True, shape="cos", stop=True):
        self.__dict__.update(locals())

    def __call__(self, i, n, peak, ramp=0, floor=0.0):
        if i < ramp and self.rise == "floor":
            return float(np.interp(i + 1, [0, ramp + 1], [floor, peak]))
        if i < ramp and self.rise != "none":
            part = {"right": (i + 1) / (ramp + 1), "zero": i / ramp, "short": (i + 1) / ramp, "top": 1.0}
            return part[self.rise] * peak
        if self.stop and i >= n:
            return floor if self.low is not False else 0.0
        first, last = {"right": (ramp, n), "zero": (0, n), "long": (ramp, n + ramp)}[self.begin]
        done = 1 - (last - i) / (last - first)
        if self.shape == "line":
            return (1 - done) * peak + done * floor
        angle = 180 * done if self.shape == "degrees" else math.tau * self.turns * done
        level = math.cos(angle) if self.shape == "bare" else 0.5 + 0.5 * math.cos(angle)
        if self.low == "on top":
            return floor + peak * level
        if self.low == "cut":
            return peak * level if peak * level > floor else floor
        return peak * level if self.low is False else peak * level + floor * (1 - level)


def clip(measure, keep_short=True, target=None, report=None):
    """Clipping by any measure of length."""

    def run(parts, limit):
        size = measure(parts)
        goal = limit if target is None else target
        scale = goal / size if size > limit or not keep_short else 1
        result = []
        for part in parts:
            result.append(np.multiply(part, scale))
        return result, float(size if report is None else report(result))

    return run


def flat(parts):
    return np.concatenate([part.ravel() for part in parts])


def whole(parts):
    return float(np.linalg.norm(flat(parts)))


def per_tensor(parts, limit):
    out = []
    for p in parts:
        n = whole([p])
        out.append(p / n * limit if n > limit else p.copy())
    return out, whole(parts)


def per_value(parts, limit):
    return [np.minimum(np.maximum(p, -limit), limit) for p in parts], whole(parts)


VERSIONS = {
    "optimizers.sgd_momentum": {
        "mean_instead_of_sum": [Momentum(mean=True)],
        "learning_rate_in_velocity": [Momentum(inside=True)],
        "velocity_points_downhill": [Momentum(down=True)],
        "old_velocity_used": [Momentum(old=True)],
        "uphill": [Momentum(up=True)],
        "velocity_not_handed_on": [Momentum(keep="old"), Momentum(keep="grad")],
        "velocity_in_the_wrong_order": [Momentum(swap=True)],
        "beta_on_the_gradient": [Momentum(on_grad=True)],
        "nothing_fades": [Momentum(fade=False)],
        "momentum_forgotten": [Momentum(forget=True)],
        "nesterov": [Momentum(ahead=True)],
        "gradient_counted_twice": [Momentum(twice=True)],
    },
    "optimizers.adam_step": {
        "no_bias_correction": [Adam(m=False, v=False)],
        "only_m_corrected": [Adam(v=False)],
        "only_v_corrected": [Adam(m=False)],
        "correction_without_t": [Adam(fixed=True)],
        "t_counted_from_zero": [Adam(shift=1)],
        "corrected_moments_kept": [Adam(kept="hat")],
        "old_moments_kept": [Adam(kept="old")],
        "old_moments_used": [Adam(first="old")],
        "eps_inside_the_root": [Adam(eps="inside")],
        "root_forgotten": [Adam(power=1)],
        "gradient_not_squared": [Adam(square=lambda g: g), Adam(square=abs)],
        "mean_squared_instead_of_squares": [Adam(scale_square=True)],
        "betas_swapped": [Adam(swap=True)],
        "new_gradient_weighs_beta": [Adam(swap_weights=True)],
        "sums_instead_of_means": [Adam(sums=True)],
        "no_momentum": [Adam(bare=True)],
        "uphill": [Adam(sign=1.0)],
    },
    "optimizers.adamw_step": {
        "decay_in_the_gradient": [Adam(decay="gradient")],
        "decay_divided": [Adam(decay="divided")],
        "decay_without_lr": [Adam(decay="no lr")],
        "decay_forgotten": [Adam()],
        "weights_grow": [Adam(decay="grow")],
        "decay_of_the_new_theta": [Adam(decay="after")],
        "decay_by_sign": [Adam(decay="sign")],
        "decay_twice": [Adam(decay="twice")],
        "no_bias_correction": [Adam(decay="plain", m=False, v=False)],
        "corrected_moments_kept": [Adam(decay="plain", kept="hat")],
        "eps_inside_the_root": [Adam(decay="plain", eps="inside")],
        "t_counted_from_zero": [Adam(decay="plain", shift=1)],
        "uphill": [Adam(decay="plain", sign=1.0)],
    },
    "optimizers.cosine_schedule": {
        "first_step_is_zero": [Schedule(rise="zero")],
        "warmup_one_step_short": [Schedule(rise="short")],
        "no_warmup": [Schedule(rise="top"), Schedule(rise="none", begin="zero")],
        "warmup_from_lr_min": [Schedule(rise="floor")],
        "progress_counts_the_warmup": [Schedule(begin="zero")],
        "progress_over_all_steps": [Schedule(begin="long")],
        "whole_period": [Schedule(turns=1)],
        "quarter_period": [Schedule(turns=0.25, shape="bare")],
        "below_zero": [Schedule(shape="bare")],
        "lr_min_added_on_top": [Schedule(low="on top")],
        "lr_min_forgotten": [Schedule(low=False)],
        "clipped_at_lr_min": [Schedule(low="cut")],
        "rises_after_the_end": [Schedule(stop=False)],
        "straight_line": [Schedule(shape="line")],
        "degrees": [Schedule(shape="degrees")],
    },
    "optimizers.clip_by_global_norm": {
        "each_array_by_itself": [per_tensor],
        "each_value_by_itself": [per_value],
        "always_scaled": [clip(whole, keep_short=False)],
        "root_forgotten": [clip(lambda parts: sum(float(np.vdot(p, p)) for p in parts))],
        "norms_added_up": [clip(lambda parts: sum(whole([p]) for p in parts))],
        "sum_of_absolute_values": [clip(lambda parts: float(np.linalg.norm(flat(parts), 1)))],
        "largest_value": [clip(lambda parts: float(np.linalg.norm(flat(parts), np.inf)))],
        "longest_array": [clip(lambda parts: max(whole([p]) for p in parts))],
        "root_mean_square": [clip(lambda parts: float(np.sqrt(np.mean(flat(parts) ** 2))))],
        "norm_after_clipping": [clip(whole, report=whole)],
        "to_length_one": [clip(whole, target=1.0)],
    },
}
