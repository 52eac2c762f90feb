// What the values of an activation's units come to, in one pass over its inputs and outputs.
#pragma once

#include <numpy/npy_common.h>

namespace rectified {

// What is wanted of numbers that lie side by side as (rows, units, after).
struct measured {
    npy_intp units, after;
    npy_intp turns;  // where the slope turns from rising to falling, or back; -1 where no extremes are wanted
    const float *turn;
    // Where values fire: in open intervals, of which the first may have no beginning, and the last no end.
    bool fires_below;
    npy_intp begins, ends;
    const float *begin, *end;
};

// What was found of each unit so far.
struct found_of_units {
    double *total, *magnitude, *fired;
    float *low, *high;  // for each turn the smallest input above it and the largest up to it; then the extremes of all
};

using measure_t = void(const measured &, npy_intp rows, const float *x, const float *y, const found_of_units &);

}  // namespace rectified
