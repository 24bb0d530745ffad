"""Fits the polynomials that the kernels compute GELU and its derivative by, and prints their coefficients and errors.

    python scripts/gelu_polynomial.py        # needs numpy and scipy

GELU(x) = x (1/2 + x P(t)) and GELU'(x) = 1/2 + x Q(t), for both Phi - 1/2 and GELU' - 1/2 are odd. t = 2 (x / limit)^2 - 1
keeps the coefficients small. The fit makes the largest weighted error smallest (Lawson's iteratively reweighted least
squares, 1961); the printed errors are those of the same steps in 32-bit floats, with and without fused multiply-adds.
"""

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import ndtr

NODES, ROUNDS = 3000, 200


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


# Name, limit, degree, what is divided by x and fitted, how much an error of the fit counts.
FUNCTIONS = [
    ("value", 5.4, 14, lambda x: ndtr(x) - 0.5, lambda x: x * x),
    ("derivative", 5.6, 16, lambda x: ndtr(x) - 0.5 + x * density(x), lambda x: x),
]


def fit(limit, degree, odd_part, weight):
    """Coefficients in powers of t, the constant first."""
    t = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    x = limit * np.sqrt((t + 1) / 2)
    basis, target = chebyshev.chebvander(t, degree), odd_part(x) / x
    importance = np.ones(NODES)
    for _ in range(ROUNDS):
        scale = np.sqrt(importance) * weight(x)
        solution = np.linalg.lstsq(basis * scale[:, None], target * scale, rcond=None)[0]
        importance *= np.abs(basis @ solution - target) * weight(x)
        importance /= importance.sum()
    return chebyshev.cheb2poly(solution).astype(np.float32)


def fused(a, b, c):
    return np.float32(np.float64(a) * np.float64(b) + np.float64(c))


def separate(a, b, c):
    return np.float32(np.float32(a * b) + c)


def largest_error(name, limit, coefficients, multiply_add):
    x = np.concatenate([np.linspace(-12, 12, 2_000_001), np.linspace(-1, 1, 400_001)]).astype(np.float32)
    clamped = np.clip(x, -np.float32(limit), np.float32(limit))
    t = multiply_add(clamped * clamped, np.float32(2 / limit**2), np.float32(-1))
    polynomial = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        polynomial = multiply_add(polynomial, t, coefficient)
    result, exact = multiply_add(polynomial, clamped, np.float32(0.5)), x.astype(np.float64)
    if name == "derivative":
        return np.abs(result - (ndtr(exact) + exact * density(exact))).max()
    result, exact = np.where(x < -limit, 0, x * result), exact * ndtr(exact)
    return (np.abs(result - exact) / np.maximum(1, np.abs(exact))).max()


def main():
    for name, limit, degree, odd_part, weight in FUNCTIONS:
        coefficients = fit(limit, degree, odd_part, weight)
        errors = [largest_error(name, limit, coefficients, step) for step in (fused, separate)]
        print(f"{name}: up to {limit}, largest error {errors[0]:.1e}, without fused steps {errors[1]:.1e}")
        print(", ".join(np.format_float_scientific(c, unique=True, exp_digits=1) for c in coefficients[::-1]))


if __name__ == "__main__":
    main()
