// Parameters of usual size, with which neither numbers nor steps on the way to a result leave float32's range.
#pragma once

#include "power.hpp"

namespace rectified::RECTIFIED_TARGET {

// Compared as integers, which GCC does before a loop. A comparison of numbers may raise a flag.
template <class B>
RECTIFIED_INLINE typename B::integer is_usual(const B &parameter) {
    using I = typename B::integer;
    const I size = I::bits_of(abs(parameter));
    return (size >= I::bits_of(B(0x1p-24f))) & (size <= I::bits_of(B(0x1p16f)));
}

// An operation once more, in float64.
template <class Op, class B>
[[gnu::noinline]] B through_float64(const B &x, const B &parameter) {
    using D = batch<ample, wide_of<B>::registers>;
    return narrowed<B>(wide_of<B>::bits_of(Op::of(D::bits_of(widened(x)), D::bits_of(widened(parameter)))));
}

// What float32 gives, but where the parameter is unusual: there the operation goes through float64.
template <class Op, class B>
RECTIFIED_INLINE B if_usual(const B &quick, const B &x, const B &parameter) {
    using I = typename B::integer;
    const I usual = is_usual(parameter);
    if (any(usual == I(0))) [[unlikely]] {
        const B copies[] = {x, parameter};  // what a call takes the address of is in memory all the time
        return select(usual, quick, through_float64<Op>(copies[0], copies[1]));
    }
    return quick;
}

}  // namespace rectified::RECTIFIED_TARGET
