// Results for short types that pairs of float32 have in all the digits that decide how they are rounded.
//
// A product of two short numbers is exact in float32, and a sum of such is with its error. What is made of them is often
// the middle between two short numbers, and lies elsewhere no nearer to it than the error of a pair.
#pragma once

#include "round_to_odd.hpp"
#include "settle.hpp"

namespace rectified::RECTIFIED_TARGET {

// What float64 gives: a number, and beside it one with the sign of what it lacks.
template <class Op, class B, class... In>
[[gnu::noinline]] pair<B> and_rest_through_float64(const B &first, const In &...others) {
    using D = wide_of<B>;
    const D y = Op::of(widened(first), widened(others)...);
    const B high = narrowed<B>(y);
    return {high, narrowed<B>((y - widened(high)) * D(0x1p120))};
}

template <class Op, class B, class... In>
[[gnu::noinline]] B from_pair(const B &first, const In &...others) {
    const pair<B> found = Op::as_pair(first, others...);
    pair<B> y = sum_of(found.high, found.low);
    y.high = select(found.high == B(0), found.high, y.high);  // with its sign
    // Beside the ends of float32's range digits may have been lost on the way.
    const B size = abs(y.high);
    const auto within = ((size >= B(0x1p-100f)) & (size <= B(std::numeric_limits<float>::max()))) | (size == B(0));
    if (any(within == typename B::integer(0))) [[unlikely]] {
        const pair<B> wide = and_rest_through_float64<Op>(first, others...);
        y = {select(within, y.high, wide.high), select(within, y.low, wide.low)};
    }
    return rounded_to_odd(y);
}

// Where a result that errs by so much might be rounded otherwise, or where digits may be lost beside the ends of float32's
// range.
template <class S, class B>
RECTIFIED_INLINE typename B::integer is_open(const B &y) {
    using I = typename B::integer;
    constexpr int dropped = std::is_same_v<S, half> ? 13 : 16;  // bits
    const B size = abs(y);
    const auto is_beside_tie = [](const B &number) {
        const I beside = (I::bits_of(number) + I(most_error - (1 << (dropped - 1)))) & I((1 << dropped) - 1);
        return I(2 * most_error + 1) > beside;
    };
    if constexpr (std::is_same_v<S, half>) {  // its smallest numbers are as far apart as the first normal ones
        return is_beside_tie(select(size < B(0x1p-14f), size + B(0x1p-14f), size));
    } else {
        // NaN may be 0 times what is but too large for float32.
        const I is_number = size <= B(std::numeric_limits<float>::max());
        return is_beside_tie(y) | ((size < B(0x1p-100f)) & (size > B(0))) | (is_number == I(0));
    }
}

template <class Op, class S>
inline constexpr bool is_rounded_to_odd = Op::parameters == 0 && Op::template rounds_to_odd<S>;

template <class Op, class S, class B, class... In>
RECTIFIED_INLINE B to_be_rounded_once(const B &first, const In &...others) {
    if constexpr (is_rounded_to_odd<Op, S>) {
        return Op::template rounded_to_odd<S>(first, others...);
    } else {
        const B y = Op::of(first, others...);
        if (!any(is_open<S>(y))) [[likely]]
            return y;
        const B copies[] = {first, others...};  // what a call takes the address of is in memory all the time
        return [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
            return from_pair<Op>(copies[I]...);
        }(std::make_integer_sequence<int, 1 + sizeof...(others)>{});
    }
}

}  // namespace rectified::RECTIFIED_TARGET
