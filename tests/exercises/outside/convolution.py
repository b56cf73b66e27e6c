"""Wrong answers that no misconception describes."""

import numpy as np

from bigmodel_nb.exercises.convolution import (
    conv2d,
    conv2d_backward_input,
    conv2d_backward_kernel,
    flatten_size,
    gradient_is_right,
)

# conv2d


def first_bias_for_all(x, w, b, stride=1, padding=0):
    return conv2d(x, w, np.full_like(b, b[0]), stride, padding)


def relu_at_the_end(x, w, b, stride=1, padding=0):
    return np.maximum(conv2d(x, w, b, stride, padding), 0)


def rows_and_columns_of_the_output(x, w, b, stride=1, padding=0):
    return conv2d(x, w, b, stride, padding).swapaxes(1, 2).copy()


def largest_product(x, w, b, stride=1, padding=0):
    out = conv2d(x, w, b, stride, padding)
    for m, n in np.ndindex(*out.shape[1:]):
        xs = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        window = xs[:, m * stride : m * stride + w.shape[2], n * stride : n * stride + w.shape[3]]
        out[:, m, n] = (w * window).max(axis=(1, 2, 3)) + b
    return out


def padded_with_ones(x, w, b, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)), constant_values=1.0)
    return conv2d(x, w, b, stride)


def single_precision(x, w, b, stride=1, padding=0):
    return conv2d(x, w, b, stride, padding).astype(np.float32)


def batch_axis_kept(x, w, b, stride=1, padding=0):
    return conv2d(x, w, b, stride, padding)[None]


# conv2d_backward_kernel


def divided_by_the_channels(x, grad):
    return conv2d_backward_kernel(x, grad) / len(grad)


def image_squared(x, grad):
    return conv2d_backward_kernel(x * x, grad)


def positive_part(x, grad):
    return conv2d_backward_kernel(x, np.maximum(grad, 0))


def last_row_forgotten(x, grad):
    grad = grad.copy()
    grad[:, -1] = 0
    return conv2d_backward_kernel(x, grad)


def channels_added_up(x, grad):
    return conv2d_backward_kernel(x, grad).sum(axis=1)


# conv2d_backward_input


def kernel_of_ones(w, grad):
    return conv2d_backward_input(np.ones_like(w), grad)


def sizes_of_the_weights(w, grad):
    return conv2d_backward_input(np.abs(w), grad)


def mean_over_the_window(w, grad):
    return conv2d_backward_input(w, grad) / w[0, 0].size


def shifted_by_one(w, grad):
    return np.roll(conv2d_backward_input(w, grad), 1, axis=2)


def last_column_forgotten(w, grad):
    grad = grad.copy()
    grad[:, :, -1] = 0
    return conv2d_backward_input(w, grad)


# flatten_size


def one_too_many(channels, height, width, layers):
    return flatten_size(channels, height, width, layers) + 1


def sum_of_the_sides(channels, height, width, layers):
    return flatten_size(channels, height, 1 + width - width, []) + width


def kernel_two_smaller(channels, height, width, layers):
    smaller = [(*it[:2], max(1, it[2] - 2), *it[3:]) if it[0] == "conv" else it for it in layers]
    return flatten_size(channels, height, width, smaller)


def first_layer_only(channels, height, width, layers):
    return flatten_size(channels, height, width, layers[:1])


def a_float(channels, height, width, layers):
    return float(flatten_size(channels, height, width, layers))


# gradient_is_right


def positive_gradients_only(f, x, gradient):
    return gradient_is_right(f, x, gradient) and bool(np.sum(gradient) > 0) and np.ndim(gradient) < 2


def a_number(f, x, gradient):
    return float(gradient_is_right(f, x, gradient)) * 0.5


def last_entry_forgotten(f, x, gradient):
    if np.shape(gradient) != x.shape:
        return False
    repaired = np.array(gradient, dtype=float)
    h = np.zeros(x.shape)
    h.flat[-1] = 1e-5
    repaired.flat[-1] = (f(x + h) - f(x - h)) / 2e-5
    return gradient_is_right(f, x, repaired)


def within_a_half(f, x, gradient):
    return gradient_is_right(f, x, gradient) or (
        np.shape(gradient) == x.shape and gradient_is_right(f, x, np.asarray(gradient) * 2)
    )


def number_of_entries_only(f, x, gradient):
    return np.size(gradient) == x.size and gradient_is_right(f, x, np.reshape(gradient, x.shape))


def _differences(f, x):
    steps = 1e-5 * np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([(f(x + h) - f(x - h)) / 2e-5 for h in steps]).reshape(x.shape)


def nan_slips_through(f, x, gradient):
    if np.shape(gradient) != x.shape:
        return False
    slopes = _differences(f, x)
    return not (np.abs(slopes - gradient) > 1e-4 * np.abs(slopes).max()).any()


def lengths_compared(f, x, gradient):
    if np.shape(gradient) != x.shape:
        return False
    slopes = _differences(f, x)
    return bool(np.linalg.norm(slopes - gradient) <= 1e-4 * np.linalg.norm(slopes))


OUTSIDE = {
    "convolution.conv2d": [
        first_bias_for_all, relu_at_the_end, rows_and_columns_of_the_output, largest_product, padded_with_ones,
        single_precision, batch_axis_kept,
    ],
    "convolution.conv2d_backward_kernel": [
        divided_by_the_channels, image_squared, positive_part, last_row_forgotten, channels_added_up,
    ],
    "convolution.conv2d_backward_input": [
        kernel_of_ones, sizes_of_the_weights, mean_over_the_window, shifted_by_one, last_column_forgotten,
    ],
    "convolution.flatten_size": [
        one_too_many, sum_of_the_sides, kernel_two_smaller, first_layer_only, a_float,
    ],
    "convolution.gradient_is_right": [
        positive_gradients_only, a_number, last_entry_forgotten, within_a_half, number_of_entries_only,
        nan_slips_through, lengths_compared,
    ],
}
