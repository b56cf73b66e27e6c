"""Exercises of lesson 06."""

from __future__ import annotations

import math

import numpy as np

from .engine.model import Check, Exercise, Misconception


def conv2d(x, w, b, stride=1, padding=0):
    """Cross-correlation of an image with c_out kernels, as torch's conv2d of one image.

    x (c_in, H, W), w (c_out, c_in, kh, kw), b (c_out,): float64 arrays; stride: step of the window
    padding: rows and columns of zeros added on each of the four sides -> array (c_out, H_out, W_out)
    """
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    c_out, c_in, kh, kw = w.shape
    rows = (x.shape[1] - kh) // stride + 1
    cols = (x.shape[2] - kw) // stride + 1
    out = np.zeros((c_out, rows, cols))
    for m in range(rows):
        for n in range(cols):
            top, left = m * stride, n * stride
            window = x[:, top : top + kh, left : left + kw]  # (c_in, kh, kw)
            out[:, m, n] = (w * window).sum(axis=(1, 2, 3)) + b
    return out


def conv2d_backward_kernel(x, grad):
    """Gradient of the loss for the kernels of a convolution with stride 1 and no padding.

    x (c_in, H, W): the image; grad (c_out, H_out, W_out): dloss/dout -> array (c_out, c_in, kh, kw)
    """
    c_out, rows, cols = grad.shape
    c_in, height, width = x.shape
    kh, kw = height - rows + 1, width - cols + 1
    grad_w = np.zeros((c_out, c_in, kh, kw))
    for i in range(kh):
        for j in range(kw):
            seen = x[:, i : i + rows, j : j + cols]  # what w[:, :, i, j] was multiplied with
            grad_w[:, :, i, j] = (grad[:, None] * seen).sum(axis=(2, 3))
    return grad_w


def conv2d_backward_input(w, grad):
    """Gradient of the loss for the image of a convolution with stride 1 and no padding.

    w (c_out, c_in, kh, kw): the kernels; grad (c_out, H_out, W_out): dloss/dout -> array (c_in, H, W)
    """
    c_out, c_in, kh, kw = w.shape
    c_out, rows, cols = grad.shape
    grad_x = np.zeros((c_in, rows + kh - 1, cols + kw - 1))
    for m in range(rows):
        for n in range(cols):
            sent = grad[:, m, n].reshape(-1, 1, 1, 1) * w  # (c_out, c_in, kh, kw)
            grad_x[:, m : m + kh, n : n + kw] += sent.sum(axis=0)
    return grad_x


def flatten_size(channels, height, width, layers):
    """How many numbers are left when an image has gone through some layers.

    channels, height, width: of the image; layers: a list of ("pool", kernel, stride) and
    ("conv", out_channels, kernel, stride, padding); all kernels are square -> int
    """
    for kind, *numbers in layers:
        if kind == "conv":
            channels, kernel, stride, padding = numbers
        else:
            kernel, stride = numbers
            padding = 0
        height = (height + 2 * padding - kernel) // stride + 1
        width = (width + 2 * padding - kernel) // stride + 1
    return channels * height * width


def gradient_is_right(f, x, gradient):
    """Is this the gradient of f at x? A test by central differences.

    f: function of a float64 array like x -> float; gradient: an array or a number
    -> True if it has the shape of x and no entry is off by more than 1e-4 of the largest slope
    """
    if np.shape(gradient) != x.shape:
        return False
    slopes = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        h = np.zeros(x.shape)
        h[place] = 1e-5
        slopes[place] = (f(x + h) - f(x - h)) / 2e-5
    return bool(np.abs(slopes - gradient).max() <= 1e-4 * np.abs(slopes).max())


# conv2d

SIZES = (  # c_out, c_in, kh, kw, H, W
    (1, 1, 2, 2, 4, 4),
    (2, 3, 3, 3, 5, 6),
    (3, 2, 1, 3, 4, 7),
    (2, 2, 2, 3, 6, 5),
    (4, 1, 3, 3, 3, 3),
    (1, 3, 1, 1, 3, 2),
    (3, 3, 4, 2, 7, 6),
)


def _arrays(rng, *shapes):
    return tuple(np.asarray(rng.normal(size=shape)) for shape in shapes)


def _layer(rng, c_out, c_in, kh, kw, height, width):
    """x, w, b of random numbers."""
    return _arrays(rng, (c_in, height, width), (c_out, c_in, kh, kw), (c_out,))


def _pixel(x, c, row, col):
    inside = 0 <= row < x.shape[1] and 0 <= col < x.shape[2]
    return float(x[c, row, col]) if inside else 0.0


def _conv_oracle(x, w, b, stride=1, padding=0):
    """Number by number from the formula; a pixel outside of the image is 0."""
    (c_out, c_in, kh, kw), (_, height, width) = w.shape, x.shape
    tops = range(-padding, height + padding - kh + 1, stride)
    lefts = range(-padding, width + padding - kw + 1, stride)
    places = [(c, i, j) for c in range(c_in) for i in range(kh) for j in range(kw)]

    def one(o, top, left):
        return float(b[o]) + sum(_pixel(x, c, top + i, left + j) * float(w[o, c, i, j]) for c, i, j in places)

    return np.array([[[one(o, top, left) for left in lefts] for top in tops] for o in range(c_out)])


def _check_conv_by_hand(attempt):
    x = np.array([[[1.0, 2, 0], [0, 1, 3], [2, 0, 1]]])
    w = np.array([[[[1.0, -1], [0, 2]]]])
    expected = np.array([[[1.0, 8], [-1, 0]]])
    why = "Top left: 1·1 - 2·1 + 0·0 + 1·2 = 1."
    attempt.expect((x, w, np.zeros(1)), expected, why)
    attempt.expect((x, w, np.array([10.0])), expected + 10, "With a bias of 10 every output is 10 more.")


def _check_conv_channels(attempt):
    x, w, b = _layer(np.random.default_rng(1), 3, 2, 2, 2, 4, 5)
    alone = [_conv_oracle(x[c : c + 1], w[:, c : c + 1], np.zeros(3)) for c in range(2)]
    why = "Each output adds up over all input channels; then the bias is added once."
    attempt.expect((x, w, b), alone[0] + alone[1] + b[:, None, None], why)


def _check_conv_stride_padding(attempt):
    rng = np.random.default_rng(2)
    for stride, padding in ((2, 0), (3, 0), (1, 1), (1, 2), (2, 1), (3, 2), (4, 0)):
        case = (*_layer(rng, 2, 2, 3, 2, 6, 7), stride, padding)
        attempt.expect(case, _conv_oracle(*case), f"Here stride = {stride} and padding = {padding}.")
    x = np.zeros((1, 2, 2))
    case = (x, np.ones((1, 1, 3, 3)), np.array([0.5]), 1, 1)
    attempt.expect(case, np.full((1, 2, 2), 0.5), "A black image gives the bias everywhere.")


def _check_conv_random(attempt):
    rng = np.random.default_rng(3)
    for sizes in SIZES * 2:
        case = _layer(rng, *sizes)
        attempt.expect(case, _conv_oracle(*case))


def _check_conv_torch(attempt):
    import torch
    import torch.nn.functional as F

    rng = np.random.default_rng(4)
    for stride, padding in ((1, 0), (2, 1), (3, 3)):
        x, w, b = _layer(rng, 4, 3, 3, 3, 9, 8)
        theirs = F.conv2d(*map(torch.tensor, (x[None], w, b)), stride=stride, padding=padding)[0]
        attempt.expect((x, w, b, stride, padding), theirs.numpy(), "Expected: torch's conv2d.")


def _conv_sample(rng):
    layer = _layer(rng, *SIZES[rng.integers(len(SIZES))])
    return (*layer, int(rng.integers(1, 4)), int(rng.integers(0, 3)))


def _conv_probes():
    rng = np.random.default_rng(5)
    return [
        (*_layer(rng, 2, 2, 3, 3, 6, 6), 1, 0),
        (*_layer(rng, 2, 2, 2, 2, 6, 7), 2, 1),
        (*_layer(rng, 3, 2, 3, 2, 6, 5), 2, 2),
    ]


def _zeros_around(x, padding):
    return np.pad(x, ((0, 0), (padding, padding), (padding, padding)))


def _conv_with(
    pad=_zeros_around,
    kernel=lambda w: w,
    size=lambda length, k, stride: (length - k) // stride + 1,
    step=lambda m, stride: m * stride,
    total=lambda w, window, b: (w * window).sum(axis=(1, 2, 3)) + b,
):
    """The right loop with one of its parts exchanged."""

    def wrong(x, w, b, stride=1, padding=0):
        x, w = pad(x, padding), kernel(w)
        kh, kw = w.shape[2:]
        out = np.zeros((len(w), size(x.shape[1], kh, stride), size(x.shape[2], kw, stride)))
        for m, n in np.ndindex(*out.shape[1:]):
            top, left = step(m, stride), step(n, stride)
            out[:, m, n] = total(w, x[:, top : top + kh, left : left + kw], b)
        return out

    return wrong


def _conv_one_number(x, w, b, stride=1, padding=0):
    """The articles' formula: no position."""
    return _conv_with()(x, w, b, stride, padding)[:, :1, :1].copy()


def _conv_wrapped(x, w, b, stride=1, padding=0):
    return _conv_with(pad=lambda x, p: np.pad(x, ((0, 0), (p, p), (p, p)), mode="wrap"))(x, w, b, stride, padding)


_CONV_MISCONCEPTIONS = (
    Misconception(
        "kernel_flipped",
        _conv_with(kernel=lambda w: w[:, :, ::-1, ::-1]),
        "You turn the kernel upside down: that is convolution as mathematics defines it. Deep learning, "
        "and this exercise, lays the kernel on the image as it is.",
        also=(_conv_with(kernel=lambda w: w[:, :, ::-1]), _conv_with(kernel=lambda w: w[:, :, :, ::-1])),
    ),
    Misconception(
        "bias_forgotten",
        _conv_with(total=lambda w, window, b: (w * window).sum(axis=(1, 2, 3))),
        "Your output lacks the bias: b[o] is added to every position of output channel o.",
    ),
    Misconception(
        "bias_added_too_often",
        _conv_with(total=lambda w, window, b: (w * window + b.reshape(-1, 1, 1, 1)).sum(axis=(1, 2, 3))),
        "The bias enters your sum once for each product. It belongs behind the sum, once.",
        also=(
            _conv_with(total=lambda w, window, b: (w * window).sum(axis=(1, 2, 3)) + len(window) * b),
        ),
    ),
    Misconception(
        "mean_instead_of_sum",
        _conv_with(total=lambda w, window, b: (w * window).mean(axis=(1, 2, 3)) + b),
        "You take the mean of the products. A convolution adds them up.",
        also=(
            _conv_with(total=lambda w, window, b: (w * window).sum(axis=(2, 3)).mean(axis=1) + b),
        ),
    ),
    Misconception(
        "first_channel_only",
        _conv_with(total=lambda w, window, b: (w[:, 0] * window[0]).sum(axis=(1, 2)) + b),
        "Your output depends on the first input channel only. Each kernel has one sheet for each input "
        "channel, and all products are added.",
    ),
    Misconception(
        "channels_of_w_swapped",
        _conv_with(kernel=lambda w: w.swapaxes(0, 1)),
        "You read w as (c_in, c_out, kh, kw). Its first axis counts the *output* channels.",
    ),
    Misconception(
        "kernel_transposed",
        _conv_with(kernel=lambda w: w.swapaxes(2, 3)),
        "Rows and columns of the kernel are exchanged. Which index goes with the image's row?",
    ),
    Misconception(
        "stride_ignored",
        _conv_with(size=lambda length, k, stride: length - k + 1, step=lambda m, stride: m),
        "stride has no effect. The window of output (m, n) begins at row m * stride, column n * stride.",
    ),
    Misconception(
        "stride_in_the_size_only",
        _conv_with(step=lambda m, stride: m),
        "Your output has the right size, but the window still moves one pixel at a time.",
    ),
    Misconception(
        "last_window_lost",
        _conv_with(size=lambda length, k, stride: (length - k + 1) // stride),
        "Your output is too small where the stride is above 1. Count the windows: the first one, and one "
        "more for each whole stride that fits behind it.",
        also=(_conv_with(size=lambda length, k, stride: max(0, (length - k) // stride)),),
    ),
    Misconception(
        "padding_ignored",
        _conv_with(pad=lambda x, p: x),
        "padding has no effect. Add that many rows and columns of zeros on every side first.",
    ),
    Misconception(
        "padding_on_one_side",
        _conv_with(pad=lambda x, p: np.pad(x, ((0, 0), (0, p), (0, p)))),
        "You pad one side of each axis. padding counts the zeros on *each* of the four sides.",
        also=(
            _conv_with(pad=lambda x, p: np.pad(x, ((0, 0), (p, 0), (p, 0)))),
            _conv_with(pad=lambda x, p: np.pad(x, ((0, 0), (p // 2, p - p // 2), (p // 2, p - p // 2)))),
        ),
    ),
    Misconception(
        "padding_with_the_border",
        _conv_with(pad=lambda x, p: np.pad(x, ((0, 0), (p, p), (p, p)), mode="edge")),
        "You repeat pixels of the image beyond its border. Here the padding is zeros.",
        also=(_conv_wrapped,),
    ),
    Misconception(
        "one_number",
        _conv_one_number,
        "You have one number for each kernel: the sum for the first window. The window must move.",
    ),
)


# conv2d_backward_kernel and conv2d_backward_input


def _backward_case(rng, c_out, c_in, kh, kw, height, width):
    """x, w, grad of random numbers."""
    x, w, _ = _layer(rng, c_out, c_in, kh, kw, height, width)
    return x, w, rng.normal(size=(c_out, height - kh + 1, width - kw + 1))


def _conv_differences(x, w, grad, of):
    """Differences of the loss (grad * out).sum() for x or w; exact, as it is linear in both."""
    b, moved = np.zeros(len(w)), {"x": x, "w": w}[of]
    slopes = np.zeros(moved.shape)
    for place in np.ndindex(*moved.shape):
        unit = np.zeros(moved.shape)
        unit[place] = 1.0
        out = _conv_oracle(unit, w, b) if of == "x" else _conv_oracle(x, unit, b)
        slopes[place] = (grad * out).sum()
    return slopes


def _torch_gradient(x, w, grad, of):
    import torch
    import torch.nn.functional as F

    tensors = {"x": torch.tensor(x[None], requires_grad=True), "w": torch.tensor(w, requires_grad=True)}
    F.conv2d(tensors["x"], tensors["w"]).backward(torch.tensor(grad[None]))
    found = tensors[of].grad.numpy()
    return found[0] if of == "x" else found


def _given(of, x, w, grad):
    """The arguments of the function whose result is the gradient for x or w."""
    return (x if of == "w" else w), grad


def _check_differences(of):
    def check(attempt):
        rng = np.random.default_rng(2)
        for sizes in SIZES * 2:
            case = _backward_case(rng, *sizes)
            attempt.expect(_given(of, *case), _conv_differences(*case, of), "Expected: finite differences.")

    return check


def _check_autograd(of):
    def check(attempt):
        case = _backward_case(np.random.default_rng(3), 4, 3, 3, 3, 9, 8)
        attempt.expect(_given(of, *case), _torch_gradient(*case, of), "Expected: torch.autograd.")

    return check


def _backward_sample(of):
    return lambda rng: _given(of, *_backward_case(rng, *SIZES[rng.integers(len(SIZES))]))


def _backward_probes(of):
    def probes():
        rng = np.random.default_rng(4)
        return [_given(of, *_backward_case(rng, *sizes)) for sizes in ((2, 2, 3, 3, 7, 7), (3, 2, 2, 3, 6, 8))]

    return probes


def _check_kernel_by_hand(attempt):
    x = np.array([[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]])
    grad = np.array([[[1.0, 0], [0, 10]]])
    expected = np.array([[[[51.0, 62], [84, 95]]]])
    why = "w[0, 0] met 1 at output (0, 0) and 5 at (1, 1): 1·1 + 10·5 = 51."
    attempt.expect((x, grad), expected, why)


def _check_kernel_one_output(attempt):
    (x,) = _arrays(np.random.default_rng(1), (2, 3, 4))
    why = "With one output position the kernel is as large as the image, and its gradient is the image."
    attempt.expect((x, np.ones((1, 1, 1))), x[None], why)
    attempt.expect((x, np.zeros((3, 2, 2))), np.zeros((3, 2, 2, 3)), "No gradient arrives.")


def _kernel_with(
    place=lambda i, j, kh, kw: (i, j),
    grad_of=lambda grad: grad,
    total=lambda grad, seen: (grad[:, None] * seen).sum(axis=(2, 3)),
    finish=lambda grad_w: grad_w,
):
    """The right loop with one of its parts exchanged."""

    def wrong(x, grad):
        rows, cols = grad.shape[1:]
        kh, kw = x.shape[1] - rows + 1, x.shape[2] - cols + 1
        grad_w = np.zeros((len(grad), len(x), kh, kw))
        for i, j in np.ndindex(kh, kw):
            top, left = place(i, j, kh, kw)
            grad_w[:, :, i, j] = total(grad_of(grad), x[:, top : top + rows, left : left + cols])
        return finish(grad_w)

    return wrong


def _kernel_one_too_small(x, grad):
    return conv2d_backward_kernel(x, grad)[:, :, :-1, :-1].copy()


_KERNEL_MISCONCEPTIONS = (
    Misconception(
        "result_flipped",
        _kernel_with(place=lambda i, j, kh, kw: (kh - 1 - i, kw - 1 - j)),
        "Your result is turned upside down. w[i, j] met the pixels from row i and column j on; only the "
        "gradient for the *image* needs a flip.",
    ),
    Misconception(
        "no_offsets",
        _kernel_with(place=lambda i, j, kh, kw: (0, 0)),
        "All entries of a kernel have the same gradient in your result. w[i, j] met other pixels than "
        "w[0, 0]: which ones?",
    ),
    Misconception(
        "grad_flipped",
        _kernel_with(grad_of=lambda grad: grad[:, ::-1, ::-1]),
        "You turn dloss/dout upside down. Output (m, n) looked at pixel (m + i, n + j): no flip here.",
    ),
    Misconception(
        "mean_over_positions",
        _kernel_with(total=lambda grad, seen: (grad[:, None] * seen).mean(axis=(2, 3))),
        "You take the mean over the positions. Each use of w[i, j] adds its own share to the gradient.",
    ),
    Misconception(
        "grad_summed_first",
        _kernel_with(
            total=lambda grad, seen: grad.sum(axis=(1, 2))[:, None] * seen.sum(axis=(1, 2)) / seen[0].size
        ),
        "You add up the gradient over the positions before you multiply. Multiply position by position, "
        "then add.",
        also=(
            _kernel_with(total=lambda grad, seen: grad.sum(axis=(1, 2))[:, None] * seen.sum(axis=(1, 2))),
        ),
    ),
    Misconception(
        "grad_ignored",
        _kernel_with(total=lambda grad, seen: np.tile(seen.sum(axis=(1, 2)), (len(grad), 1))),
        "Your result depends on the image only. Each pixel must be weighted with the gradient of the "
        "output that it helped to make.",
    ),
    Misconception(
        "channels_swapped",
        _kernel_with(finish=lambda grad_w: grad_w.swapaxes(0, 1).copy()),
        "Your result is (c_in, c_out, kh, kw). The output channels come first, as in w.",
    ),
    Misconception(
        "kernel_transposed",
        _kernel_with(finish=lambda grad_w: grad_w.swapaxes(2, 3).copy()),
        "Rows and columns of your kernel are exchanged.",
    ),
    Misconception(
        "input_channels_added",
        _kernel_with(total=lambda grad, seen: (grad[:, None] * seen.sum(axis=0)).sum(axis=(2, 3))),
        "You add up the input channels of the image first. Each sheet of a kernel met its own channel.",
    ),
    Misconception(
        "one_row_short",
        _kernel_one_too_small,
        "Your kernel is one row and one column too small: H_out = H - kh + 1, so kh = H - H_out + 1.",
    ),
    Misconception(
        "uphill",
        _kernel_with(finish=lambda grad_w: -grad_w),
        "Every sign is turned. The gradient points uphill; the minus belongs to the step.",
    ),
)


def _check_input_by_hand(attempt):
    w = np.array([[[[1.0, 2], [3, 4]]]])
    grad = np.array([[[1.0, 10]]])
    expected = np.array([[[1.0, 12, 20], [3, 34, 40]]])
    why = "Pixel (0, 1) was used by both outputs: with weight 2 by the first, with weight 1 by the second."
    attempt.expect((w, grad), expected, why)


def _check_input_one_output(attempt):
    (w,) = _arrays(np.random.default_rng(1), (1, 2, 3, 4))
    why = "With one output position the gradient of the image is the kernel."
    attempt.expect((w, np.ones((1, 1, 1))), w[0], why)
    attempt.expect((w, np.zeros((1, 2, 3))), np.zeros((2, 4, 6)), "No gradient arrives.")


def _input_with(
    kernel=lambda w: w,
    grad_of=lambda grad: grad,
    spread=lambda grad_x, m, n, sent: grad_x[:, m : m + sent.shape[1], n : n + sent.shape[2]].__iadd__(sent),
    total=lambda sent: sent.sum(axis=0),
    finish=lambda grad_x, grad: grad_x,
):
    """The right loop with one of its parts exchanged."""

    def wrong(w, grad):
        w, given, grad = kernel(w), grad, grad_of(grad)
        kh, kw = w.shape[2:]
        grad_x = np.zeros((w.shape[1], grad.shape[1] + kh - 1, grad.shape[2] + kw - 1))
        for m, n in np.ndindex(*grad.shape[1:]):
            spread(grad_x, m, n, total(grad[:, m, n].reshape(-1, 1, 1, 1) * w))
        return finish(grad_x, given)

    return wrong


def _overwrite(grad_x, m, n, sent):
    grad_x[:, m : m + sent.shape[1], n : n + sent.shape[2]] = sent


def _corner_only(grad_x, m, n, sent):
    grad_x[:, m, n] += sent[:, 0, 0]


def _same_size(grad_x, grad):
    top, left = (grad_x.shape[1] - grad.shape[1]) // 2, (grad_x.shape[2] - grad.shape[2]) // 2
    return grad_x[:, top : top + grad.shape[1], left : left + grad.shape[2]].copy()


def _valid_size(grad_x, grad):
    top, left = grad_x.shape[1] - grad.shape[1], grad_x.shape[2] - grad.shape[2]
    return grad_x[:, top : grad_x.shape[1] - top, left : grad_x.shape[2] - left].copy()


_INPUT_MISCONCEPTIONS = (
    Misconception(
        "kernel_not_turned",
        _input_with(kernel=lambda w: w[:, :, ::-1, ::-1]),
        "Your kernel lies the wrong way round. If you slide it over the padded gradient, it must be turned "
        "upside down; if you add grad[m, n] * w to a window of the image, it must not.",
    ),
    Misconception(
        "grad_flipped",
        _input_with(grad_of=lambda grad: grad[:, ::-1, ::-1]),
        "You turn dloss/dout upside down. The kernel is what lies the other way round, not the gradient.",
    ),
    Misconception(
        "overwritten",
        _input_with(spread=_overwrite),
        "A pixel belongs to several windows, and you keep the last one only. Where ways meet, add.",
    ),
    Misconception(
        "first_output_channel_only",
        _input_with(total=lambda sent: sent[0]),
        "Only output channel 0 sends a gradient back. Every kernel looked at the image.",
    ),
    Misconception(
        "mean_over_output_channels",
        _input_with(total=lambda sent: sent.mean(axis=0)),
        "You take the mean over the output channels. Their gradients add up.",
    ),
    Misconception(
        "input_channels_added",
        _input_with(total=lambda sent: np.broadcast_to(sent.sum(axis=(0, 1)), sent.shape[1:])),
        "All input channels get the same gradient in your result. Each has its own sheet of the kernel.",
    ),
    Misconception(
        "corner_of_the_kernel_only",
        _input_with(spread=_corner_only),
        "You send the gradient back through w[0, 0] only. Output (m, n) used a whole window of pixels.",
    ),
    Misconception(
        "size_of_the_output",
        _input_with(finish=_same_size),
        "Your result has the size of the output. It must have the size of the image: "
        "H = H_out + kh - 1.",
        also=(_input_with(kernel=lambda w: w[:, :, ::-1, ::-1], finish=_same_size),),
    ),
    Misconception(
        "gradient_not_padded",
        _input_with(finish=_valid_size),
        "Your result is smaller than dloss/dout. The image is larger: pad the gradient with kh - 1 rows "
        "and kw - 1 columns on each side before you slide the turned kernel over it.",
        also=(_input_with(kernel=lambda w: w[:, :, ::-1, ::-1], finish=_valid_size),),
    ),
    Misconception(
        "kernel_transposed",
        _input_with(kernel=lambda w: w.swapaxes(2, 3)),
        "Rows and columns of the kernel are exchanged.",
    ),
    Misconception(
        "uphill",
        _input_with(finish=lambda grad_x, grad: -grad_x),
        "Every sign is turned. The gradient points uphill; the minus belongs to the step.",
    ),
)


# flatten_size


def _size_oracle(channels, height, width, layers):
    """Counts windows one by one."""
    for layer in layers:
        kernel, stride, padding = layer[2:] if layer[0] == "conv" else (*layer[1:], 0)
        channels = layer[1] if layer[0] == "conv" else channels
        height, width = (
            len([top for top in range(-padding, n + padding, stride) if top + kernel <= n + padding])
            for n in (height, width)
        )
    return channels * height * width


def _check_size_by_hand(attempt):
    conv, pool = ("conv", 6, 3, 1, 0), ("pool", 2, 2)
    attempt.expect((1, 8, 8, [conv]), 6 * 6 * 6, "A 3 x 3 window has 6 places in a row of 8.")
    attempt.expect((1, 8, 8, [("conv", 6, 3, 1, 1)]), 6 * 8 * 8, "padding = 1 on each side keeps 8 x 8.")
    attempt.expect((1, 8, 8, [conv, pool]), 6 * 3 * 3, "The pool halves 6 to 3 and keeps the channels.")
    attempt.expect((1, 7, 7, [pool]), 9, "A pool of 2 fits three times into 7; the last pixel is dropped.")


def _check_size_none(attempt):
    attempt.expect((3, 5, 4, []), 60, "Without a layer all numbers of the image are left.")
    why = "The same three convolutions again and again."
    attempt.expect((1, 9, 8, [("conv", 2, 3, 1, 0)] * 3), 2 * 3 * 2, why)


def _check_size_torch(attempt):
    import torch

    for side in (16, 28, 32, 33):
        layers = [("conv", 8, 3, 1, 1), ("pool", 2, 2), ("conv", 5, 5, 2, 2), ("pool", 3, 1)]
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(8, 5, 5, stride=2, padding=2), torch.nn.MaxPool2d(3, 1),
        )  # fmt: skip
        with torch.no_grad():
            expected = net(torch.zeros(1, 3, side, side + 3)).numel()
        attempt.expect((3, side, side + 3, layers), expected, "Expected: numel() of torch's result.")


def _check_size_random(attempt):
    rng = np.random.default_rng(1)
    for _ in range(40):
        case = _size_sample(rng)
        attempt.expect(case, _size_oracle(*case))


def _size_layer(rng):
    kernel, stride = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    if rng.random() < 0.4:
        return ("pool", kernel, stride)
    return ("conv", int(rng.integers(1, 9)), kernel, stride, int(rng.integers(0, 3)))


def _size_sample(rng):
    while True:
        layers = [_size_layer(rng) for _ in range(rng.integers(1, 5))]
        case = (int(rng.integers(1, 4)), int(rng.integers(10, 40)), int(rng.integers(10, 40)), layers)
        if all(_size_oracle(*case[:3], layers[: i + 1]) for i in range(len(layers))):
            return case


def _size_probes():
    return [
        (3, 17, 22, [("conv", 7, 4, 2, 2), ("pool", 3, 3), ("conv", 5, 2, 1, 1)]),
        (2, 14, 19, [("conv", 3, 3, 1, 0), ("pool", 2, 2), ("conv", 4, 3, 1, 1)]),
        (2, 19, 23, [("conv", 5, 3, 3, 1), ("pool", 2, 1)]),
    ]


def _size_with(
    length=lambda n, kernel, stride, padding: (n + 2 * padding - kernel) // stride + 1,
    pool=lambda kernel, stride: (kernel, stride),
    counted=lambda first, now, new: new,
    finish=lambda first, now, height, width: now * height * width,
    square=False,
):
    """The right walk through the layers with one of its parts exchanged."""

    def wrong(channels, height, width, layers):
        now = channels
        for layer in layers:
            if layer[0] == "conv":
                now, (kernel, stride, padding) = counted(channels, now, layer[1]), layer[2:]
            else:
                (kernel, stride), padding = pool(*layer[1:]), 0
            height, width = (length(n, kernel, stride, padding) for n in (height, width))
        return int(finish(channels, now, height, height if square else width))

    return wrong


def _pools_skipped(channels, height, width, layers):
    return flatten_size(channels, height, width, [layer for layer in layers if layer[0] == "conv"])


_SIZE_MISCONCEPTIONS = (
    Misconception(
        "plus_one_forgotten",
        _size_with(lambda n, kernel, stride, padding: (n + 2 * padding - kernel) // stride),
        "Your lengths are one too small: (n + 2 padding - kernel) / stride counts the *moves* of the "
        "window. How many places does it have?",
    ),
    Misconception(
        "padding_once",
        _size_with(lambda n, kernel, stride, padding: (n + padding - kernel) // stride + 1),
        "padding stands once in your length. It is added on both sides.",
    ),
    Misconception(
        "padding_ignored",
        _size_with(lambda n, kernel, stride, padding: (n - kernel) // stride + 1),
        "padding has no effect on your size.",
    ),
    Misconception(
        "plus_one_inside",
        _size_with(lambda n, kernel, stride, padding: (n + 2 * padding - kernel + 1) // stride),
        "You add the 1 before you divide by the stride. The first place exists whatever the stride is: "
        "add it last.",
    ),
    Misconception(
        "rounded_up",
        _size_with(lambda n, kernel, stride, padding: math.ceil((n + 2 * padding - kernel) / stride) + 1),
        "You round up. A window that doesn't fit whole is dropped.",
    ),
    Misconception(
        "rounded_at_the_end",
        _size_with(lambda n, kernel, stride, padding: (n + 2 * padding - kernel) / stride + 1),
        "You carry fractions of a pixel from layer to layer. Round down at every layer, for height and "
        "width.",
    ),
    Misconception(
        "stride_ignored",
        _size_with(lambda n, kernel, stride, padding: n + 2 * padding - kernel + 1),
        "stride has no effect on your size.",
    ),
    Misconception(
        "kernel_ignored",
        _size_with(lambda n, kernel, stride, padding: n // stride),
        "You divide by the stride and leave the kernel out. How many places has a 3 x 3 window in a row "
        "of 8?",
    ),
    Misconception(
        "pools_skipped",
        _pools_skipped,
        "Your size is that without the pools.",
    ),
    Misconception(
        "every_pool_halves",
        _size_with(pool=lambda kernel, stride: (2, 2)),
        "You halve at every pool. Only a pool with kernel 2 and stride 2 does that.",
    ),
    Misconception(
        "pool_stride_is_its_kernel",
        _size_with(pool=lambda kernel, stride: (kernel, kernel)),
        "You move every pool by its kernel. Its third number is the stride.",
    ),
    Misconception(
        "channels_forgotten",
        _size_with(finish=lambda first, now, height, width: height * width),
        "You count one channel. All of the last convolution's channels are flattened.",
    ),
    Misconception(
        "channels_of_the_image",
        _size_with(finish=lambda first, now, height, width: first * height * width),
        "You multiply by the image's channels. Each convolution brings its own number.",
    ),
    Misconception(
        "channels_multiplied",
        _size_with(counted=lambda first, now, new: now * new),
        "You multiply the channels of the layers. A kernel adds up over its input channels, so only its "
        "own number is left.",
    ),
    Misconception(
        "first_convolution_only",
        _size_with(counted=lambda first, now, new: new if now == first else now),
        "Your channels stay those of the first convolution. The last one counts.",
    ),
    Misconception(
        "square",
        _size_with(square=True),
        "You take the image to be as wide as it is high.",
    ),
)


# gradient_is_right


def _quadratic(scale=1.0):
    return lambda x: scale * float((np.arange(1.0, x.size + 1).reshape(x.shape) * x**2).sum())


def _quadratic_gradient(x, scale=1.0):
    return scale * 2 * np.arange(1.0, x.size + 1).reshape(x.shape) * x


def _total(x):
    return float(x.sum())


def _waves(x):
    return float(np.sin(x * np.arange(x.size).reshape(x.shape)).prod() + np.exp(x).sum())


def _waves_gradient(x):
    """By complex steps: no difference of nearly equal numbers."""
    slopes = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        step = np.zeros(x.shape, dtype=complex)
        step[place] = 1e-30j
        value = np.sin((x + step) * np.arange(x.size).reshape(x.shape)).prod() + np.exp(x + step).sum()
        slopes[place] = value.imag / 1e-30
    return slopes


def _moved(gradient, place, amount):
    out = gradient.copy()
    out[place] += amount
    return out


def _judged(work, *case):
    """The usual call; NumPy's bool is a bool too."""
    found = work(*case)
    return bool(found) if isinstance(found, np.bool_) else found


def _x(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 1.5, size=shape)


def _at_the_bottom():
    x = np.array([0.01, -0.02, 0.005])
    return _quadratic(), x, _quadratic_gradient(x)


def _small_beside_large():
    x = np.array([1.0, 0.001, 1.5])
    right = _quadratic_gradient(x)
    return _quadratic(), x, _moved(right, 1, 3e-5 * right.max())


def _check_accepts(attempt):
    for shape in ((1,), (3,), (2, 2), (2, 3, 2)):
        x = _x(*shape)
        attempt.expect((_quadratic(), x, _quadratic_gradient(x)), True, f"This gradient of shape {shape} is right.")
        attempt.expect((_waves, x, _waves_gradient(x)), True, "This gradient is right.")
    attempt.expect(_at_the_bottom(), True, "Near the bottom of f slopes are small and change fast; this gradient is right.")
    why = "The second slope is small; its entry is off by 3e-5 of the largest slope, which is allowed."
    attempt.expect(_small_beside_large(), True, why)


def _check_rejects(attempt):
    for shape in ((1,), (3,), (2, 3, 2)):
        x = _x(*shape)
        right, last = _quadratic_gradient(x), tuple(n - 1 for n in shape)
        top = np.abs(right).max()
        for wrong, why in (
            (_moved(right, last, 0.01 * top), "The last entry is off by a hundredth."),
            (_moved(right, last, -0.01 * top), "The last entry is off by a hundredth."),
            (_moved(right, (0,) * x.ndim, 0.01 * top), "The first entry is off by a hundredth."),
            (right * 0, "All zero: that is not the slope of this f."),
            (-right, "Every sign is turned."),
            (2 * right, "Twice the slope."),
            (right / 2, "Half the slope."),
            (_moved(right, last, np.nan), "The last entry is NaN, and every comparison with NaN is False."),
        ):
            attempt.expect((_quadratic(), x, wrong), False, why)
    many = _moved(np.ones(40), (7,), 3e-4)
    attempt.expect((_total, _x(40), many), False, "One entry of forty is off by 3e-4 of the largest slope.")


def _check_judges_the_shape(attempt):
    x = _x(2, 3)
    why = "f adds up its entries, so each has the slope 1; but one number is not a gradient of six entries."
    attempt.expect((_total, x, np.ones((2, 3))), True, "f adds up its entries: each has the slope 1.")
    for wrong in (np.float64(1.0), np.ones(3), np.ones((2, 1)), np.ones((1, 2, 3)), np.ones(6)):
        attempt.expect((_total, x, wrong), False, why)
    attempt.expect((_total, x.T.copy(), np.ones((2, 3))), False, "Rows and columns are exchanged.")


def _check_any_unit(attempt):
    x = _x(4)
    for scale in (1e-9, 1e9):
        right = _quadratic_gradient(x, scale)
        why = f"f is multiplied by {scale:g}, and so is its gradient: right stays right, wrong stays wrong."
        attempt.expect((_quadratic(scale), x, right), True, why)
        for wrong in (2 * right, right * 0, _moved(right, 1, 0.01 * np.abs(right).max())):
            attempt.expect((_quadratic(scale), x, wrong), False, why)


def _check_whole_and_flat(attempt):
    x = _x(3)
    attempt.expect((lambda x: 5.0, x, np.zeros(3)), True, "A constant f has the gradient 0.")
    attempt.expect((lambda x: 5.0, x, np.ones(3)), False, "A constant f has the gradient 0.")
    turned = _quadratic_gradient(x)[[1, 0, 2]]
    attempt.expect((_quadratic(), x, turned), False, "Two entries are exchanged; their sum is right.")


def _right_sample(rng):
    shape = ((2,), (3,), (2, 2), (1, 3))[rng.integers(4)]
    x = rng.uniform(0.5, 1.5, size=shape)
    right = _quadratic_gradient(x)
    top = np.abs(right).max()
    place = tuple(int(rng.integers(n)) for n in shape)
    choices = [right, right, right * 2, -right, right * 0, _moved(right, place, 0.01 * top), right[0]]
    return _quadratic(), x, choices[rng.integers(len(choices))]


def _right_probes():
    x, flat = _x(3), _x(2, 2, seed=1)
    right, top = _quadratic_gradient(x), 6.0
    small = _quadratic_gradient(x, 1e-9)
    return [
        (_quadratic(), x, right),
        (_quadratic(), x, 2 * right),
        (_quadratic(), x, -right),
        (_quadratic(), x, _moved(right, 2, 0.05 * top)),
        (_quadratic(), x, _moved(right, 0, 0.05 * top)),
        (_quadratic(), x, _moved(right, 1, 0.05 * top)),
        (_quadratic(), x, right[[2, 1, 0]] + np.array([0.0, right.sum() - right[[2, 1, 0]].sum(), 0.0])),
        (_total, flat, np.float64(1.0)),
        (_total, flat, np.ones((2, 2))),
        (_quadratic(1e-9), x, 2 * small),
        (_quadratic(), x, right * 0.5),
        _at_the_bottom(),
        _small_beside_large(),
    ]


def _slopes(f, x, divisor=2e-5, back=1.0):
    slopes = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        h = np.zeros(x.shape)
        h[place] = 1e-5
        slopes[place] = (f(x + h) - f(x - back * h)) / divisor
    return slopes


def _right_with(
    shape=lambda x, gradient: np.shape(gradient) == x.shape,
    slopes=_slopes,
    verdict=lambda slopes, gradient: np.abs(slopes - gradient).max() <= 1e-4 * np.abs(slopes).max(),
):
    """The right test with one of its parts exchanged."""
    return lambda f, x, gradient: bool(shape(x, gradient) and verdict(slopes(f, x), np.asarray(gradient)))


_RIGHT_MISCONCEPTIONS = (
    Misconception(
        "divided_by_one_step",
        _right_with(slopes=lambda f, x: _slopes(f, x, 1e-5)),
        "You step h forward and h back, which is 2 h apart, and divide by h.",
    ),
    Misconception(
        "one_sided_difference",
        _right_with(slopes=lambda f, x: _slopes(f, x, 1e-5, back=0.0)),
        "You step to one side only. That error grows with the curve of f, and near its bottom a right "
        "gradient fails your test: take a step up and a step down.",
    ),
    Misconception(
        "each_entry_by_itself",
        _right_with(verdict=lambda slopes, gradient: (np.abs(slopes - gradient) <= 1e-4 * np.abs(slopes)).all()),
        "You measure the error of each entry by that entry alone. Where a slope is nearly 0, rounding is "
        "larger than that: measure all errors by the largest slope.",
    ),
    Misconception(
        "absolute_tolerance",
        _right_with(verdict=lambda slopes, gradient: np.abs(slopes - gradient).max() <= 1e-4),
        "Your tolerance is a fixed number. Measure the loss in another unit and a gradient that is twice "
        "too large passes: compare the error with the size of the slopes.",
    ),
    Misconception(
        "shape_not_compared",
        _right_with(shape=lambda x, gradient: True),
        "You accept one number as the gradient of many entries: NumPy broadcasts it without a word. "
        "Compare the shapes first.",
    ),
    Misconception(
        "first_entry_only",
        _right_with(
            verdict=lambda slopes, gradient: abs(slopes.flat[0] - gradient.flat[0]) <= 1e-4 * abs(slopes.flat[0])
        ),
        "You look at the first entry only. One wrong entry anywhere makes a gradient wrong.",
    ),
    Misconception(
        "sums_compared",
        _right_with(verdict=lambda slopes, gradient: abs((slopes - gradient).sum()) <= 1e-4 * abs(slopes).max()),
        "You compare sums, in which errors cancel. Compare entry by entry.",
        also=(
            _right_with(verdict=lambda slopes, gradient: (slopes - gradient).sum() <= 1e-4 * abs(slopes).max()),
        ),
    ),
    Misconception(
        "sign_not_compared",
        _right_with(
            verdict=lambda slopes, gradient: np.abs(np.abs(slopes) - np.abs(gradient)).max() <= 1e-4 * abs(slopes).max()
        ),
        "You compare sizes and forget the signs. A gradient that points downhill isn't the gradient.",
    ),
    Misconception(
        "too_large_passes",
        _right_with(verdict=lambda slopes, gradient: (slopes - gradient).max() <= 1e-4 * np.abs(slopes).max()),
        "An entry that is too large passes: the difference is negative then. Take its absolute value.",
    ),
    Misconception(
        "too_small_passes",
        _right_with(verdict=lambda slopes, gradient: (gradient - slopes).max() <= 1e-4 * np.abs(slopes).max()),
        "An entry that is too small passes: the difference is negative then. Take its absolute value.",
    ),
    Misconception(
        "one_right_entry_is_enough",
        _right_with(verdict=lambda slopes, gradient: np.abs(slopes - gradient).min() <= 1e-4 * np.abs(slopes).max()),
        "One right entry is enough for your test. All of them must be right.",
    ),
    Misconception(
        "shape_alone",
        _right_with(verdict=lambda slopes, gradient: True),
        "Your test says yes to every gradient of the right shape. A test is worth what it rejects.",
    ),
    Misconception(
        "rejects_everything",
        lambda f, x, gradient: [False][0],
        "Your test never says yes, not even to the right gradient: differences are never exact, so allow "
        "a small error.",
    ),
    Misconception(
        "answers_turned",
        lambda f, x, gradient: not gradient_is_right(f, x, gradient),
        "Your answers are the wrong way round: True means that the gradient is right.",
    ),
)


_BACK_SECTION = "Backwards"

EXERCISES = (
    Exercise(
        id="convolution.conv2d",
        reference=conv2d,
        difficulty=3,
        minutes=15,
        section="A layer: channels, padding, stride",
        hints=(
            "Pad first. Then count the places of the window: (length - kernel) // stride + 1 for rows and "
            "for columns. Make an array of zeros of that size and fill it place by place.",
            "The window of output (m, n) is x[:, m * stride : m * stride + kh, n * stride : n * stride + kw], "
            "of shape (c_in, kh, kw).",
            "out[:, m, n] = (w * window).sum(axis=(1, 2, 3)) + b; padding by "
            "np.pad(x, ((0, 0), (padding, padding), (padding, padding))).",
        ),
        checks=(
            Check("one image by hand", _check_conv_by_hand),
            Check("channels", _check_conv_channels),
            Check("random layers", _check_conv_random),
            Check("stride and padding", _check_conv_stride_padding),
            Check("torch", _check_conv_torch),
        ),
        misconceptions=_CONV_MISCONCEPTIONS,
        probes=_conv_probes,
        sample=_conv_sample,
    ),
    Exercise(
        id="convolution.conv2d_backward_kernel",
        reference=conv2d_backward_kernel,
        difficulty=3,
        minutes=12,
        section=_BACK_SECTION,
        hints=(
            "Which pixels was w[o, c, i, j] multiplied with? As many as there are outputs: a part of channel "
            "c that begins at row i and column j.",
            "That part is x[c, i : i + H_out, j : j + W_out]. Multiply it with grad[o] and add up.",
            "Loop over i and j; grad_w[:, :, i, j] = (grad[:, None] * x[:, i : i + H_out, j : j + W_out])"
            ".sum(axis=(2, 3)).",
        ),
        checks=(
            Check("one image by hand", _check_kernel_by_hand),
            Check("one output", _check_kernel_one_output),
            Check("finite differences", _check_differences("w")),
            Check("torch", _check_autograd("w")),
        ),
        misconceptions=_KERNEL_MISCONCEPTIONS,
        probes=_backward_probes("w"),
        sample=_backward_sample("w"),
    ),
    Exercise(
        id="convolution.conv2d_backward_input",
        reference=conv2d_backward_input,
        difficulty=3,
        minutes=12,
        section=_BACK_SECTION,
        hints=(
            "Output (o, m, n) used the window of the image at (m, n), each pixel with its weight. So it sends "
            "grad[o, m, n] * w[o] back to that window.",
            "Begin with zeros of shape (c_in, H_out + kh - 1, W_out + kw - 1), and add, since windows overlap.",
            "grad_x[:, m : m + kh, n : n + kw] += (grad[:, m, n].reshape(-1, 1, 1, 1) * w).sum(axis=0)",
        ),
        checks=(
            Check("two outputs by hand", _check_input_by_hand),
            Check("one output", _check_input_one_output),
            Check("finite differences", _check_differences("x")),
            Check("torch", _check_autograd("x")),
        ),
        misconceptions=_INPUT_MISCONCEPTIONS,
        probes=_backward_probes("x"),
        sample=_backward_sample("x"),
    ),
    Exercise(
        id="convolution.flatten_size",
        reference=flatten_size,
        difficulty=2,
        minutes=10,
        section="How large is the result?",
        hints=(
            "Walk through the layers and keep three numbers: channels, height, width.",
            "Each layer makes (n + 2 * padding - kernel) // stride + 1 of a length n. A pool has no padding.",
            "A convolution also replaces channels by its out_channels; a pool keeps them. At the end: "
            "channels * height * width.",
        ),
        checks=(
            Check("small nets by hand", _check_size_by_hand),
            Check("none and many", _check_size_none),
            Check("random nets", _check_size_random),
            Check("torch", _check_size_torch),
        ),
        misconceptions=_SIZE_MISCONCEPTIONS,
        probes=_size_probes,
        sample=_size_sample,
    ),
    Exercise(
        id="convolution.gradient_is_right",
        reference=gradient_is_right,
        difficulty=3,
        minutes=12,
        section="A test for every gradient",
        hints=(
            "First the shape: np.shape(gradient) must be x.shape. Then the slope for each entry of x, by a "
            "small step h forward and back.",
            "for place in np.ndindex(*x.shape): make an array h of zeros with h[place] = 1e-5; the slope is "
            "(f(x + h) - f(x - h)) / 2e-5.",
            "True if np.abs(slopes - gradient).max() <= 1e-4 * np.abs(slopes).max().",
        ),
        checks=(
            Check("accepts what is right", _check_accepts),
            Check("rejects what is wrong", _check_rejects),
            Check("judges the shape", _check_judges_the_shape),
            Check("in any unit", _check_any_unit),
            Check("constant f, exchanged entries", _check_whole_and_flat),
        ),
        misconceptions=_RIGHT_MISCONCEPTIONS,
        probes=_right_probes,
        sample=_right_sample,
        drive=_judged,
    ),
)
