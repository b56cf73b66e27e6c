"""Each misconception once more, in another style and with other names."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def turned(a):
    return np.rot90(a, 2, axes=(-2, -1))


class Conv:
    """All windows at once and one einsum; every mistake is a switch."""

    def __init__(self, turn=lambda k: k, bias="once", product="fcij,crsij->frs", scale=lambda k: 1.0,
                 border="constant", sides=lambda p: (p, p), every=lambda s: s, count=None):
        self.__dict__.update(locals())

    def __call__(self, img, kernels, offsets, step=1, rim=0):
        kernels = self.turn(kernels)
        around = self.sides(rim)
        img = np.pad(img, [(0, 0), around, around], mode=self.border)
        views = sliding_window_view(img, kernels.shape[2:], axis=(1, 2))  # (c, r, s, i, j)
        if self.count:
            r, s = (self.count(n, k, step) for n, k in zip(img.shape[1:], kernels.shape[2:]))
            views = views[:, :: self.every(step), :: self.every(step)][:, :r, :s]
        else:
            views = views[:, :: self.every(step), :: self.every(step)]
        result = np.einsum(self.product, kernels, views) * self.scale(kernels)
        times = {"once": 1, "never": 0, "each": kernels[0].size, "channel": kernels.shape[1]}[self.bias]
        return result + times * offsets.reshape(-1, 1, 1)


def one_place(img, kernels, offsets, step=1, rim=0):
    img = np.pad(img, [(0, 0), (rim, rim), (rim, rim)])
    top = img[:, : kernels.shape[2], : kernels.shape[3]]
    return (np.tensordot(kernels, top, 3) + offsets)[:, None, None]


class Back:
    """Gradients by a scatter of every product; switches as above."""

    def __init__(self, of, where=lambda i, j, kh, kw: (i, j), keep=None, sign=1.0, mean=None, given=lambda g: g,
                 pick=lambda o, c, i, j, m, n: True, out=lambda a: a, value=None):
        self.__dict__.update(locals())

    def __call__(self, first, g):
        delta, (fs, r, s) = self.given(g), g.shape
        if self.of == "kernel":
            cs, height, width = first.shape
            kh, kw = height - r + 1, width - s + 1
            total = np.zeros((fs, cs, kh, kw))
        else:
            _, cs, kh, kw = first.shape
            total = np.zeros((cs, r + kh - 1, s + kw - 1))
        for o, c, i, j, m, n in np.ndindex(fs, cs, kh, kw, r, s):
            if not self.pick(o, c, i, j, m, n):
                continue
            a, b = self.where(i, j, kh, kw)
            if self.of == "kernel":
                factor = 1.0 if self.value == "pixels" else delta[o, m, n]
                total[o, c, i, j] += self.sign * factor * first[c, m + a, n + b]
            else:
                total[c, m + i, n + j] += self.sign * delta[o, m, n] * first[o, c, a, b]
        if self.mean:
            total /= self.mean(fs, r, s)
        return np.ascontiguousarray(self.out(total))


def opposite(i, j, kh, kw):
    return kh - i - 1, kw - j - 1


def sums_times_sums(scaled):
    def run(img, g):
        kh, kw = img.shape[1] - g.shape[1] + 1, img.shape[2] - g.shape[2] + 1
        views = sliding_window_view(img, g.shape[1:], axis=(1, 2))[:, :kh, :kw]
        part = views.mean(axis=(3, 4)) if scaled else views.sum(axis=(3, 4))
        return np.multiply.outer(g.sum(axis=(1, 2)), part)

    return run


def sheets_together(img, g):
    right = Back("kernel")(img.sum(axis=0, keepdims=True), g)
    return np.repeat(right, img.shape[0], axis=1)


def all_sheets_alike(kernels, g):
    right = Back("image")(kernels.sum(axis=1, keepdims=True), g)
    return np.repeat(right, kernels.shape[1], axis=0)


def last_window_wins(kernels, g):
    sheet = {}
    for m in range(g.shape[1]):
        for n in range(g.shape[2]):
            block = np.tensordot(g[:, m, n], kernels, 1)
            for place in np.ndindex(*block.shape):
                sheet[place[0], m + place[1], n + place[2]] = block[place]
    shape = (kernels.shape[1], g.shape[1] + kernels.shape[2] - 1, g.shape[2] + kernels.shape[3] - 1)
    return np.array([sheet[place] for place in np.ndindex(*shape)]).reshape(shape)


def slid(rims, turn):
    """The kernel slid over a padded gradient."""

    def run(kernels, g):
        kh, kw = kernels.shape[2:]
        (a, b), (c, d) = rims(kh), rims(kw)
        padded = np.pad(g, [(0, 0), (a, b), (c, d)])
        views = sliding_window_view(padded, (kh, kw), axis=(1, 2))
        return np.einsum("fcij,frsij->crs", turned(kernels) if turn else kernels, views)

    return run


def same_rim(k):
    return k // 2, k - 1 - k // 2


def no_rim(k):
    return 0, 0


def walk(rule, pool=None, channels="new", area=lambda c, h, w: int(c * h * w), skip=False, square=False):
    """Sizes by recursion over the layers."""

    def run(c, h, w, layers):
        first = c

        def go(c, h, w, rest):
            if not rest:
                return area({"first": first}.get(channels, c), h, h if square else w)
            head, *rest = rest
            if head[0] == "pool":
                k, s = pool(head) if pool else head[1:]
                return go(c, h, w, rest) if skip else go(c, rule(h, k, s, 0), rule(w, k, s, 0), rest)
            _, out, k, s, p = head
            c = {"product": c * out, "keep": out if c == first else c}.get(channels, out)
            return go(c, rule(h, k, s, p), rule(w, k, s, p), rest)

        return go(c, h, w, list(layers))

    return run


def right(n, k, s, p):
    return 1 + (2 * p + n - k) // s


def verdict(judge, shapes=True, halves=1.0, both_ways=True):
    """A test of gradients from a list of pairs (slope, claimed)."""

    def run(f, x, claimed):
        claimed = np.asarray(claimed)
        if shapes and claimed.shape != x.shape:
            return False
        flat, pairs = np.broadcast_to(claimed, x.shape).ravel(), []
        for k in range(x.size):
            up, down = x.flatten(), x.flatten()
            up[k] += 2e-5
            down[k] -= 2e-5 * both_ways
            rise = f(up.reshape(x.shape)) - f(down.reshape(x.shape))
            pairs.append((rise / (4e-5 if both_ways else 2e-5) / halves, float(flat[k])))
        top = max(abs(slope) for slope, _ in pairs)
        return True if judge(pairs, 1e-4 * top) else False

    return run


def every(test):
    return lambda pairs, slack: all(test(slope, given, slack) for slope, given in pairs)


VERSIONS = {
    "convolution.conv2d": {
        "kernel_flipped": [
            Conv(turn=turned), Conv(turn=lambda k: np.flip(k, 2)), Conv(turn=lambda k: np.flip(k, -1)),
        ],
        "bias_forgotten": [Conv(bias="never")],
        "bias_added_too_often": [Conv(bias="each"), Conv(bias="channel")],
        "mean_instead_of_sum": [Conv(scale=lambda k: 1 / k[0].size), Conv(scale=lambda k: 1 / k.shape[1])],
        "first_channel_only": [Conv(turn=lambda k: k * (np.arange(k.shape[1]) == 0)[:, None, None])],
        "channels_of_w_swapped": [Conv(product="cfij,crsij->frs")],
        "kernel_transposed": [Conv(turn=lambda k: np.transpose(k, (0, 1, 3, 2)))],
        "stride_ignored": [Conv(every=lambda s: 1)],
        "stride_in_the_size_only": [Conv(every=lambda s: 1, count=lambda n, k, s: 1 + (n - k) // s)],
        "last_window_lost": [
            Conv(count=lambda n, k, s: (n - k + 1) // s), Conv(count=lambda n, k, s: (n - k) // s),
        ],
        "padding_ignored": [Conv(sides=lambda p: (0, 0))],
        "padding_on_one_side": [
            Conv(sides=lambda p: (0, p)), Conv(sides=lambda p: (p, 0)), Conv(sides=lambda p: (p // 2, p - p // 2)),
        ],
        "padding_with_the_border": [Conv(border="edge"), Conv(border="wrap")],
        "one_number": [one_place],
    },
    "convolution.conv2d_backward_kernel": {
        "result_flipped": [Back("kernel", out=turned)],
        "no_offsets": [Back("kernel", where=lambda i, j, kh, kw: (0, 0))],
        "grad_flipped": [Back("kernel", given=turned)],
        "mean_over_positions": [Back("kernel", mean=lambda fs, r, s: r * s)],
        "grad_summed_first": [sums_times_sums(True), sums_times_sums(False)],
        "grad_ignored": [Back("kernel", value="pixels")],
        "channels_swapped": [Back("kernel", out=lambda a: np.swapaxes(a, 1, 0))],
        "kernel_transposed": [Back("kernel", out=lambda a: np.moveaxis(a, -1, -2))],
        "input_channels_added": [sheets_together],
        "one_row_short": [Back("kernel", out=lambda a: a[..., : a.shape[2] - 1, : a.shape[3] - 1])],
        "uphill": [Back("kernel", sign=-1.0)],
    },
    "convolution.conv2d_backward_input": {
        "kernel_not_turned": [Back("image", where=opposite)],
        "grad_flipped": [Back("image", given=turned)],
        "overwritten": [last_window_wins],
        "first_output_channel_only": [Back("image", pick=lambda o, c, i, j, m, n: o == 0)],
        "mean_over_output_channels": [Back("image", mean=lambda fs, r, s: fs)],
        "input_channels_added": [all_sheets_alike],
        "corner_of_the_kernel_only": [Back("image", pick=lambda o, c, i, j, m, n: i + j == 0)],
        "size_of_the_output": [slid(same_rim, True), slid(same_rim, False)],
        "gradient_not_padded": [slid(no_rim, True), slid(no_rim, False)],
        "kernel_transposed": [
            lambda kernels, g: Back("image")(np.ascontiguousarray(np.moveaxis(kernels, 3, 2)), g)
        ],
        "uphill": [Back("image", sign=-1.0)],
    },
    "convolution.flatten_size": {
        "padding_once": [walk(lambda n, k, s, p: 1 + (p + n - k) // s)],
        "padding_ignored": [walk(lambda n, k, s, p: 1 + (n - k) // s)],
        "plus_one_forgotten": [walk(lambda n, k, s, p: (2 * p + n - k) // s)],
        "plus_one_inside": [walk(lambda n, k, s, p: (1 + 2 * p + n - k) // s)],
        "rounded_up": [walk(lambda n, k, s, p: 1 - (k - n - 2 * p) // s)],
        "rounded_at_the_end": [walk(lambda n, k, s, p: 1 + (2 * p + n - k) / s)],
        "stride_ignored": [walk(lambda n, k, s, p: right(n, k, 1, p))],
        "kernel_ignored": [walk(lambda n, k, s, p: n // s)],
        "pools_skipped": [walk(right, skip=True)],
        "every_pool_halves": [walk(right, pool=lambda layer: (2, 2))],
        "pool_stride_is_its_kernel": [walk(right, pool=lambda layer: (layer[1], layer[1]))],
        "channels_forgotten": [walk(right, area=lambda c, h, w: h * w)],
        "channels_of_the_image": [walk(right, channels="first")],
        "channels_multiplied": [walk(right, channels="product")],
        "first_convolution_only": [walk(right, channels="keep")],
        "square": [walk(right, square=True)],
    },
    "convolution.gradient_is_right": {
        "one_sided_difference": [verdict(every(lambda a, b, slack: abs(a - b) <= slack), both_ways=False)],
        "each_entry_by_itself": [verdict(every(lambda a, b, slack: abs(a - b) <= 1e-4 * abs(a)))],
        "absolute_tolerance": [verdict(every(lambda a, b, slack: abs(a - b) < 1e-5))],
        "shape_not_compared": [verdict(every(lambda a, b, slack: abs(a - b) <= slack), shapes=False)],
        "first_entry_only": [verdict(lambda pairs, slack: abs(pairs[0][0] - pairs[0][1]) <= slack)],
        "sums_compared": [
            verdict(lambda pairs, slack: abs(sum(a for a, _ in pairs) - sum(b for _, b in pairs)) <= slack),
            verdict(lambda pairs, slack: sum(a - b for a, b in pairs) < slack),
        ],
        "sign_not_compared": [verdict(every(lambda a, b, slack: abs(a * a - b * b) <= slack * (abs(a) + abs(b))))],
        "divided_by_one_step": [verdict(every(lambda a, b, slack: abs(a - b) <= slack), halves=0.5)],
        "too_large_passes": [verdict(every(lambda a, b, slack: b >= a - slack))],
        "too_small_passes": [verdict(every(lambda a, b, slack: b <= a + slack))],
        "one_right_entry_is_enough": [verdict(lambda pairs, slack: any(abs(a - b) <= slack for a, b in pairs))],
        "shape_alone": [lambda f, x, claimed: len(np.array(claimed).shape) == x.ndim and np.size(claimed) == x.size],
        "rejects_everything": [lambda f, x, claimed: bool(f(x) != f(x))],
        "answers_turned": [lambda f, x, claimed: 1 > verdict(every(lambda a, b, slack: abs(a - b) <= slack))(f, x, claimed)],
    },
}
