// What the values of an activation's units come to, in one pass over its inputs and outputs.
#pragma once

#include <numpy/npy_common.h>

namespace rectified {

// A batch of (before, units, after) numbers, and where to put what was found, a number for each unit.
struct measured {
    npy_intp before, units, after;
    const float *x, *y;
    npy_intp turns;  // where the slope turns from rising to falling, or back; -1 where no extremes are wanted
    const float *turn;
    npy_intp intervals;  // in which values fire, from one number to another; both are inside
    const float *interval;
    float *total, *magnitude, *fired;
    float *low, *high;  // the smallest input above each turn and the largest up to it; then the extremes of all
    npy_intp row;       // from those of one turn to the next
};

using measure_t = bool (*)(const measured &);  // whether there is code for so many turns and intervals

}  // namespace rectified
