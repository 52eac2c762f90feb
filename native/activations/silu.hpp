// The sigmoid linear unit: x times the logistic function of a multiple of x.
#pragma once

#include "../middle.hpp"
#include "../root.hpp"
#include "../tie.hpp"
#include "exponential.hpp"
#include "sigmoidal.hpp"

namespace rectified::RECTIFIED_TARGET {

// x / (1 + e^-z), with z = beta x for beta as a sum of two numbers.
template <class B>
struct gated_by_sigmoid {
    using T = typename B::scalar;
    using F = format<T>;
    using I = typename B::integer;

    RECTIFIED_INLINE static B value(const B &x, const pair<B> &beta) {
        // Where z passes one of its ends, the result is 0 or x. Bounding x there bounds z, and its low half is finite.
        const B vanishes = B(-F::ends) / beta.high, saturates = B(F::saturates) / beta.high;
        const B lowest = lesser(vanishes, saturates), highest = greater(vanishes, saturates);
        const B bounded = lesser(highest, greater(lowest, x));
        const pair<B> z = product_of(bounded, beta);
        // The gate stands 2^(2 headroom) above itself, and comes down in two steps: so the product is rounded once where it
        // is subnormal, and the gate is none. x goes into the product before what the gate lacks: a rounded gate would cost
        // more than a digit where the product begins a power of two later.
        const auto e = exponential<B>::template of_minus<2 * F::headroom>(z.high, z.low);
        const auto gate = logistic<B, 2>::of(e);
        const B product = bounded * (gate.high * B(F::unit));
        const B result = fma(product, gate.residual, product) * B(F::unit);
        // A gate that is shut is no half, however tiny x is.
        const B away = select(abs(z.high) < B(1), B::bits_of(I::bits_of(x) ^ I::bits_of(sign_of(beta.high))), B(0));
        const B quick = select(z.high > B(F::saturates - 1), x, above_half(away, with_sign_of(result, x)));
        return unless_small<-38>([](const auto &...in) { return value_for_small(in...); }, quick, x, beta.high);
    }

    // float32, for a beta near 1, from a = |x| and |z|, both bounded: left of 0 that is -a / (1 + e^|z|), and right of it x
    // more.
    template <class... Z>
    RECTIFIED_INLINE static B value_from(const B &x, const B &a, const Z &...z) {
        const B left = logistic<B>::divided(a, exponential<B>::template of_minus<F::headroom>(-z...)) * B(-F::unit);
        return select(x >= B(0), x + left, left);
    }

    // The same for beta = 1, float64.
    RECTIFIED_INLINE static B derivative(const B &x) {
        const B a = lesser(B(-power_of_e<B>::ends), abs(x));
        const B left = logistic<B>::left(exponential<B>::template of_minus<F::headroom>(-a)).gated_slope(a);
        return select(x > B(0), B(1) - left, left);
    }
    // Left of 0 s (1 - a (1 - s)) with s = 1 / (1 + e^a), a = |z|, and right of it one minus that.
    RECTIFIED_INLINE static B derivative(const pair<B> &z) {
        const pair<B> a = magnitude(z, -power_of_e<B>::ends);
        const auto s = logistic<B, 2>::left(exponential<B>::template of_minus<2 * F::headroom>(-a.high, -a.low));
        static constexpr float bend[] = {0.1466488f, 0.018874814f, -0.015222655f, -0.006606589f};
        const pair<B> root = constant<B>(-1.2784645427610737, -1.0946994183093437e-16);
        const B left = beside_root(-a.high, {root.high, root.low + a.low},
                                   constant<B>(0.2178117057198001, -3.974332795880862e-18), bend, s.gated_slope(a));
        return select(z.high > B(0), B(1) - left, left);
    }

    // beta e (2 (1 + e) - a (1 - e)) / (1 + e)^3 with e = e^-a. A product of a small beta with the unit might be none, and
    // with a large one the result goes on where a is bounded: there e is nothing beside 1.
    RECTIFIED_INLINE static B second_derivative(const pair<B> &z, const B &beta) {
        const pair<B> a = magnitude(z, -power_of_e<B>::ends);
        const power_of_e<B> power(-a);
        const pair<B> e = power.plain(), d = 1 + e;
        const pair<B> factor = d * B(2) + a * (-1 + e);
        const B up = rounded_quotient(power.up * factor, d * d * d), quick = up * (B(power.unit) * beta);
        const I small = is_below(T(0x1p-64), beta), large = is_below(64, beta) == I(0);
        if (any(small | large)) [[unlikely]] {
            const B copies[] = {z.high, z.low, beta};  // what a call takes the address of is in memory all the time
            const B far = second_derivative_far(copies[0], copies[1], copies[2]);
            return select(large & (abs(z.high) > B(60)), far, select(small, up * beta * B(power.unit), quick));
        }
        return quick;
    }

    // x^2 e / (1 + e)^2: the derivative by beta. e stands 2^(2 headroom) above itself, for x may be large where beta is
    // small.
    RECTIFIED_INLINE static B derivative_wrt_factor(const B &x, const B &beta) {
        const pair<B> z = product_of(x, beta);
        constexpr T bound = F::ends;
        const pair<B> a = magnitude(z, bound);
        const auto e = exponential<B>::template of_minus<-2 * F::headroom>(a.high, a.low);
        const pair<B> up = e.whole(), d = 1 + up * B(F::unit * F::unit);
        const pair<B> product = quotient_of(up, d * d) * x * B(F::unit);
        const B quick = select(a.high < B(bound), rounded_product(product, x) * B(F::unit), a.high * B(0));
        return unless_small<-14>([](const auto &...in) { return derivative_wrt_small_factor(in...); }, quick, x, beta);
    }

  private:
    // For a beta so small that x may leave the range of what it is multiplied with, where the gate is not shut.
    template <int Exponent, class Other>
    RECTIFIED_INLINE static B unless_small(Other other, const B &quick, const B &x, const B &beta) {
        constexpr T bound = T(1) / (std::int64_t(1) << -Exponent);
        const I small = is_below(bound, beta);
        if (any(small)) [[unlikely]] {
            const B copies[] = {x, beta};  // what a call takes the address of is in memory all the time
            return select(small, other(copies[0], copies[1]), quick);
        }
        return quick;
    }
    [[gnu::noinline]] static B second_derivative_far(const B &z, const B &z_low, const B &beta) {
        const pair<B> a = magnitude({z, z_low}, 2000);
        return decay_of_large(product_of(finite(beta) * B(F::unit * F::unit), -a + T(2)), a);
    }
    [[gnu::noinline]] static B value_for_small(const B &x, const B &beta) {
        const pair<B> z = product_of(finite_beside_zero(x, beta), beta);
        const auto gate = logistic<B>::of(z.high, select(abs(z.high) <= B(F::saturates), z.low, B(0)));
        const B product = x * (gate.high * B(F::unit)), middle = fma(product, gate.residual, product);
        const B shut = decay_of_any(x, magnitude_of(z));  // x e^z
        const B result = select(z.high < B(-F::saturates), shut, select(z.high > B(F::saturates), x, middle));
        const B limit = select(z.high < B(0), with_sign_of(B(0), x), x);
        return select(abs(x) == B(std::numeric_limits<T>::infinity()), limit, result);
    }
    [[gnu::noinline]] static B derivative_wrt_small_factor(const B &x, const B &beta) {
        constexpr T ends = std::is_same_v<T, float> ? 141 : 840, down = F::unit * F::unit;
        const pair<B> a = magnitude_of(product_of(finite_beside_zero(x, beta), beta));
        const pair<B> half = at_most(ends, pair<B>{a.high * B(0.5f), a.low * B(0.5f)});
        const pair<B> up = exponential<B>::template of_minus<-2 * F::headroom>(half.high, half.low).whole();
        const pair<B> plain = up * B(down);
        const auto far = abs(x) > B(1 / F::unit);
        const pair<B> root = quotient_of(product_of(select(far, x * B(down), x), up), T(1) + plain * plain);
        const pair<B> whole = root * select(far, B(1), B(down));
        return select(half.high < B(ends), finished_product(whole, whole), half.high * B(0));
    }

    RECTIFIED_INLINE static pair<B> magnitude(const pair<B> &z, T bound) { return at_most(bound, magnitude_of(z)); }
};

struct silu : ridge {
    static constexpr const char *name = "silu";
    static constexpr const char *parameters[] = {"beta"};

    // float32, for beta = 1. The derivative left of 0 is e^-a (root - a) G(a), a = -x, with a smooth G, and right of it one
    // minus that.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &x) {
        const auto a = lesser(batch<float, N>(-format<float>::vanishes), abs(x));
        return gated_by_sigmoid<batch<float, N>>::value_from(x, a, a);
    }
    template <int N, road Road = beside_others>
    RECTIFIED_INLINE static batch<float, N> derivative(const batch<float, N> &x, const Road &road = {}) {
        using B = batch<float, N>;
        const B a = abs(x);
        const B left = in_the_middle<silu_slope_near_table>([](const auto &a) { return slope_far_left(a); }, a, road);
        return select(x > B(0), B(1) - left, left);
    }

    template <int N>
    RECTIFIED_INLINE static batch<double, N> derivative(const batch<double, N> &x) {
        return gated_by_sigmoid<batch<double, N>>::derivative(x);
    }

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &beta) {
        return gated_by_sigmoid<B>::value(x, {finite(beta), B(0)});
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x, const B &beta) {
        return gated_by_sigmoid<B>::derivative(product_of(finite_beside_zero(x, beta), finite(beta)));
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x, const B &beta) {
        const pair<B> z = product_of(finite_beside_zero(x, beta), finite(beta));
        return gated_by_sigmoid<B>::second_derivative(z, beta);
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &beta) {
        return gated_by_sigmoid<B>::derivative_wrt_factor(x, finite(beta));
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B slope_far_left(const B &x) {
        using F = format<float>;
        const B a = lesser(B(112), x);  // there it rounds to 0
        return brought_down(slope_with_root<silu_slope_table>(a, exponential<B>::template of_minus<-2 * F::headroom>(a)),
                            F::unit * F::unit);
    }
};

// silu for a beta with which it is near gelu.
struct quick_gelu : ridge {
    static constexpr const char *name = "quick_gelu";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            const B a = lesser(B(-format<float>::vanishes / 1.702f), abs(x));
            const pair<B> z = product_of(a, beta<B>());
            return gated_by_sigmoid<B>::value_from(x, a, z.high, z.low);
        } else {
            return gated_by_sigmoid<B>::value(x, beta<B>());
        }
    }
    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B derivative(const B &x, const Road &road = {}) {
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            const B a = abs(x),
                    left = in_the_middle<quick_gelu_slope_near_table>([](const auto &a) { return anywhere(-a); }, a, road);
            return select(x > B(0), B(1) - left, left);
        } else {
            return anywhere(x);
        }
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        return gated_by_sigmoid<B>::second_derivative(product_of(x, beta<B>()), beta<B>().high);
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B anywhere(const B &x) {
        return gated_by_sigmoid<B>::derivative(product_of(x, beta<B>()));
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> beta() {
        return constant<B>(1.702);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
