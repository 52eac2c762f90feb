// The Gaussian error linear unit.
#pragma once

#include "../bell.hpp"
#include "../category.hpp"
#include "../middle.hpp"
#include "../tabulated.hpp"
#include "../tie.hpp"

namespace rectified::RECTIFIED_TARGET {

// x Phi(x): left of 0 that is -a e^-(a^2 / 2) R(a), a = -x; and right of it x + gelu(-x). R, Mills' ratio but for a factor,
// is smooth and falls slowly.
struct gelu : ridge {
    static constexpr const char *name = "gelu";

    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B value(const B &x, const Road &road = {}) {
        if constexpr (is_float<B>) {
            return gated_in_the_middle<gelu_left_near_table>([](const auto &x) { return far_left(x); }, x, road);
        } else {
            const B a = bounded(x);
            const pair<B> ratio = inverse<B>(a).of(gelu_polynomial::ratio) * inverse<B>(a).t * a;
            const B left = rounded(bell<2>(a).whole() * ratio) * B(-unit<B>);
            return above_half(x, select(x >= B(0), x + left, left));
        }
    }
    // Left of 0 e^-(a^2 / 2) (root - a) G(a), and right of it one minus that.
    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B derivative(const B &x, const Road &road = {}) {
        B left;
        if constexpr (is_float<B>) {
            const B a = abs(x);
            left = in_the_middle<gelu_slope_near_table>([](const auto &a) { return slope_far_left(a); }, a, road);
        } else {
            const B a = bounded(x);
            const pair<B> product = distance_from<gelu_slope_table>(a) * inverse<B>(a).of(gelu_polynomial::slope);
            left = rounded(bell<2>(a).whole() * product) * B(unit<B>);
        }
        return select(x > B(0), B(1) - left, left);
    }
    // (2 - x^2) e^-(x^2 / 2) / sqrt(2 pi)
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        const B a = bounded(x);
        const pair<B> height = constant<B>(0x1.9884533d43651p-2, -0x1.cbc0d30ebfd15p-56);
        const pair<B> factor = -product_of(a, a) + 2;
        return rounded(bell<2>(a).whole() * factor * height) * B(unit<B>);
    }

  private:
    template <class B>
    static constexpr bool is_float = std::is_same_v<typename B::scalar, float>;

    template <class B, class F = format<typename B::scalar>>
    static constexpr typename B::scalar unit = F::unit * F::unit;  // so that no step before the last is subnormal

    template <class B>
    RECTIFIED_INLINE static B far_left(const B &x) {
        const B a = bounded(x);
        return brought_down(tabulated<gelu_table, B>(a).times(a, bell<2>(a)), unit<B>);
    }
    template <class B>
    RECTIFIED_INLINE static B slope_far_left(const B &x) {
        const B a = bounded(x);
        return brought_down(slope_with_root<gelu_slope_table>(a, bell<2>(a)), unit<B>);
    }

    // Beyond that a product with e^-(a^2 / 2) rounds to 0. The tables end at 15.
    template <class B>
    RECTIFIED_INLINE static B bounded(const B &x) {
        return lesser(B(is_float<B> ? 14.9f : 39), abs(x));
    }

    // float64: what is smooth in a and falls as 1 / a does is a polynomial in q = 1 - 8 t, t = 1 / (a + 4), which goes from
    // -1 to 1 while a goes from 0 to infinity.
    template <class B>
    struct inverse {
        pair<B> t;
        B q;

        RECTIFIED_INLINE explicit inverse(const B &a) {
            const pair<B> sum = sum_of_any(a, B(4));
            t.high = B(1) / sum.high;
            t.low = t.high * fnma(t.high, sum.low, fnma(t.high, sum.high, B(1)));
            q = fma(t.low, B(-8), fnma(t.high, B(8), B(1)));
        }

        // Two chains, of the even powers and of the odd ones, as long as rounding does not show.
        template <std::size_t Count>
        RECTIFIED_INLINE pair<B> of(const double (&coefficients)[Count]) const {
            const B square = q * q;
            B chain[] = {B(coefficients[Count - 2]), B(coefficients[Count - 1])};
            for (int i = Count - 3; i >= 2; --i) {
                B &part = chain[(Count - i) % 2];
                part = fma(part, square, B(coefficients[i]));
            }
            const B rest = fma(chain[(Count + 1) % 2], q, chain[Count % 2]);  // of powers from 2 on
            const B slope = fma(rest, q, B(coefficients[1]));
            const B high = fma(slope, q, B(coefficients[0]));
            return {high, fma(slope, q, B(coefficients[0]) - high)};
        }
    };
};

}  // namespace rectified::RECTIFIED_TARGET
