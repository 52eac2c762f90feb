// The loops that NumPy calls: any strides, any overlap, any length, any type of element, around a kernel.
#pragma once

#include <numpy/npy_common.h>

namespace rectified::RECTIFIED_TARGET {

// What a loop computes with.
template <class C>
struct work {
    using kernel = void (*)(const C *const *in, C *out, npy_intp count, bool past_caches);

    kernel with_fixed_parameters, with_arrays;  // null where there is no such case, or no code for it
    int data, parameters;                       // of the kernel
    bool multiplied;                            // what the kernel gives, by an operand before the data
    npy_intp worth_splitting;                   // with so many elements waking a thread saves more than it takes
    npy_intp part;                              // of what is multiplied from far away; else a block
};

// Elements are stored as S, and handed to the kernel as C. What NumPy hands through is a work<C>.
template <class S, class C>
void loop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *work);

// The same in float32, and where that leaves open how a result is rounded to S, in float64.
struct settled_work {
    const work<float> *quick;
    const work<double> *sure;
};
template <class S>
void settled_loop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *settled_work);

}  // namespace rectified::RECTIFIED_TARGET
