// Powers of e for sums of them: beside a common factor, so that none overflows.
#pragma once

#include "elementary.hpp"

namespace rectified::RECTIFIED_TARGET {

// A sum is taken in float64, or, of float64, in pairs.
template <class B>
using wide_of = batch<double, std::is_same_v<typename B::scalar, float> ? 2 * B::registers : B::registers>;

template <class B>
RECTIFIED_INLINE wide_of<B> widened(const B &x) {
    if constexpr (std::is_same_v<typename B::scalar, double>) {
        return x;
    } else {
        return wide_of<B>::each([&](int i) {
            return [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
                constexpr int half = sizeof...(I);
                const auto &whole = x.part[i / 2];
                const auto few = i % 2 ? __builtin_shufflevector(whole, whole, (half + I)...)
                                       : __builtin_shufflevector(whole, whole, I...);
                return __builtin_convertvector(few, register_t<double>);
            }(std::make_integer_sequence<int, B::lanes_per_register / 2>{});
        });
    }
}

template <class B>
RECTIFIED_INLINE B narrowed(const wide_of<B> &x) {
    if constexpr (std::is_same_v<typename B::scalar, double>) {
        return x;
    } else {
        return B::each([&](int i) {
            return [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
                typedef float few __attribute__((vector_size(register_bytes / 2)));
                const few low = __builtin_convertvector(x.part[2 * i], few);
                const few high = __builtin_convertvector(x.part[2 * i + 1], few);
                return __builtin_shufflevector(low, high, I...);
            }(std::make_integer_sequence<int, B::lanes_per_register>{});
        });
    }
}

// e^(x - origin) 2^(headroom - shift) for x up to 32 above m, where e^(m - origin) 2^-shift is near 1.
//
// The origin is 0, or, where m is large, m itself: in both cases the difference is exact for every x that counts, and what
// is left of m is a power of two. What lies so far below m that it vanishes beside it is cut off.
template <class B>
class powers_beside {
  public:
    powers_beside() = default;
    RECTIFIED_INLINE explicit powers_beside(const B &m)
        : origin(select(abs(m) >= B(far), m, B(0))), lowest_((m - origin) + B(F::vanishes)) {
        const B round = B(F::round);
        shift_ = fma(m - origin, B(per_unit), round) - round;
        round_ = (round + B(F::headroom)) - shift_;
    }

    B origin;

    RECTIFIED_INLINE B of(const B &x) const {
        using I = typename B::integer;
        const B s = greater(lowest_, x - origin);
        const B shifted = fma(s, B(per_unit), round_), count = shifted - round_;
        const B r = fnma(count, B(log_2_low), fnma(count, B(log_2_high), s));
        const B power = B::bits_of(I::bits_of(B(1)) + (I::bits_of(shifted) << F::mantissa));
        return (fma(r * r, polynomial(table::whole_tail, r), r) + B(1)) * power;  // a product, for it keeps NaN
    }

    // The power of x in more digits, for x near m.
    RECTIFIED_INLINE wide_of<B> wide(const B &x) const {
        using D = wide_of<B>;
        if constexpr (std::is_same_v<T, double>) {
            return of(x);
        } else {
            constexpr T unit = T(1) / format<T>::unit;
            const D r = fnma(widened(shift_), D(0.693147180559945309), widened(x - origin));
            return (fma(r * r, polynomial(exponential_table<double>::whole_tail, r), r) + D(1)) * D(unit);
        }
    }

  private:
    using T = typename B::scalar;
    using F = format<T>;
    using table = exponential_table<T>;
    static constexpr T far = std::is_same_v<T, float> ? T(512) : T(4096);
    static constexpr T per_unit = table::steps_per_unit / 16;
    static constexpr T log_2_high = table::step_high * 16, log_2_low = table::step_low * 16;

    B lowest_, round_, shift_;
};

// A sum of many positive numbers, to more digits than they have.
template <class B>
class total {
  public:
    RECTIFIED_INLINE void add(const B &x) {
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            sum.high = sum.high + widened(x);
        } else {
            const pair<B> next = sum_of_any(sum.high, x);
            sum = {next.high, sum.low + next.low};
        }
    }

    pair<wide_of<B>> sum = {wide_of<B>(0), wide_of<B>(0)};
};

// log(1 + x) for x >= 0.
template <class D>
RECTIFIED_INLINE pair<D> log_of_one_plus_any(const D &x) {
    using I = typename D::integer;
    const D sum = x + D(1);
    const I bits = I::bits_of(sum), one = I::bits_of(D(1));
    const I exponent = (bits >> 52) - (one >> 52);
    const D mantissa = D::bits_of((bits & I((std::int64_t(1) << 52) - 1)) | one);
    const auto small = x < D(1);
    const D count = D::bits_of(exponent + I::bits_of(D(0x1.8p52))) - D(0x1.8p52);
    const pair<D> part = log_of_one_plus(pair<D>{select(small, x, mantissa - D(1)), D(0)});
    const D whole = count * D(0x1.62e42fefa39efp-1);
    const D whole_low = fma(count, D(0x1.62e42fefa39efp-1), -whole) + count * D(0x1.abc9e3b39803fp-56);
    const pair<D> both = sum_of(whole, part.high);
    const auto plain = x <= D(std::numeric_limits<double>::max());
    const D high = select(small, part.high, both.high), low = select(small, part.low, both.low + (whole_low + part.low));
    return {select(plain, high, x), select(plain, low, D(0))};
}

}  // namespace rectified::RECTIFIED_TARGET
