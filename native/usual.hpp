// Parameters and numbers of usual size, with which no step on the way to a result leaves float32's range.
#pragma once

#include <cstddef>
#include <utility>

#include "power.hpp"

namespace rectified::RECTIFIED_TARGET {

// Compared as integers, which GCC does before a loop. A comparison of numbers may raise a flag.
template <class B>
RECTIFIED_INLINE typename B::integer is_usual(const B &parameter) {
    using I = typename B::integer;
    const I size = I::bits_of(abs(parameter));
    return (size >= I::bits_of(B(0x1p-24f))) & (size <= I::bits_of(B(0x1p16f)));
}

// f once more, in float64.
template <class F, class B, class... P>
[[gnu::noinline]] B in_float64(F f, const B &x, const P &...parameters) {
    using D = batch<ample, wide_of<B>::registers>;
    return narrowed<B>(wide_of<B>::bits_of(f(D::bits_of(widened(x)), D::bits_of(widened(parameters))...)));
}
template <class F>
constexpr auto through_float64(F f) {
    return [f](const auto &...in) { return in_float64(f, in...); };
}

// What float32 gives, but where the parameter is unusual: there f goes through float64.
template <class F, class B>
RECTIFIED_INLINE B if_usual(const B &quick, F f, const B &x, const B &parameter, const typename B::integer &usual) {
    using I = typename B::integer;
    if (any(usual == I(0))) [[unlikely]] {
        const B copies[] = {x, parameter};  // what a call takes the address of is in memory all the time
        return select(usual, quick, in_float64(f, copies[0], copies[1]));
    }
    return quick;
}

template <class F, class B>
RECTIFIED_INLINE B if_usual(const B &quick, F f, const B &x, const B &parameter) {
    return if_usual(quick, f, x, parameter, is_usual(parameter));
}

template <class F, class B, class... P>
[[gnu::noinline]] B far_away(F f, const B &x, const P &...parameters) {
    return f(x, parameters...);
}

// A function of numbers from 0 on. Below the bound neither they nor the steps to the result leave the range in which `near`
// needs no care. All others go a longer way, and with them what is negative, -0 and NaN: to find them out takes a step or
// two, while to let each number through all the care that one may need takes three to ten.
template <class Near, class Far, class B, class... P>
RECTIFIED_INLINE B up_to(const B &bound, Near near, Far far, const B &x, const P &...parameters) {
    const B y = near(x, parameters...);
    if (any_outside(x, bound)) [[unlikely]] {
        const B copies[] = {x, parameters...};
        return [&]<std::size_t... K>(std::index_sequence<K...>) __attribute__((always_inline)) {
            return select(is_outside(copies[0], bound), far_away(far, copies[K]...), y);
        }(std::make_index_sequence<1 + sizeof...(P)>{});
    }
    return y;
}

}  // namespace rectified::RECTIFIED_TARGET
