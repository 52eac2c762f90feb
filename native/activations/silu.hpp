// The sigmoid linear unit: x times the logistic function of a multiple of x.
#pragma once

#include "../tabulated.hpp"
#include "sigmoidal.hpp"

namespace rectified::RECTIFIED_TARGET {

// x s(z), with z = beta x, and its derivatives by z.
template <class B>
struct gated_by_sigmoid {
    using T = typename B::scalar;
    using F = format<T>;

    RECTIFIED_INLINE static B value(const B &x, const pair<B> &z) {
        constexpr T ends = F::vanishes - 30, half = root_of(F::headroom);
        const B low = select(abs(z.high) < B(-F::vanishes), z.low, B(0));
        // The gate stands 2^headroom above itself, and comes down in two steps: neither it nor the product leaves the
        // range of numbers before the other has met it.
        const B gate = logistic<B>::of(z.high, low).scaled() * B(half);
        return select(z.high < B(ends), with_sign_of(B(0), x), x * gate * B(half));
    }

    // Left of 0 e (1 + e - a) / (1 + e)^2 with e = e^-a, a = |z|, and right of it one minus that.
    RECTIFIED_INLINE static B derivative(const pair<B> &z) {
        const pair<B> a = magnitude(z, -F::vanishes);
        const power_of_e<B> e(-a);
        pair<B> tail;
        if constexpr (std::is_same_v<T, float>) {  // the root taken out, the rest is smooth and comes from a table
            const pair<B> root = constant<B>(silu_slope_table::root, silu_slope_table::root_rest);
            const pair<B> distance = sum_of_any(root.high, -a.high);
            const pair<B> factor = sum_of(distance.high, distance.low + (root.low - a.low));
            tail = e.up * factor * tabulated<silu_slope_table>(a.high, 0.375f);
        } else {
            const pair<B> d = 1 + e.plain(), factor = d + -a;
            tail = quotient_of(e.up * factor, d * d);
        }
        const B left = rounded(tail) * B(F::unit);
        return select(z.high > B(0), B(1) - left, left);
    }

    // e (2 (1 + e) - a (1 - e)) / (1 + e)^3
    RECTIFIED_INLINE static B second_derivative(const pair<B> &z, const B &beta) {
        const pair<B> a = magnitude(z, -F::vanishes);
        const power_of_e<B> power(-a);
        const pair<B> e = power.plain(), d = 1 + e;
        const pair<B> factor = d * B(2) + a * (-1 + e);
        return rounded_quotient(power.up * factor, d * d * d) * (B(power.unit) * beta);
    }

    // x^2 e / (1 + e)^2: the derivative by beta.
    RECTIFIED_INLINE static B derivative_wrt_factor(const B &x, const pair<B> &z) {
        constexpr T bound = 30 - F::vanishes, half = root_of(F::headroom);
        const pair<B> a = magnitude(z, bound);
        const power_of_e<B> power(-a);
        const pair<B> d = 1 + power.plain();
        const B density = rounded(quotient_of(power.up, d * d)) * B(half);
        return select(a.high < B(bound), x * (x * density) * B(half), a.high * B(0));
    }

  private:
    static constexpr T root_of(int headroom) {  // 2^(-headroom / 2)
        T power = 1;
        for (int i = 0; i < headroom / 2; ++i) power /= 2;
        return power;
    }
    RECTIFIED_INLINE static pair<B> magnitude(const pair<B> &z, T bound) {
        return at_most(bound, magnitude_of(z));
    }
};

struct silu : ridge {
    static constexpr const char *name = "silu";
    static constexpr const char *parameters[] = {"beta"};

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &beta) {
        return gated_by_sigmoid<B>::value(x, product_of(x, beta));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x, const B &beta) {
        return gated_by_sigmoid<B>::derivative(product_of(x, beta));
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x, const B &beta) {
        return gated_by_sigmoid<B>::second_derivative(product_of(x, beta), beta);
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &beta) {
        return gated_by_sigmoid<B>::derivative_wrt_factor(x, product_of(x, beta));
    }
};

// silu for a beta with which it is near gelu.
struct quick_gelu : ridge {
    static constexpr const char *name = "quick_gelu";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return gated_by_sigmoid<B>::value(x, product_of(x, beta<B>()));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return gated_by_sigmoid<B>::derivative(product_of(x, beta<B>()));
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        return gated_by_sigmoid<B>::second_derivative(product_of(x, beta<B>()), beta<B>().high);
    }

  private:
    template <class B>
    RECTIFIED_INLINE static pair<B> beta() {
        return constant<B>(1.702);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
