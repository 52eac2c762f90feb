// Calls of a ufunc with plain arrays, past the machinery that NumPy needs for all others: for a short array that takes
// longer than the loop.
#pragma once

#include <Python.h>
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "short.hpp"

namespace rectified {

// Gathers the operands of one call. They are plain if the arrays have one shape, lie in C order, and are of the type of one
// of the ufunc's loops, and if the others are Python's numbers, which take that type by NumPy's rules.
//
// A ufunc of rows has their axis for its last operand, which must be the last one of the arrays. Its arrays may stand for
// two operands, the halves of each row: `layout` tells of each array, and then of the result, whether it is a whole, 'w',
// or halves, 'h', or halves of which the second comes first, 'r'.
class plain_call {
  public:
    explicit plain_call(PyUFuncObject *ufunc, const char *layout = "") : ufunc_(ufunc), layout_(layout) {}

    bool add(PyObject *operand) {
        if (ufunc_->nin >= most || missing() == 0) return false;
        if (count_ == ufunc_->nin) return add_axis(operand);
        if (PyArray_CheckExact(operand)) return add(reinterpret_cast<PyArrayObject *>(operand));
        if (PyFloat_CheckExact(operand)) return add(PyFloat_AS_DOUBLE(operand));
        int overflow = 0;
        const long whole = PyLong_CheckExact(operand) ? PyLong_AsLongAndOverflow(operand, &overflow) : exact + 1;
        return !overflow && whole >= -exact && whole <= exact && add(static_cast<double>(whole));
    }

    // How many operands have yet to come, the axis among them.
    int missing() const { return ufunc_->nin + works_on_rows() - count_ - has_axis_; }

    // The result, in `out` or, if that is null, in a new array. Null where the call is not plain, or with an exception set.
    PyObject *run(PyObject *out) {
        const form result = next_form();
        if (missing() || !like_ || ufunc_->nout != result.parts || !fits_rows()) return nullptr;
        if (!find_loop() || !convert_numbers()) return nullptr;
        if (!out)
            out = make_array(result);
        else if (may_hold(result, out))
            Py_INCREF(out);
        else
            return nullptr;
        if (!out) return nullptr;
        place(result, reinterpret_cast<PyArrayObject *>(out));

        npy_intp sizes[] = {size_, 0};
        if (works_on_rows()) {
            sizes[0] = size_ / length_, sizes[1] = length_;
            for (int k = 0, core = ufunc_->nargs; k < ufunc_->nargs; ++k) {
                if (ufunc_->core_num_dims[k]) steps_[core++] = PyArray_ITEMSIZE(like_);
                steps_[k] *= length_;
            }
        }
        NPY_BEGIN_THREADS_DEF;
        NPY_BEGIN_THREADS_THRESHOLDED(size_);
        loop_(data_, sizes, steps_, work_);
        NPY_END_THREADS;
        return out;
    }

  private:
    static constexpr int most = 8;
    static constexpr long exact = 1L << 24;  // whole numbers up to here are floats of any type

    union number {
        double as_double;
        float as_float;
        half as_half;
        bfloat16 as_bfloat16;
    };

    struct form {
        int parts, first;  // how many operands an array is, and which of them comes first
    };

    form next_form() {
        const char kind = *layout_ ? *layout_++ : 'w';
        return kind == 'w' ? form{1, 0} : form{2, kind == 'r'};
    }

    bool works_on_rows() const { return ufunc_->core_enabled; }

    bool add(PyArrayObject *array) {
        const form its = next_form();
        if (count_ + its.parts > ufunc_->nin || !is_plain(its, array, NPY_ARRAY_CARRAY_RO)) return false;
        if (!like_) {
            like_ = array;
            length_ = PyArray_DIM(array, PyArray_NDIM(array) - 1) >> (its.parts - 1);
            size_ = PyArray_SIZE(array) >> (its.parts - 1);
        }
        inputs_[arrays_++] = array;
        place(its, array);
        return true;
    }

    bool add(double value) {
        numbers_[count_].as_double = value;
        data_[count_] = reinterpret_cast<char *>(&numbers_[count_]);
        steps_[count_++] = 0;
        return true;
    }

    bool add_axis(PyObject *object) {
        if (!like_ || !PyLong_CheckExact(object)) return false;
        int overflow = 0;
        const long axis = PyLong_AsLongAndOverflow(object, &overflow);
        return has_axis_ = !overflow && (axis == -1 || axis == PyArray_NDIM(like_) - 1);
    }

    void place(const form &its, PyArrayObject *array) {
        for (int part = 0; part < its.parts; ++part) {
            data_[count_] = PyArray_BYTES(array) + (part ^ its.first) * length_ * PyArray_ITEMSIZE(array);
            steps_[count_++] = its.parts * PyArray_ITEMSIZE(array);
        }
    }

    bool is_plain(const form &its, PyArrayObject *array, int flags) const {
        const int axes = PyArray_NDIM(array);
        if (!PyArray_CHKFLAGS(array, flags) || !PyArray_ISNOTSWAPPED(array) || axes == 0 || PyArray_SIZE(array) == 0)
            return false;
        if (!like_) return !(PyArray_DIM(array, axes - 1) & (its.parts - 1));
        return PyArray_TYPE(array) == PyArray_TYPE(like_) && axes == PyArray_NDIM(like_) &&
               PyArray_DIM(array, axes - 1) == its.parts * length_ &&
               std::equal(PyArray_DIMS(array), PyArray_DIMS(array) + axes - 1, PyArray_DIMS(like_));
    }

    // An array has one dimension of rows, a number has none.
    bool fits_rows() const {
        if (!works_on_rows()) return true;
        if (ufunc_->core_num_dim_ix != 1) return false;
        for (int k = 0; k < ufunc_->nargs; ++k)
            if (ufunc_->core_num_dims[k] != (k >= count_ || steps_[k])) return false;
        return true;
    }

    PyObject *make_array(const form &its) const {
        const int axes = PyArray_NDIM(like_);
        npy_intp shape[NPY_MAXDIMS];
        std::copy_n(PyArray_DIMS(like_), axes, shape);
        shape[axes - 1] = its.parts * length_;
        return PyArray_SimpleNew(axes, shape, PyArray_TYPE(like_));
    }

    // Either it takes the place of an input, which rows don't bear, or it has nothing in common with it.
    bool may_hold(const form &its, PyObject *object) const {
        if (!PyArray_CheckExact(object)) return false;
        auto *const array = reinterpret_cast<PyArrayObject *>(object);
        if (!is_plain(its, array, NPY_ARRAY_CARRAY)) return false;
        const auto begin = reinterpret_cast<std::uintptr_t>(PyArray_BYTES(array));
        for (int k = 0; k < arrays_; ++k) {
            const auto other = reinterpret_cast<std::uintptr_t>(PyArray_BYTES(inputs_[k]));
            const bool meet = other < begin + PyArray_NBYTES(array) && begin < other + PyArray_NBYTES(inputs_[k]);
            if (meet && (works_on_rows() || other != begin)) return false;
        }
        return PyArray_FailUnlessWriteable(array, "output array") == 0;  // which may warn
    }

    template <class T>
    bool fits_types(const T *types) const {
        return std::all_of(types, types + ufunc_->nargs, [&](int type) { return type == PyArray_TYPE(like_); });
    }

    // NumPy keeps the loops of types that it does not know itself, which is bfloat16, in a dictionary.
    bool find_loop() {
        for (int i = 0; i < ufunc_->ntypes; ++i) {
            if (!fits_types(ufunc_->types + i * ufunc_->nargs)) continue;
            loop_ = ufunc_->functions[i];
            work_ = const_cast<void *>(ufunc_->data[i]);
            return true;
        }
        if (!is_bfloat16() || !ufunc_->userloops) return false;
        PyObject *const type = PyLong_FromLong(PyArray_TYPE(like_));
        PyObject *const loops = type ? PyDict_GetItemWithError(ufunc_->userloops, type) : nullptr;
        Py_XDECREF(type);
        auto *each = loops ? static_cast<PyUFunc_Loop1d *>(PyCapsule_GetPointer(loops, nullptr)) : nullptr;
        while (each && !fits_types(each->arg_types)) each = each->next;
        if (!each) return false;
        loop_ = each->func;
        work_ = each->data;
        return true;
    }

    bool is_bfloat16() const { return PyTypeNum_ISUSERDEF(PyArray_TYPE(like_)); }

    static bfloat16 rounded(float value) {
        std::uint32_t bits;
        std::memcpy(&bits, &value, sizeof(bits));
        const std::uint32_t nearest = bits + 0x7FFF + (bits >> 16 & 1);
        return {static_cast<std::uint16_t>((value == value ? nearest : bits | 0x400000) >> 16)};
    }

    bool convert_numbers() {
        const int type = PyArray_TYPE(like_);
        for (int k = 0; k < count_; ++k) {
            if (steps_[k] || type == NPY_DOUBLE) continue;
            number &its = numbers_[k];
            if (type == NPY_FLOAT)
                its.as_float = static_cast<float>(its.as_double);
            else if (type == NPY_HALF)
                its.as_half = static_cast<half>(its.as_double);
            else if (is_bfloat16())
                its.as_bfloat16 = rounded(static_cast<float>(its.as_double));
            else
                return false;
        }
        return true;
    }

    PyUFuncObject *ufunc_;
    PyUFuncGenericFunction loop_ = nullptr;
    void *work_ = nullptr;
    const char *layout_;
    PyArrayObject *like_ = nullptr;
    npy_intp size_ = 0, length_ = 0;
    int count_ = 0, arrays_ = 0;
    bool has_axis_ = false;
    PyArrayObject *inputs_[most];
    number numbers_[most];
    char *data_[most + 2];
    npy_intp steps_[2 * (most + 2)];
};

}  // namespace rectified
