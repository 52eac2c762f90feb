// A batch of numbers that a kernel computes on as if it were one number.
//
// A batch is N vector registers of the instruction set being compiled. Kernels are written once, for any batch; every
// lane goes through the same operations, so that a result never depends on where in an array an element stood. With N > 1
// the N independent dependency chains of a kernel interleave, which hides the latency of its steps.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "ample.hpp"

#define RECTIFIED_INLINE __attribute__((always_inline)) inline

namespace rectified::RECTIFIED_TARGET {

// So many registers to a batch of a kernel with long chains of steps that wait for each other, and with short ones. What
// does not find room in registers waits in memory, which costs less than a chain that waits.
#if defined(__AVX512F__)
inline constexpr int register_bytes = 64, registers_at_once = 4;
#elif defined(__AVX2__)
inline constexpr int register_bytes = 32, registers_at_once = 4;
#else
inline constexpr int register_bytes = 16, registers_at_once = 1;
#endif
inline constexpr int registers_if_short = 2;

template <class T>
struct register_of {
    typedef T type __attribute__((vector_size(register_bytes)));
};
template <>
struct register_of<ample> : register_of<double> {};
template <class T>
using register_t = typename register_of<T>::type;

template <int Bytes>
using integer_of = std::conditional_t<
    Bytes == 1, std::int8_t,
    std::conditional_t<Bytes == 2, std::int16_t, std::conditional_t<Bytes == 4, std::int32_t, std::int64_t>>>;

template <class T, int N>
struct batch {
    using scalar = T;
    using integer = batch<integer_of<sizeof(T)>, N>;
    static constexpr int registers = N;
    static constexpr int lanes_per_register = register_bytes / static_cast<int>(sizeof(T));
    static constexpr int lanes = N * lanes_per_register;

    register_t<T> part[N];

    batch() = default;
    // Register by register: as a whole they would be copied through memory.
    RECTIFIED_INLINE batch(const batch &other) {
        visit([&](int i) { part[i] = other.part[i]; });
    }
    RECTIFIED_INLINE batch &operator=(const batch &other) {
        visit([&](int i) { part[i] = other.part[i]; });
        return *this;
    }
    RECTIFIED_INLINE batch(T value) {
        using lane = std::remove_reference_t<decltype(part[0][0])>;
        visit([&](int i) { part[i] = lane(value) - register_t<T>{}; });  // minus, for 0 + (-0.0) is not -0.0
    }

    // One batch from a function of the register's number.
    template <class F>
    RECTIFIED_INLINE static batch each(F &&f) {
        return each(f, std::make_integer_sequence<int, N>{});
    }

    // For its effect. A loop might not be unrolled, and its batches would then stand in memory.
    template <class F>
    RECTIFIED_INLINE static void visit(F &&f) {
        [&]<int... I>(std::integer_sequence<int, I...>)
            __attribute__((always_inline)) { (f(I), ...); }(std::make_integer_sequence<int, N>{});
    }

    // The lanes of other, read as bits of T.
    template <class U>
    RECTIFIED_INLINE static batch bits_of(const batch<U, N> &other) {
        return each([&](int i) { return (register_t<T>)other.part[i]; });
    }

#define RECTIFIED_BINARY(symbol, result)                                             \
    friend RECTIFIED_INLINE result operator symbol(const batch &a, const batch &b) { \
        return result::each([&](int i) { return a.part[i] symbol b.part[i]; });      \
    }
    RECTIFIED_BINARY(/, batch)
    RECTIFIED_BINARY(&, batch)
    RECTIFIED_BINARY(|, batch)
    RECTIFIED_BINARY(^, batch)
    RECTIFIED_BINARY(<, integer)
    RECTIFIED_BINARY(>, integer)
    RECTIFIED_BINARY(<=, integer)
    RECTIFIED_BINARY(>=, integer)
    RECTIFIED_BINARY(==, integer)
#undef RECTIFIED_BINARY

    // Integers, which may be the bits of a lane that nobody selects, wrap around.
#define RECTIFIED_WRAPPING(symbol)                                                                     \
    friend RECTIFIED_INLINE batch operator symbol(const batch &a, const batch &b) {                    \
        return each([&](int i) { return (register_t<T>)((wraps)a.part[i] symbol(wraps) b.part[i]); }); \
    }
    RECTIFIED_WRAPPING(+)
    RECTIFIED_WRAPPING(-)
    RECTIFIED_WRAPPING(*)
#undef RECTIFIED_WRAPPING

    friend RECTIFIED_INLINE batch operator-(const batch &a) {
        return each([&](int i) { return -a.part[i]; });
    }
    friend RECTIFIED_INLINE batch operator<<(const batch &a, int count) {
        return each([&](int i) { return a.part[i] << count; });
    }
    friend RECTIFIED_INLINE batch operator>>(const batch &a, int count) {
        return each([&](int i) { return a.part[i] >> count; });
    }

  private:
    using wraps =
        register_t<typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>::type>;

    template <class F, int... I>
    RECTIFIED_INLINE static batch each(F &&f, std::integer_sequence<int, I...>) {
        return batch{from_parts{}, f(I)...};
    }
    struct from_parts {};
    template <class... R>
    RECTIFIED_INLINE batch(from_parts, R... parts) : part{parts...} {}
};

template <class T, int N>
RECTIFIED_INLINE batch<T, N> select(const typename batch<T, N>::integer &condition, const batch<T, N> &yes,
                                    const std::type_identity_t<batch<T, N>> &no) {
    return batch<T, N>::each([&](int i) { return condition.part[i] ? yes.part[i] : no.part[i]; });
}

// ---- single registers ----------------------------------------------------------------------------------------------

namespace single {

// a b + c, rounded once: the exact road to the low half of a product.
#if defined(__AVX512F__)
RECTIFIED_INLINE register_t<float> fma(register_t<float> a, register_t<float> b, register_t<float> c) {
    return (register_t<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
RECTIFIED_INLINE register_t<double> fma(register_t<double> a, register_t<double> b, register_t<double> c) {
    return (register_t<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined(__FMA__)
RECTIFIED_INLINE register_t<float> fma(register_t<float> a, register_t<float> b, register_t<float> c) {
    return (register_t<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
RECTIFIED_INLINE register_t<double> fma(register_t<double> a, register_t<double> b, register_t<double> c) {
    return (register_t<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined(__x86_64__)
// No such instruction, so it is made of others, to the last bit (S. Boldo and G. Melquiond, Emulation of FMA and Correctly
// Rounded Sums, 2008): where a sum is rounded once more, the first time it is rounded to odd. That takes so many that they
// are called: a kernel has dozens.
RECTIFIED_INLINE register_t<double> sum_rounded_to_odd(register_t<double> a, register_t<double> b) {
    using I = register_t<std::int64_t>;
    const register_t<double> sum = a + b, part = sum - a, rest = (a - (sum - part)) + (b - part);
    const I bits = (I)sum, towards_0 = ((I)rest ^ bits) < 0;
    const I stays = (rest == 0) | ((bits & 1) != 0) | (rest != rest);
    return (register_t<double>)(stays ? bits : towards_0 ? bits - 1 : bits + 1);
}
// A float32 product is exact in float64.
[[gnu::noinline]] inline register_t<float> fma(register_t<float> a, register_t<float> b, register_t<float> c) {
    const auto low = [](register_t<float> v) { return (register_t<double>)_mm_cvtps_pd((__m128)v); };
    const auto high = [&](register_t<float> v) { return low((register_t<float>)_mm_movehl_ps((__m128)v, (__m128)v)); };
    const auto short_sum = [](register_t<double> product, register_t<double> c) {
        const register_t<double> plain = product + c, odd = sum_rounded_to_odd(product, c);
        return _mm_cvtpd_ps((__m128d)(odd == 0 ? plain : odd));  // plain has the sign of zero
    };
    return (register_t<float>)_mm_movelh_ps(short_sum(low(a) * low(b), low(c)), short_sum(high(a) * high(b), high(c)));
}
// A float64 product is not: it comes as a sum of two (Dekker).
[[gnu::noinline]] inline register_t<double> fma(register_t<double> a, register_t<double> b, register_t<double> c) {
    using V = register_t<double>;
    const V sa = a * 134217729.0, sb = b * 134217729.0;  // 2^27 + 1
    const V ah = sa - (sa - a), bh = sb - (sb - b), al = a - ah, bl = b - bh;
    const V product = a * b, product_low = ((ah * bh - product) + ah * bl + al * bh) + al * bl;
    const V first = c + product_low, first_part = first - c;
    const V first_low = (c - (first - first_part)) + (product_low - first_part);
    const V second = product + first, second_part = second - product;
    const V second_low = (product - (second - second_part)) + (first - second_part);
    const auto vanished = (product == 0) & (a != 0) & (b != 0) & (c == 0);
    const V sum = second + sum_rounded_to_odd(first_low, second_low), plain = vanished ? product : product + c;
    return (sum < plain) | (sum > plain) ? sum : plain;  // plain where all is exact, infinite, or overflows in the split
}
#else
template <class V>
RECTIFIED_INLINE V fma(V a, V b, V c) {
    V result;
    for (unsigned i = 0; i < sizeof(V) / sizeof(a[0]); ++i)
        result[i] = sizeof(a[0]) == 4 ? __builtin_fmaf(a[i], b[i], c[i]) : __builtin_fma(a[i], b[i], c[i]);
    return result;
}
#endif

// c - a b
#if defined(__AVX512F__)
RECTIFIED_INLINE register_t<float> fnma(register_t<float> a, register_t<float> b, register_t<float> c) {
    return (register_t<float>)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
RECTIFIED_INLINE register_t<double> fnma(register_t<double> a, register_t<double> b, register_t<double> c) {
    return (register_t<double>)_mm512_fnmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#else
template <class V>
RECTIFIED_INLINE V fnma(V a, V b, V c) {
    return fma(-a, b, c);
}
#endif

#if defined(__AVX512F__)
RECTIFIED_INLINE register_t<float> sqrt(register_t<float> a) { return (register_t<float>)_mm512_sqrt_ps((__m512)a); }
RECTIFIED_INLINE register_t<double> sqrt(register_t<double> a) { return (register_t<double>)_mm512_sqrt_pd((__m512d)a); }
#elif defined(__AVX__)
RECTIFIED_INLINE register_t<float> sqrt(register_t<float> a) { return (register_t<float>)_mm256_sqrt_ps((__m256)a); }
RECTIFIED_INLINE register_t<double> sqrt(register_t<double> a) { return (register_t<double>)_mm256_sqrt_pd((__m256d)a); }
#elif defined(__x86_64__)
RECTIFIED_INLINE register_t<float> sqrt(register_t<float> a) { return (register_t<float>)_mm_sqrt_ps((__m128)a); }
RECTIFIED_INLINE register_t<double> sqrt(register_t<double> a) { return (register_t<double>)_mm_sqrt_pd((__m128d)a); }
#else
template <class V>
RECTIFIED_INLINE V sqrt(V a) {
    for (unsigned i = 0; i < sizeof(V) / sizeof(a[0]); ++i)
        a[i] = sizeof(a[0]) == 4 ? __builtin_sqrtf(a[i]) : __builtin_sqrt(a[i]);
    return a;
}
#endif

// The lesser and the greater of two numbers; x where one is NaN.
#if defined(__AVX512F__)
RECTIFIED_INLINE __m512 lesser(__m512 bound, __m512 x) { return _mm512_min_ps(bound, x); }
RECTIFIED_INLINE __m512 greater(__m512 bound, __m512 x) { return _mm512_max_ps(bound, x); }
RECTIFIED_INLINE __m512d lesser(__m512d bound, __m512d x) { return _mm512_min_pd(bound, x); }
RECTIFIED_INLINE __m512d greater(__m512d bound, __m512d x) { return _mm512_max_pd(bound, x); }
#elif defined(__AVX__)
RECTIFIED_INLINE __m256 lesser(__m256 bound, __m256 x) { return _mm256_min_ps(bound, x); }
RECTIFIED_INLINE __m256 greater(__m256 bound, __m256 x) { return _mm256_max_ps(bound, x); }
RECTIFIED_INLINE __m256d lesser(__m256d bound, __m256d x) { return _mm256_min_pd(bound, x); }
RECTIFIED_INLINE __m256d greater(__m256d bound, __m256d x) { return _mm256_max_pd(bound, x); }
#endif
template <class V>
RECTIFIED_INLINE V lesser(V bound, V x) {
    return bound < x ? bound : x;
}
template <class V>
RECTIFIED_INLINE V greater(V bound, V x) {
    return bound > x ? bound : x;
}

}  // namespace single

template <class T, int N>
RECTIFIED_INLINE batch<T, N> fma(const batch<T, N> &a, const std::type_identity_t<batch<T, N>> &b,
                                 const std::type_identity_t<batch<T, N>> &c) {
    return batch<T, N>::each([&](int i) { return single::fma(a.part[i], b.part[i], c.part[i]); });
}

template <class T, int N>
RECTIFIED_INLINE batch<T, N> fnma(const batch<T, N> &a, const std::type_identity_t<batch<T, N>> &b,
                                  const std::type_identity_t<batch<T, N>> &c) {
    return batch<T, N>::each([&](int i) { return single::fnma(a.part[i], b.part[i], c.part[i]); });
}

template <class T, int N>
RECTIFIED_INLINE batch<T, N> sqrt(const batch<T, N> &a) {
    return batch<T, N>::each([&](int i) { return single::sqrt(a.part[i]); });
}

#if defined(__AVX512F__)
// 1 / d to the last bit, from an estimate of 14 digits. The first of Newton's steps rounds up: then the second rounds
// correctly even where all digits of d are 1 (P. Markstein, IA-64 and Elementary Functions, 2000).
template <int N>
RECTIFIED_INLINE batch<float, N> reciprocal_from(const batch<float, N> &estimate, const batch<float, N> &d) {
    using B = batch<float, N>;
    const B residual = fnma(d, estimate, B(1));
    const B first = B::each([&](int i) {
        const __m512 e = (__m512)estimate.part[i];
        return (register_t<float>)_mm512_fmadd_round_ps((__m512)residual.part[i], e, e,
                                                        _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
    });
    return fma(fnma(d, first, B(1)), first, first);
}
#endif

// 1 / d to the last bit, for d from 2^-126 to 2^126. The divider takes 11 cycles for a register of float32, in which it
// does no square root either; Newton's steps take 4, beside it. So of two registers each goes one way.
template <class B>
RECTIFIED_INLINE B quick_reciprocal(const B &d) {
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<typename B::scalar, float>)
        return B::each([&](int i) {
            using one = batch<float, 1>;
            const one divisor = one::each([&](int) { return d.part[i]; });
            if (i % 2 == 0) return (one(1) / divisor).part[0];
            const one estimate = one::each([&](int) { return (register_t<float>)_mm512_rcp14_ps((__m512)d.part[i]); });
            return reciprocal_from(estimate, divisor).part[0];
        });
#endif
    return B(1) / d;
}

// sqrt(d) and its reciprocal, each to the last bit, for d from 2^-100 to 2^126. The divider takes 24 cycles for the two.
// From an estimate of 1 / sqrt(d) they take 7 of the multipliers': the root and half its reciprocal get better together
// (Goldschmidt), and what the root's square still lacks rounds it correctly, whatever digits d may have: all were tried. So
// of two registers one goes to the divider, which else would wait.
template <class B>
struct quick_root {
    B root, reciprocal;

    RECTIFIED_INLINE explicit quick_root(const B &d) {
        B::visit([&](int i) {
            root.part[i] = single::sqrt(d.part[i]);
            reciprocal.part[i] = B(1).part[i] / root.part[i];
#if defined(__AVX512F__)
            if constexpr (std::is_same_v<typename B::scalar, float>) {
                if (i % 2 == 0) return;
                using one = batch<float, 1>;
                const one square = one::each([&](int) { return d.part[i]; });
                const one estimate =
                    one::each([&](int) { return (register_t<float>)_mm512_rsqrt14_ps((__m512)d.part[i]); });
                const one near = square * estimate, half = estimate * one(0.5f), e = fnma(near, half, one(0.5f));
                const one nearer = fma(near, e, near), lacks = fnma(nearer, nearer, square);
                const one nearest = fma(lacks, fma(half, e, half), nearer);
                root.part[i] = nearest.part[0];
                reciprocal.part[i] = reciprocal_from(estimate, nearest).part[0];
            }
#endif
        });
    }

    // e, where 1 / sqrt(d) is the reciprocal times 1 + e.
    RECTIFIED_INLINE B residual(const B &d) const {
        const B lost = fnma(root, root, d) * B(0.5f);
        return fnma(lost, reciprocal * reciprocal, fnma(root, reciprocal, B(1)));
    }
};

// ---- signs and bounds -----------------------------------------------------------------------------------------------

template <class B>
RECTIFIED_INLINE B sign_of(const B &x) {  // the sign bit alone
    using I = typename B::integer;
    return B::bits_of(I::bits_of(x) & I::bits_of(B(typename B::scalar(-0.0))));
}

template <class B>
RECTIFIED_INLINE B abs(const B &x) {
    using I = typename B::integer;
    return B::bits_of(I::bits_of(x) & I(std::numeric_limits<typename I::scalar>::max()));
}

template <class B>
RECTIFIED_INLINE B with_sign_of(const B &magnitude, const B &x) {
    using I = typename B::integer;
    const I m = I::bits_of(magnitude), s = I::bits_of(x), sign = I::bits_of(B(typename B::scalar(-0.0)));
#if defined(__AVX512F__)
    return B::each([&](int i) {
        return (register_t<typename B::scalar>)_mm512_ternarylogic_epi32((__m512i)m.part[i], (__m512i)s.part[i],
                                                                         (__m512i)sign.part[i], 0xF8);  // m | (s & sign)
    });
#else
    return B::bits_of(m | (s & sign));
#endif
}

template <class T, int N>
RECTIFIED_INLINE batch<T, N> lesser(const batch<T, N> &bound, const batch<T, N> &x) {
    return batch<T, N>::each([&](int i) { return single::lesser(bound.part[i], x.part[i]); });
}
template <class T, int N>
RECTIFIED_INLINE batch<T, N> greater(const batch<T, N> &bound, const batch<T, N> &x) {
    return batch<T, N>::each([&](int i) { return single::greater(bound.part[i], x.part[i]); });
}

namespace single {

// The sign bits of the lanes, the first lane's lowest.
template <class I>
RECTIFIED_INLINE unsigned signs(register_t<I> lanes) {
#if defined(__AVX512F__)
    if constexpr (sizeof(I) == 4)
        return _mm512_movepi32_mask((__m512i)lanes);
    else
        return _mm512_movepi64_mask((__m512i)lanes);
#elif defined(__AVX2__)
    return sizeof(I) == 4 ? _mm256_movemask_ps((__m256)lanes) : _mm256_movemask_pd((__m256d)lanes);
#elif defined(__x86_64__)
    return sizeof(I) == 4 ? _mm_movemask_ps((__m128)lanes) : _mm_movemask_pd((__m128d)lanes);
#else
    unsigned bits = 0;
    for (unsigned i = 0; i < register_bytes / sizeof(I); ++i) bits |= unsigned(lanes[i] < 0) << i;
    return bits;
#endif
}

#if defined(__x86_64__)
// Of each 16 bytes the first half (0) or the second, the lanes of a and b in turn.
RECTIFIED_INLINE register_t<std::int16_t> by_fours(register_t<std::int16_t> a, register_t<std::int16_t> b, int half) {
    using V = register_t<std::int16_t>;
#if defined(__AVX512F__)
    return half ? (V)_mm512_unpackhi_epi16((__m512i)a, (__m512i)b) : (V)_mm512_unpacklo_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return half ? (V)_mm256_unpackhi_epi16((__m256i)a, (__m256i)b) : (V)_mm256_unpacklo_epi16((__m256i)a, (__m256i)b);
#else
    return half ? (V)_mm_unpackhi_epi16((__m128i)a, (__m128i)b) : (V)_mm_unpacklo_epi16((__m128i)a, (__m128i)b);
#endif
}

// By fours too, integers that have no more than 16 bits.
RECTIFIED_INLINE register_t<std::int16_t> shortened(register_t<std::int32_t> a, register_t<std::int32_t> b) {
    using V = register_t<std::int16_t>;
#if defined(__AVX512F__)
    return (V)_mm512_packs_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (V)_mm256_packs_epi32((__m256i)a, (__m256i)b);
#else
    return (V)_mm_packs_epi32((__m128i)a, (__m128i)b);
#endif
}
#endif

}  // namespace single

// The same of all registers.
template <class T, int N>
RECTIFIED_INLINE std::uint64_t signs(const batch<T, N> &lanes) {
    std::uint64_t bits = 0;
    lanes.visit(
        [&](int i) { bits |= std::uint64_t(single::signs<T>(lanes.part[i])) << (i * batch<T, N>::lanes_per_register); });
    return bits;
}

// Whether a condition holds in any lane.
template <class I>
RECTIFIED_INLINE bool any(const I &condition) {
#if defined(__AVX2__)
    unsigned found = 0;
    I::visit([&](int i) { found |= single::signs<typename I::scalar>(condition.part[i]); });
#else
    std::int64_t found = 0;
    I::visit([&](int i) {
        const auto part = (register_t<std::int64_t>)condition.part[i];
        for (int k = 0; k < register_bytes / 8; ++k) found |= part[k];
    });
#endif
    return found != 0;
}

// Whether a number is not at least 0 and below a bound: as integers without a sign, -0 is above it, and all that is
// negative, and NaN.
template <int N>
RECTIFIED_INLINE typename batch<float, N>::integer is_outside(const batch<float, N> &x, const batch<float, N> &bound) {
    using I = typename batch<float, N>::integer;
    const I bits = I::bits_of(x);
    return (bits < I(0)) | (bits >= I::bits_of(bound));
}
// In any lane. The comparison's own mask tells, which as lanes would take two steps more.
template <int N>
RECTIFIED_INLINE bool any_outside(const batch<float, N> &x, const batch<float, N> &bound) {
#if defined(__AVX512F__)
    const auto mask = [&](int i) { return _mm512_cmpge_epu32_mask((__m512i)x.part[i], (__m512i)bound.part[i]); };
    __mmask16 found = mask(0);
    for (int i = 1; i < N - 1; ++i) found = _kor_mask16(found, mask(i));
    return !_kortestz_mask16_u8(found, mask(N - 1));
#else
    return any(is_outside(x, bound));
#endif
}

// ---- pairs of neighbours ------------------------------------------------------------------------------------------------

// Of the lanes of a and b in a row those with an even number, or (Offset 1) an odd one.
template <int Offset, class T>
RECTIFIED_INLINE batch<T, 1> every_other(const batch<T, 1> &a, const batch<T, 1> &b) {
    return [&]<int... I>(std::integer_sequence<int, I...>) {
        return batch<T, 1>::each([&](int) { return __builtin_shufflevector(a.part[0], b.part[0], (2 * I + Offset)...); });
    }(std::make_integer_sequence<int, batch<T, 1>::lanes>{});
}

// The lanes of a and b in turn: what is made of their first half, or (Half 1) of their second.
template <int Half, class T>
RECTIFIED_INLINE batch<T, 1> in_turn(const batch<T, 1> &a, const batch<T, 1> &b) {
    constexpr int lanes = batch<T, 1>::lanes;
    return [&]<int... I>(std::integer_sequence<int, I...>) {
        return batch<T, 1>::each([&](int) {
            return __builtin_shufflevector(a.part[0], b.part[0], (I % 2 * lanes + Half * lanes / 2 + I / 2)...);
        });
    }(std::make_integer_sequence<int, lanes>{});
}

// ---- less than a register -----------------------------------------------------------------------------------------------

#if defined(__AVX2__) && !defined(__AVX512F__)
namespace single {

// All bits in so many lanes.
template <class T>
RECTIFIED_INLINE __m256i first_lanes(int count) {
    if constexpr (sizeof(T) == 4)
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    else
        return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}

}  // namespace single
#endif

// So many lanes from memory, and the others of another batch; and so many to memory.
template <class T>
RECTIFIED_INLINE batch<T, 1> load_first(const T *from, int count, const batch<T, 1> &others) {
    using B = batch<T, 1>;
    [[maybe_unused]] constexpr bool is_float = std::is_same_v<T, float>;
#if defined(__AVX512F__)
    const unsigned meant = (1u << count) - 1;
    if constexpr (is_float)
        return B::each([&](int) { return (register_t<T>)_mm512_mask_loadu_ps((__m512)others.part[0], meant, from); });
    else
        return B::each([&](int) { return (register_t<T>)_mm512_mask_loadu_pd((__m512d)others.part[0], meant, from); });
#elif defined(__AVX2__)
    const __m256i meant = single::first_lanes<T>(count);
    if constexpr (is_float)
        return B::each([&](int) {
            const __m256 found = _mm256_maskload_ps(from, meant);
            return (register_t<T>)_mm256_blendv_ps((__m256)others.part[0], found, (__m256)meant);
        });
    else
        return B::each([&](int) {
            const __m256d found = _mm256_maskload_pd(from, meant);
            return (register_t<T>)_mm256_blendv_pd((__m256d)others.part[0], found, (__m256d)meant);
        });
#else
    B result = others;
    __builtin_memcpy(&result.part, from, count * sizeof(T));
    return result;
#endif
}
template <class T>
RECTIFIED_INLINE void store_first(T *to, int count, const batch<T, 1> &x) {
    [[maybe_unused]] constexpr bool is_float = std::is_same_v<T, float>;
#if defined(__AVX512F__)
    const unsigned meant = (1u << count) - 1;
    if constexpr (is_float)
        _mm512_mask_storeu_ps(to, meant, (__m512)x.part[0]);
    else
        _mm512_mask_storeu_pd(to, meant, (__m512d)x.part[0]);
#elif defined(__AVX2__)
    const __m256i meant = single::first_lanes<T>(count);
    if constexpr (is_float)
        _mm256_maskstore_ps(to, meant, (__m256)x.part[0]);
    else
        _mm256_maskstore_pd(to, meant, (__m256d)x.part[0]);
#else
    __builtin_memcpy(to, &x.part, count * sizeof(T));
#endif
}

// ---- tables of 8 or 16 float32 and of 16 float64 ----

namespace single {

// table[index mod its length], lane by lane: a permutation of registers where the instruction set has one.
RECTIFIED_INLINE register_t<float> lookup(const float *table, register_t<std::int32_t> index) {
#if defined(__AVX512F__)
    return (register_t<float>)_mm512_permutexvar_ps((__m512i)index, _mm512_broadcast_f32x8(_mm256_load_ps(table)));
#elif defined(__AVX2__)
    return (register_t<float>)_mm256_permutevar8x32_ps(_mm256_load_ps(table), (__m256i)index);
#else
    register_t<float> result;
    for (int i = 0; i < register_bytes / 4; ++i) result[i] = table[index[i] & 7];
    return result;
#endif
}
RECTIFIED_INLINE register_t<float> lookup_of_16(const float *table, register_t<std::int32_t> index) {
#if defined(__AVX512F__)
    return (register_t<float>)_mm512_permutexvar_ps((__m512i)index, _mm512_load_ps(table));
#elif defined(__AVX2__)
    const __m256 upper = (__m256)(index << 28);  // the sign bit chooses
    return (register_t<float>)_mm256_blendv_ps((__m256)lookup(table, index), (__m256)lookup(table + 8, index), upper);
#else
    register_t<float> result;
    for (int i = 0; i < register_bytes / 4; ++i) result[i] = table[index[i] & 15];
    return result;
#endif
}
RECTIFIED_INLINE register_t<double> lookup(const double *table, register_t<std::int64_t> index) {
#if defined(__AVX512F__)
    return (register_t<double>)_mm512_permutex2var_pd(_mm512_load_pd(table), (__m512i)index, _mm512_load_pd(table + 8));
#elif defined(__AVX2__)
    return (register_t<double>)_mm256_i64gather_pd(table, _mm256_and_si256((__m256i)index, _mm256_set1_epi64x(15)), 8);
#else
    register_t<double> result;
    for (int i = 0; i < register_bytes / 8; ++i) result[i] = table[index[i] & 15];
    return result;
#endif
}

}  // namespace single

template <class B>
RECTIFIED_INLINE B lookup(const typename B::scalar *table, const typename B::integer &index) {
    return B::each([&](int i) { return single::lookup(table, index.part[i]); });
}
template <class B>
RECTIFIED_INLINE B lookup_of_16(const typename B::scalar *table, const typename B::integer &index) {
    return B::each([&](int i) { return single::lookup_of_16(table, index.part[i]); });
}

}  // namespace rectified::RECTIFIED_TARGET
