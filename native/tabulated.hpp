// Smooth functions of float32 by a table.
#pragma once

#include "elementary.hpp"

namespace rectified::RECTIFIED_TARGET {

// A smooth function of a >= 0 from a table of 32 rows, as a sum of two numbers (tools/tables.py says how the rows lie).
template <class Table, class B>
RECTIFIED_INLINE pair<B> tabulated(const B &a, float start) {
    using I = typename B::integer;
    const I position = (I::bits_of(a) - (I::bits_of(B(start)) - I(1 << 21))) >> 21;
    const rows<Table, B> table(lesser(I(31), greater(I(0), position)));
    const B y = a - table.column(0);
    B slope = table.column(7);
    for (int i = 6; i >= 2; --i) slope = fma(slope, y, table.column(i));
    return {table.column(1), slope * y};
}

}  // namespace rectified::RECTIFIED_TARGET
