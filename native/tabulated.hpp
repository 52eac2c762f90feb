// Smooth functions of float32 by a table.
#pragma once

#include <iterator>

#include "elementary.hpp"

namespace rectified::RECTIFIED_TARGET {

// A smooth function near a center: its value there, the distance from it, and by how much the function rises on that
// distance for each unit (tools/tables.py says less what, and how the rows lie). Rows of equal width are numbered by
// rounding. Others are for a >= 0 and grow: the row is read from the leading bits of a + shift, so that eight rows do, or
// sixteen. A column of eight is one register of AVX2.
template <class Table, class B>
struct tabulated {
    // A steep function has a root, where the slope is all there is; the power of two next to it stands apart, so that
    // little of it is rounded.
    static constexpr bool is_steep = requires { requires Table::steep; };
    B value, distance, slope, apart;

    RECTIFIED_INLINE explicit tabulated(const B &a) {
        using I = typename B::integer;
        I row;
        if constexpr (requires { Table::per_unit; })
            row = I::bits_of(fma(a, B(Table::per_unit), B(format<float>::round)));
        else
            row = I::bits_of(a + B(Table::shift)) >> 22;
        const auto column = [&](int number) __attribute__((always_inline)) {
            if constexpr (Table::rows == 16)
                return lookup_of_16<B>(Table::column + 16 * number, row);
            else
                return lookup<B>(Table::column + 8 * number, row);
        };
        constexpr int columns = std::size(Table::column) / Table::rows;
        value = column(1);
        distance = a - column(0);
        slope = column(columns - 1);
        for (int i = columns - 2; i >= (is_steep ? 3 : 2); --i) slope = fma(slope, distance, column(i));
        if constexpr (is_steep) apart = column(2);
    }

    RECTIFIED_INLINE B result() const {
        const B sum = fma(slope, distance, value);
        if constexpr (is_steep)
            return fma(apart, distance, sum);
        else
            return sum;
    }

    // Times a factor and an exponential. What rounding takes away is kept where the factor is multiplied with numbers of
    // full length, the exponential's large one and the value at the center; all else is short beside them.
    template <class Factor>
    RECTIFIED_INLINE B times(const Factor &factor, const exponential<B> &e) const {
        const pair<B> product = product_of(e.large, factor);
        const B rise = slope * distance, whole = value + rise, rest = e.rest * whole;
        return fma(product.high, value, fma(product.high, rest + rise, product.low * (whole + rest)));
    }
};

// root - a
template <class Table, class B>
RECTIFIED_INLINE pair<B> distance_from(const B &a) {
    const pair<B> root = constant<B>(Table::root, Table::root_rest), distance = sum_of_any(root.high, -a);
    return {distance.high, distance.low + root.low};
}

// The derivative of x f(x) left of 0, for a = -x: an exponential times root - a and a smooth function. The root is an exact
// factor, so that beside it no digits are lost.
template <class Table, class B>
RECTIFIED_INLINE B slope_with_root(const B &a, const exponential<B> &e) {
    return tabulated<Table, B>(a).times(distance_from<Table>(a), e);
}

}  // namespace rectified::RECTIFIED_TARGET
