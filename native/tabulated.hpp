// Smooth functions of float32 by a table.
#pragma once

#include <iterator>

#include "tables.hpp"
#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {

// A smooth function of a >= 0 near a center: its value there, the distance from it, and by how much the function rises on
// that distance for each unit (tools/tables.py says less what, and how the rows lie). The row is read from the leading bits
// of a + shift, so that eight rows do: they are narrow where the function bends. A column of them is one register.
template <class Table, class B>
struct tabulated {
    B value, distance, slope;

    RECTIFIED_INLINE explicit tabulated(const B &a) {
        using I = typename B::integer;
        const I row = I::bits_of(a + B(Table::shift)) >> 22;
        const auto column = [&](int number)
                                __attribute__((always_inline)) { return lookup<B>(Table::column + 8 * number, row); };
        constexpr int columns = std::size(Table::column) / 8;
        value = column(1);
        distance = a - column(0);
        slope = column(columns - 1);
        for (int i = columns - 2; i >= 2; --i) slope = fma(slope, distance, column(i));
    }
};

}  // namespace rectified::RECTIFIED_TARGET
