"""Compares the rounding errors of Winograd's F(4x4, 3x3) for several points of interpolation with those of the direct sum.

    python scripts/winograd_error.py        # needs numpy

The matrices follow from the points (Lavin and Gray, 2016; Barabasz et al., 2020). Inputs and filters are normal, the sums
run over 128 channels in 32-bit floats; errors are relative to the standard deviation of the exact outputs.
"""

from fractions import Fraction

import numpy as np

TILES, CHANNELS = 64, 128


def matrices(points):
    """A', G and B' of F(4, 3) for five points and infinity."""
    points = [Fraction(point) for point in points]
    products = [np.prod([p - q for q in points if q != p]) for p in points]

    def polynomial(roots):
        """Coefficients of the product of (x - root), the constant first."""
        coefficients = [Fraction(1)]
        for root in roots:
            shifted = [Fraction(0), *coefficients]
            coefficients = [high - root * low for high, low in zip(shifted, [*coefficients, Fraction(0)])]
        return coefficients

    output = [[p**i for p in points] + [int(i == 3)] for i in range(4)]
    filters = [[p**i / product for i in range(3)] for p, product in zip(points, products)] + [[0, 0, 1]]
    inputs = [polynomial([q for q in points if q != p]) + [0] for p in points] + [polynomial(points)]
    return [np.array([[float(x) for x in row] for row in matrix], np.float32) for matrix in (output, filters, inputs)]


def main():
    random = np.random.default_rng(0)
    x = random.standard_normal((TILES, CHANNELS, 6, 6)).astype(np.float32)
    weights = random.standard_normal((TILES, CHANNELS, 3, 3)).astype(np.float32)
    taps = [(i, j) for i in range(3) for j in range(3)]
    window = lambda x, i, j: x[..., i : i + 4, j : j + 4]
    exact = sum(
        np.einsum("tcij,tc->tij", window(x.astype(float), i, j), weights[:, :, i, j].astype(float)) for i, j in taps
    )
    direct = np.zeros((TILES, 4, 4), np.float32)
    for channel in range(CHANNELS):
        for i, j in taps:
            direct += window(x[:, channel], i, j) * weights[:, channel, i, j][:, None, None]

    def report(name, y):
        error = (y - exact) / exact.std()
        print(f"{name:24} root mean square {np.sqrt((error**2).mean()):.1e}, largest {np.abs(error).max():.1e}")

    report("direct sum", direct)
    for points in [("0", "1", "-1", "2", "-2"), ("0", "1", "-1", "1/2", "-2"), ("0", "2/3", "-2/3", "3/2", "-3/2")]:
        output, filters, inputs = matrices(points)
        transformed, kernels = inputs @ x @ inputs.T, filters @ weights @ filters.T
        sums = np.zeros((TILES, 6, 6), np.float32)
        for channel in range(CHANNELS):
            sums += transformed[:, channel] * kernels[:, channel]
        report(", ".join(points), output @ sums @ output.T)


if __name__ == "__main__":
    main()
