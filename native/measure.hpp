// How Python has numbers measured: those of another library's tensors, where they are, in that library's threads.
#pragma once

#include <Python.h>
#include <numpy/arrayobject.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "measured.hpp"
#include "openmp.hpp"
#include "tensor.hpp"

namespace rectified {

constexpr npy_intp alone = 1 << 15;  // numbers, for which PyTorch takes one thread, too

// The threads of a library of tensors, if there are any to share.
inline const openmp *threads_of(const tensor_exchange *exchange) {
    static const tensor_exchange *known = nullptr;
    static openmp threads;
    if (exchange != known) {
        threads = openmp::of(reinterpret_cast<void *>(exchange->borrow));
        known = exchange;
    }
    return threads ? &threads : nullptr;
}

inline PyObject *shares_threads(PyObject *, PyObject *library) {
    const tensor_exchange *const exchange = tensor_exchange::of(library);
    return exchange ? PyBool_FromLong(threads_of(exchange) != nullptr) : nullptr;
}

// Batches of one form: each of (rows, units, after) numbers that lie side by side.
struct batches_in_memory {
    std::vector<const float *> numbers;
    std::int64_t rows = 0, units = 0, after = 0;
    PyObject *shape = nullptr;  // the only one that is read, if any

    // Batches with their units on an axis: a list of them, or a whole of which the first axis counts them. They are tensors
    // of a library, or arrays if that is none. Whether they can be read as they are; -1 after an error.
    int read(PyObject *given, PyObject *library, const tensor_exchange *exchange, std::int64_t axis) {
        const bool is_list = PyList_Check(given);
        for (Py_ssize_t k = 0; k < (is_list ? PyList_GET_SIZE(given) : 1); ++k) {
            tensor one;
            const int is_read = borrow(is_list ? PyList_GET_ITEM(given, k) : given, library, exchange, one);
            if (is_read < 1) return is_read;
            if (!one.is_of_floats_on_cpu() || !(is_list ? add(one, axis) : add_each(one, axis))) return 0;
        }
        return 1;
    }

    bool has_form_of(const batches_in_memory &other) const {
        return numbers.size() == other.numbers.size() && rows == other.rows && units == other.units && after == other.after;
    }

  private:
    static int borrow(PyObject *object, PyObject *library, const tensor_exchange *exchange, tensor &one) {
        const auto kind = exchange ? reinterpret_cast<PyTypeObject *>(library) : &PyArray_Type;
        if (!PyObject_TypeCheck(object, kind))
            return PyErr_Format(PyExc_TypeError, "measure takes numbers of the type %s, not %R", kind->tp_name, object), -1;
        if (exchange) {
            if (!exchange->borrow(object, &one)) return 1;
            PyErr_Clear();  // one of no memory, for instance
            return 0;
        }
        const auto array = reinterpret_cast<PyArrayObject *>(object);
        if (PyArray_TYPE(array) != NPY_FLOAT || !PyArray_ISCARRAY_RO(array)) return 0;
        static_assert(sizeof(npy_intp) == sizeof(std::int64_t));
        const auto shape = reinterpret_cast<const std::int64_t *>(PyArray_DIMS(array));
        one = {PyArray_DATA(array), 1, 0, PyArray_NDIM(array), 2, 32, 1, shape, nullptr, 0};
        return 1;
    }

    bool has_shape(const tensor &one) const {
        if (!shape) return true;
        if (PyTuple_GET_SIZE(shape) != one.axes) return false;
        for (std::int32_t k = 0; k < one.axes; ++k)
            if (PyLong_AsLongLong(PyTuple_GET_ITEM(shape, k)) != one.shape[k]) return PyErr_Clear(), false;
        return true;
    }

    bool add(const tensor &one, std::int64_t axis) {
        std::int64_t rows_here, after_here;
        if (!has_shape(one) || !one.is_dense_around(axis, rows_here, after_here)) return false;
        const std::int64_t units_here = one.shape[axis];
        if (numbers.empty()) rows = rows_here, units = units_here, after = after_here;
        numbers.push_back(one.floats());
        return rows == rows_here && units == units_here && after == after_here;
    }

    bool add_each(tensor all, std::int64_t axis) {
        if (all.axes < 1) return false;
        const std::int64_t count = *all.shape++;
        --all.axes;
        const std::int64_t step =
            all.strides ? *all.strides++
                        : std::accumulate(all.shape, all.shape + all.axes, std::int64_t{1}, std::multiplies<>());
        for (std::int64_t k = 0; k < count; ++k, all.offset += step * sizeof(float))
            if (!add(all, axis)) return false;
        return true;
    }
};

// What was found of the units of some batches, in one of several parts.
class part_found {
  public:
    part_found(npy_intp size, npy_intp extremes)
        : size_(size),
          extremes_(extremes),
          sums_(3 * size),
          low_(extremes * size, std::numeric_limits<float>::infinity()),
          high_(extremes * size, -std::numeric_limits<float>::infinity()) {}

    found_of_units of_batch(npy_intp batch, npy_intp units) {
        double *const sums = &sums_[3 * batch * units];
        const npy_intp place = extremes_ * batch * units;
        return {sums, sums + units, sums + 2 * units, low_.data() + place, high_.data() + place};
    }

    void join(const part_found &other) {
        for (std::size_t k = 0; k < sums_.size(); ++k) sums_[k] += other.sums_[k];
        for (std::size_t k = 0; k < low_.size(); ++k) {
            low_[k] = std::min(low_[k], other.low_[k]);
            high_[k] = std::max(high_[k], other.high_[k]);
        }
    }

    // As (kinds, batches, units).
    void put(npy_intp units, float *out) const {
        for (npy_intp batch = 0; batch < size_ / units; ++batch) {
            float *to = out + batch * units;
            const auto put_kinds = [&](const auto &from, npy_intp kinds) {
                for (npy_intp kind = 0; kind < kinds; ++kind, to += size_)
                    std::copy_n(from.data() + (batch * kinds + kind) * units, units, to);
            };
            put_kinds(sums_, 3);
            put_kinds(low_, extremes_);
            put_kinds(high_, extremes_);
        }
    }

  private:
    npy_intp size_, extremes_;
    std::vector<double> sums_;
    std::vector<float> low_, high_;
};

inline void measure_batches(measure_t *kernel, const measured &given, const batches_in_memory &x,
                            const batches_in_memory &y, const openmp *shared, float *out) {
    const npy_intp batches = x.numbers.size(), units = given.units;
    std::vector<part_found> found(shared ? shared->most() : 1, part_found(batches * units, given.turns + 1));
    const auto count = [&](npy_intp part, npy_intp parts) {
        const npy_intp begin = x.rows * part / parts, rows = x.rows * (part + 1) / parts - begin;
        const npy_intp place = begin * units * given.after;
        for (npy_intp batch = 0; batch < batches; ++batch)
            kernel(given, rows, x.numbers[batch] + place, y.numbers[batch] + place, found[part].of_batch(batch, units));
    };
    if (shared)
        shared->run(static_cast<int>(found.size()), count);
    else
        count(0, 1);
    for (std::size_t part = 1; part < found.size(); ++part) found[0].join(found[part]);
    found[0].put(units, out);
}

// What is C-contiguous and of float32, and may be written if it is an output.
inline bool is_of_floats(PyObject *object, int axes, int flags) {
    const auto array = reinterpret_cast<PyArrayObject *>(object);
    return PyArray_Check(object) && PyArray_TYPE(array) == NPY_FLOAT && PyArray_CHKFLAGS(array, flags) &&
           PyArray_ISNOTSWAPPED(array) && PyArray_NDIM(array) == axes;
}

// The arguments of Python's `measure` behind the instruction set: library, x, y, axis, turns, firing, out, and perhaps the
// shape of a batch. Turns of any number, or None where no extremes are wanted, firing of (intervals, 2), and out of (kinds,
// batches, units). Whether the numbers could be read.
inline PyObject *measure_with(measure_t *kernel, PyObject *const *arguments, PyObject *shape) {
    const auto [library, x_given, y_given, axis_given, turns_given, firing_given, out_given] =
        *reinterpret_cast<PyObject *const(*)[7]>(arguments);
    const bool is_of_arrays = library == Py_None, has_turns = turns_given != Py_None;
    if (!(is_of_arrays || PyType_Check(library)) || !PyLong_Check(axis_given) ||
        (has_turns && !is_of_floats(turns_given, 1, NPY_ARRAY_CARRAY_RO)) ||
        !is_of_floats(firing_given, 2, NPY_ARRAY_CARRAY_RO) || !is_of_floats(out_given, 3, NPY_ARRAY_CARRAY) ||
        (shape && !PyTuple_Check(shape)))
        return PyErr_Format(PyExc_TypeError,
                            "measure takes a class or None, two lists of batches, an axis, C-contiguous "
                            "float32, and perhaps a shape");
    const tensor_exchange *const exchange = is_of_arrays ? nullptr : tensor_exchange::of(library);
    const long axis = PyLong_AsLong(axis_given);
    if (PyErr_Occurred()) return nullptr;
    batches_in_memory x, y;
    y.shape = shape;
    for (const auto &[given, found] : {std::pair(x_given, &x), std::pair(y_given, &y)}) {
        const int is_read = found->read(given, library, exchange, axis);
        if (is_read < 0) return nullptr;
        if (!is_read) Py_RETURN_FALSE;
    }
    const auto turns = reinterpret_cast<PyArrayObject *>(turns_given),
               firing = reinterpret_cast<PyArrayObject *>(firing_given), out = reinterpret_cast<PyArrayObject *>(out_given);
    const auto data = [](PyArrayObject *array) { return static_cast<float *>(PyArray_DATA(array)); };
    const npy_intp units = PyArray_DIM(out, 2), many = has_turns ? PyArray_DIM(turns, 0) : -1;
    if (PyArray_DIM(firing, 1) != 2 || PyArray_DIM(out, 0) != 3 + 2 * (many + 1) ||
        PyArray_DIM(out, 1) != static_cast<npy_intp>(y.numbers.size()))
        return PyErr_Format(PyExc_ValueError, "measure puts out 3 kinds of numbers, and 2 for each turn and for all");
    if (!x.has_form_of(y) || (y.units != units && !y.numbers.empty())) Py_RETURN_FALSE;
    std::vector<float> begin, end;
    for (npy_intp k = 0; k < PyArray_DIM(firing, 0); ++k) {
        const float *const interval = data(firing) + 2 * k;
        if (std::isfinite(interval[0])) begin.push_back(interval[0]);
        if (std::isfinite(interval[1])) end.push_back(interval[1]);
    }
    const bool fires_below = PyArray_DIM(firing, 0) && std::isinf(*data(firing));
    const measured given{units,
                         y.after,
                         many,
                         has_turns ? data(turns) : nullptr,
                         fires_below,
                         static_cast<npy_intp>(begin.size()),
                         static_cast<npy_intp>(end.size()),
                         begin.data(),
                         end.data()};
    const openmp *const shared = exchange && y.rows * units * y.after > alone ? threads_of(exchange) : nullptr;
    Py_BEGIN_ALLOW_THREADS;
    measure_batches(kernel, given, x, y, shared, data(out));
    Py_END_ALLOW_THREADS;
    Py_RETURN_TRUE;
}

}  // namespace rectified
