// What a target hands to the module: a ufunc's name and its loops.
#pragma once

#include <numpy/ndarraytypes.h>
#include <numpy/npy_common.h>

#include "short.hpp"

namespace rectified {

using loop_t = void (*)(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data);

struct typed_loop {
    signed char type;  // NumPy's number of the dtype that the operands have
    loop_t run;
    const void *work = nullptr;  // what the loop is given
};

// The ufunc is named by the parts that are there: function_kind, with detail and parameter after them.
struct ufunc_entry {
    const char *function, *kind, *detail, *parameter;
    int inputs;
    const char *signature;  // of a generalized ufunc; else null
    const typed_loop *loops;
    int loop_count;
    int outputs = 1;
    int bits = -1;       // the operand that is bytes instead
    bool apart = false;  // inputs are read when results have been written: none may stand in a result's place
};

// Where a target puts its entries. An interface without code of its own: a container's template, instantiated in a target,
// could bring instructions into the module that the machine does not have.
class registry {
  public:
    virtual void add(const ufunc_entry &entry) = 0;

  protected:
    ~registry() = default;
};

template <class S>
inline constexpr signed char type_number = -1;  // NumPy gives bfloat16 its number when it is loaded
template <>
inline constexpr signed char type_number<half> = NPY_HALF;
template <>
inline constexpr signed char type_number<float> = NPY_FLOAT;
template <>
inline constexpr signed char type_number<double> = NPY_DOUBLE;

}  // namespace rectified
