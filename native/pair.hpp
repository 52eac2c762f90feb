// Numbers with twice the digits: arithmetic on unevaluated sums of two.
#pragma once

#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {

// A number as an unevaluated sum; low carries the digits that high has no room for.
template <class B>
struct pair {
    B high, low;
};

template <class B>
inline constexpr bool has_spare_digits = std::is_same_v<typename B::scalar, ample>;

// With what high lacks, which a number with digits to spare does without.
template <class B, class F>
RECTIFIED_INLINE pair<B> with_rest(const B &high, F low) {
    if constexpr (has_spare_digits<B>)
        return {high, B(0)};
    else
        return {high, low()};
}

// a + b with its rounding error, where |a| >= |b| or a = 0 (Dekker).
template <class B>
RECTIFIED_INLINE pair<B> sum_of(const B &a, const B &b) {
    const B high = a + b;
    return with_rest(high, [&] { return (a - high) + b; });
}

// The same for any order of the two (Knuth).
template <class B>
RECTIFIED_INLINE pair<B> sum_of_any(const B &a, const B &b) {
    const B high = a + b, part = high - a;
    return with_rest(high, [&] { return (a - (high - part)) + (b - part); });
}

template <class B>
RECTIFIED_INLINE pair<B> product_of(const B &a, const B &b) {
    const B high = a * b;
    return with_rest(high, [&] { return fma(a, b, -high); });
}

template <class T, int N>
RECTIFIED_INLINE pair<batch<T, N>> product_of(const batch<T, N> &a, const pair<batch<T, N>> &b) {
    using B = batch<T, N>;
    const B high = a * b.high;
    return with_rest(high, [&] { return fma(a, b.low, fma(a, b.high, -high)); });
}

template <class B>
RECTIFIED_INLINE pair<B> product_of(const pair<B> &a, const pair<B> &b) {
    const B high = a.high * b.high;
    return with_rest(high, [&] { return fma(a.low, b.high, fma(a.high, b.low, fma(a.high, b.high, -high))); });
}

template <class B>
RECTIFIED_INLINE pair<B> reciprocal_of(const B &a) {
    const B high = B(1) / a;
    return with_rest(high, [&] { return high * fnma(high, a, B(1)); });
}

template <class B>
RECTIFIED_INLINE pair<B> quotient_of(const pair<B> &a, const pair<B> &b) {
    const B reciprocal = B(1) / b.high, high = a.high * reciprocal;
    return with_rest(high, [&] { return reciprocal * fnma(high, b.low, fnma(high, b.high, a.high) + a.low); });
}

template <class B>
RECTIFIED_INLINE B rounded(const pair<B> &a) {
    if constexpr (has_spare_digits<B>)
        return a.high;
    else
        return a.high + a.low;
}

// The last step; where a product has overflowed, or vanished, its low half is no number, or has another sign.
template <class B>
RECTIFIED_INLINE B finished(const pair<B> &a) {
    const B sum = rounded(a);
    return select((sum < B(0)) | (sum > B(0)), sum, a.high);
}

template <class B>
RECTIFIED_INLINE pair<B> magnitude_of(const pair<B> &a) {
    return {abs(a.high), select(a.high < B(0), -a.low, a.low)};
}

// a where it is below the bound; what lies below its last digit must not survive that digit.
template <class B>
RECTIFIED_INLINE pair<B> at_most(typename B::scalar bound, const pair<B> &a) {
    return {lesser(B(bound), a.high), select(a.high < B(bound), a.low, B(0))};
}

// A constant with more digits than the type that is computed in has.
template <class B>
RECTIFIED_INLINE pair<B> constant(double value, double rest = 0) {
    using T = typename B::scalar;
    const T high = static_cast<T>(value);
    return {B(high), B(static_cast<T>(value - high + rest))};
}

template <class B>
RECTIFIED_INLINE pair<B> operator-(const pair<B> &a) {
    return {-a.high, -a.low};
}

template <class B>
RECTIFIED_INLINE pair<B> operator+(const pair<B> &a, const pair<B> &b) {
    const pair<B> high = sum_of_any(a.high, b.high);
    return {high.high, high.low + (a.low + b.low)};
}

template <class B>
RECTIFIED_INLINE pair<B> operator+(const pair<B> &a, typename B::scalar b) {
    const pair<B> high = sum_of_any(a.high, B(b));
    return {high.high, high.low + a.low};
}

// The same where |a| >= |b|.
template <class B>
RECTIFIED_INLINE pair<B> operator+(typename B::scalar a, const pair<B> &b) {
    const pair<B> high = sum_of(B(a), b.high);
    return {high.high, high.low + b.low};
}

template <class B>
RECTIFIED_INLINE pair<B> operator*(const pair<B> &a, const pair<B> &b) {
    return product_of(a, b);
}

template <class B>
RECTIFIED_INLINE pair<B> operator*(const pair<B> &a, const B &b) {
    const B high = a.high * b;
    return {high, fma(a.low, b, fma(a.high, b, -high))};
}

template <class B>
RECTIFIED_INLINE B rounded_product(const pair<B> &a, const B &b) {
    return fma(a.high, b, a.low * b);
}

// a / b, rounded once: the product in the last step is exact.
template <class B>
RECTIFIED_INLINE B rounded_quotient(const pair<B> &a, const pair<B> &b) {
    const B reciprocal = B(1) / b.high, high = a.high * reciprocal;
    const B error = high * fnma(reciprocal, b.high, B(1));
    return fma(a.high, reciprocal, fma(fnma(high, b.low, a.low), reciprocal, error));
}

// ---- parameters at the ends of their range ------------------------------------------------------------------------------

// Compared as integers, which GCC does before a loop. A comparison of numbers may raise a flag.
template <class B>
RECTIFIED_INLINE typename B::integer is_below(typename B::scalar bound, const B &parameter) {
    using I = typename B::integer;
    return I::bits_of(abs(parameter)) < I::bits_of(B(bound));
}

// A parameter in whose limit a function is what it is for the largest number.
template <class B>
RECTIFIED_INLINE B finite(const B &parameter) {
    using I = typename B::integer;
    using L = std::numeric_limits<typename B::scalar>;
    return select(I::bits_of(abs(parameter)) == I::bits_of(B(L::infinity())), with_sign_of(B(L::max()), parameter),
                  parameter);
}

// x, but beside a parameter that is 0 no infinity: what does not depend on x has its value there, too.
template <class B>
RECTIFIED_INLINE B finite_beside_zero(const B &x, const B &parameter) {
    using L = std::numeric_limits<typename B::scalar>;
    const auto zero = is_below(L::denorm_min(), parameter);
    if (any(zero)) [[unlikely]] {
        const B most = B(L::max() / 256);
        return select(zero, lesser(most, greater(-most, x)), x);
    }
    return x;
}

}  // namespace rectified::RECTIFIED_TARGET
