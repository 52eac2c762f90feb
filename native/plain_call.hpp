// Calls of a ufunc with plain arrays, past the machinery that NumPy needs for all others: for a short array that takes
// longer than the loop.
#pragma once

#include <Python.h>
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>

#include <cstdint>

namespace rectified {

// Gathers the operands of one call. They are plain if the arrays have one shape, lie in C order, and are of the type of one
// of the ufunc's loops, and if the others are Python's numbers, which take that type by NumPy's rules.
class plain_call {
  public:
    explicit plain_call(PyUFuncObject *ufunc) : ufunc_(ufunc) {}

    bool add(PyObject *operand) {
        if (count_ == ufunc_->nin || ufunc_->nin >= most) return false;
        if (PyArray_CheckExact(operand)) {
            auto *const array = reinterpret_cast<PyArrayObject *>(operand);
            if (!is_plain(array, NPY_ARRAY_CARRAY_RO)) return false;
            like_ = array;
            data_[count_] = PyArray_BYTES(array);
            steps_[count_++] = PyArray_ITEMSIZE(array);
            return true;
        }
        if (PyFloat_CheckExact(operand)) return add(PyFloat_AS_DOUBLE(operand));
        int overflow = 0;
        const long whole = PyLong_CheckExact(operand) ? PyLong_AsLongAndOverflow(operand, &overflow) : exact + 1;
        return !overflow && whole >= -exact && whole <= exact && add(static_cast<double>(whole));
    }

    // The result, in `out` or, if that is null, in a new array. Null where the call is not plain, or with an exception set.
    PyObject *run(PyObject *out) {
        const int loop = count_ == ufunc_->nin && ufunc_->nout == 1 && !ufunc_->core_enabled && like_ ? find_loop() : -1;
        if (loop < 0 || !convert_numbers()) return nullptr;
        if (!out)
            out = PyArray_SimpleNew(PyArray_NDIM(like_), PyArray_DIMS(like_), PyArray_TYPE(like_));
        else if (may_hold_result(out))
            Py_INCREF(out);
        else
            return nullptr;
        if (!out) return nullptr;
        data_[count_] = PyArray_BYTES(reinterpret_cast<PyArrayObject *>(out));
        steps_[count_] = PyArray_ITEMSIZE(like_);
        const npy_intp size = PyArray_SIZE(like_);
        NPY_BEGIN_THREADS_DEF;
        NPY_BEGIN_THREADS_THRESHOLDED(size);
        ufunc_->functions[loop](data_, &size, steps_, const_cast<void *>(ufunc_->data[loop]));
        NPY_END_THREADS;
        return out;
    }

  private:
    static constexpr int most = 8;
    static constexpr long exact = 1L << 24;  // whole numbers up to here are floats of any type

    union number {
        double as_double;
        float as_float;
    };

    bool add(double value) {
        numbers_[count_].as_double = value;
        data_[count_] = reinterpret_cast<char *>(&numbers_[count_]);
        steps_[count_++] = 0;
        return true;
    }

    bool is_plain(PyArrayObject *array, int flags) const {
        return PyArray_CHKFLAGS(array, flags) && PyArray_ISNOTSWAPPED(array) && PyArray_NDIM(array) > 0 &&
               PyArray_SIZE(array) > 0 &&
               (!like_ || (PyArray_TYPE(array) == PyArray_TYPE(like_) && PyArray_SAMESHAPE(array, like_)));
    }

    // Either it takes the place of an input, or it has nothing in common with it.
    bool may_hold_result(PyObject *object) const {
        if (!PyArray_CheckExact(object)) return false;
        auto *const array = reinterpret_cast<PyArrayObject *>(object);
        if (!is_plain(array, NPY_ARRAY_CARRAY)) return false;
        const auto begin = reinterpret_cast<std::uintptr_t>(PyArray_BYTES(array));
        const std::uintptr_t size = PyArray_NBYTES(array);
        for (int k = 0; k < count_; ++k) {
            const auto other = reinterpret_cast<std::uintptr_t>(data_[k]);
            if (steps_[k] && other != begin && other < begin + size && begin < other + size) return false;
        }
        return PyArray_FailUnlessWriteable(array, "output array") == 0;  // which may warn
    }

    int find_loop() const {
        for (int i = 0; i < ufunc_->ntypes; ++i) {
            bool fits = true;
            for (int k = 0; k < ufunc_->nargs; ++k)
                fits = fits && ufunc_->types[i * ufunc_->nargs + k] == PyArray_TYPE(like_);
            if (fits) return i;
        }
        return -1;
    }

    bool convert_numbers() {
        const int type = PyArray_TYPE(like_);
        for (int k = 0; k < count_; ++k) {
            if (steps_[k] || type == NPY_DOUBLE) continue;
            if (type != NPY_FLOAT) return false;
            numbers_[k].as_float = static_cast<float>(numbers_[k].as_double);
        }
        return true;
    }

    PyUFuncObject *ufunc_;
    PyArrayObject *like_ = nullptr;
    int count_ = 0;
    number numbers_[most];
    char *data_[most + 1];
    npy_intp steps_[most + 1];
};

// call_plainly(ufunc, operands, given, defaults, keywords): the result; None where it takes NumPy to call it. To the
// operands come the parameters that are given, and the defaults of the others.
inline PyObject *call_plainly(PyObject *, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 5 || !PyObject_TypeCheck(arguments[0], &PyUFunc_Type) || !PyTuple_Check(arguments[1]) ||
        !PyTuple_Check(arguments[2]) || !PyTuple_Check(arguments[3]) || !PyDict_Check(arguments[4]))
        return PyErr_Format(PyExc_TypeError, "call_plainly takes a ufunc, three tuples and a dict");
    PyObject *const operands = arguments[1], *const given = arguments[2], *const defaults = arguments[3];
    PyObject *out = nullptr;
    const Py_ssize_t keywords = PyDict_GET_SIZE(arguments[4]);
    if (keywords) {
        out = PyDict_GetItemString(arguments[4], "out");
        if (!out || keywords > 1) Py_RETURN_NONE;
    }
    plain_call call(reinterpret_cast<PyUFuncObject *>(arguments[0]));
    bool plain = true;
    for (Py_ssize_t i = 0; plain && i < PyTuple_GET_SIZE(operands); ++i) plain = call.add(PyTuple_GET_ITEM(operands, i));
    for (Py_ssize_t i = 0; plain && i < PyTuple_GET_SIZE(given); ++i) plain = call.add(PyTuple_GET_ITEM(given, i));
    for (Py_ssize_t i = PyTuple_GET_SIZE(given); plain && i < PyTuple_GET_SIZE(defaults); ++i)
        plain = call.add(PyTuple_GET_ITEM(defaults, i));
    PyObject *const result = plain ? call.run(out) : nullptr;
    if (result || PyErr_Occurred()) return result;
    Py_RETURN_NONE;
}

}  // namespace rectified
