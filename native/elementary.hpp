// The elementary functions that activations are made of: branch-free, for batches of any floating-point type.
#pragma once

#include "tables.hpp"
#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {

// A number as an unevaluated sum; low carries the digits that high has no room for.
template <class B>
struct pair {
    B high, low;
};

// a + b with its rounding error, where |a| >= |b| or a = 0 (Dekker).
template <class B>
RECTIFIED_INLINE pair<B> sum_of(const B &a, const B &b) {
    const B high = a + b;
    return {high, (a - high) + b};
}

template <class T>
struct format;
template <>
struct format<float> {
    static constexpr int mantissa = 23;
    static constexpr float round = 0x1.8p23f;   // adding it rounds to an integer, which stands in the low bits
    static constexpr float vanishes = -110.0f;  // 4 e^vanishes rounds to 0
    static constexpr float saturates = 20.0f;   // 1 + e^-saturates rounds to 1
    static constexpr int headroom = 40;         // e^-vanishes 2^-headroom is a number, and its reciprocal is normal
    static constexpr float unit = 0x1p-40f;     // 2^-headroom
};
template <>
struct format<double> {
    static constexpr int mantissa = 52;
    static constexpr double round = 0x1.8p52;
    static constexpr double vanishes = -750.0;
    static constexpr double saturates = 40.0;
    static constexpr int headroom = 100;
    static constexpr double unit = 0x1p-100;
};

// e^-x 2^-headroom = large + low scale, with a relative error near 2^-29 (float32) or 2^-57 (float64), for |x| < 1000 where
// large is a normal number.
//
// With 2^(j/16) from a table as a sum of two numbers, the rest of the argument is at most ln(2)/32: a short polynomial
// does, and its rounding errors stand so far below the table's value that the sum is good to some digits more than one
// number.
template <class B>
struct exponential {
    B large, low, scale;

    template <int Headroom>
    RECTIFIED_INLINE static exponential of_minus(const B &x) {
        using T = typename B::scalar;
        using I = typename B::integer;
        using F = format<T>;
        using table = exponential_table<T>;
        constexpr T round = F::round - 16 * Headroom;
        const B shifted = fnma(x, B(table::steps_per_unit), B(round));
        const B count = shifted - B(round);
        B r = fma(count, B(table::step_high), x);  // -r, exact: step_high has few digits
        r = fnma(count, B(table::step_low), -r);
        constexpr int degree = sizeof(table::tail) / sizeof(T);
        B q = B(table::tail[degree - 1]);
        for (int i = degree - 2; i >= 0; --i) q = fma(q, r, B(table::tail[i]));
        const B p = fma(r * r, q, r);  // e^r - 1
        const I steps = I::bits_of(shifted);
        const B power = lookup<B>(table::power_high, steps);
        const I exponent = (steps >> 4) << F::mantissa;  // the bits of F::round fall off
        return {B::bits_of(I::bits_of(power) + exponent), fma(power, p, lookup<B>(table::power_low, steps)),
                B::bits_of(I::bits_of(B(1)) + exponent)};
    }
};

}  // namespace rectified::RECTIFIED_TARGET
