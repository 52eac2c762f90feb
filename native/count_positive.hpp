// What the units of a rectifier's output add up to, and how often they fired, in one pass over memory.
#pragma once

#include <Python.h>
#include <numpy/arrayobject.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "openmp.hpp"
#include "tensor.hpp"

namespace rectified {

// Sums over the first and the last axis of y, of (before, units, after) numbers: of the numbers, and of ones where they are
// positive.
class positive_counter {
  public:
    positive_counter(const npy_intp *shape, const float *y) : units_(shape[1]), after_(shape[2]), y_(y) {}

    // Put in the sums over a part of the first axis.
    void run(npy_intp begin, npy_intp end, double *total, double *fired) const {
        npy_intp unit = 0;
        if (after_ == 1)
            for (; unit + lanes <= units_; unit += lanes) side_by_side(begin, end, unit, total, fired);
        for (; unit < units_; ++unit) one(begin, end, unit, total, fired);
    }

  private:
    static constexpr npy_intp ahead = 1024;          // numbers, beyond the page that the processor fetches by itself
    static constexpr npy_intp lanes = 16, few = 64;  // so few are added up in float32 that its rounding does not add up

    // Several lanes of numbers, each on its own.
    struct sums {
        typedef float floats __attribute__((vector_size(16)));
        typedef int integers __attribute__((vector_size(16)));
        static constexpr int parts = lanes / 4;
        floats total[parts] = {};
        integers fired[parts] = {};

        void add(const float *numbers) {
            __builtin_prefetch(numbers + ahead);
#pragma GCC unroll 4  // or the sums would stay in memory
            for (int k = 0; k < parts; ++k) {
                floats some;
                __builtin_memcpy(&some, numbers + 4 * k, sizeof(some));
                total[k] += some;
                fired[k] -= some > 0;
            }
        }
        void add_to(double *totals, double *counts) const {
            float totals_here[lanes];
            int counts_here[lanes];
#pragma GCC unroll 4
            for (int k = 0; k < parts; ++k) {
                __builtin_memcpy(totals_here + 4 * k, &total[k], sizeof(total[k]));
                __builtin_memcpy(counts_here + 4 * k, &fired[k], sizeof(fired[k]));
            }
            for (int lane = 0; lane < lanes; ++lane) {
                totals[lane] += totals_here[lane];
                counts[lane] += counts_here[lane];
            }
        }
    };

    const float *at(npy_intp before, npy_intp unit) const { return y_ + (before * units_ + unit) * after_; }

    void side_by_side(npy_intp begin, npy_intp end, npy_intp unit, double *totals, double *counts) const {
        double total[lanes] = {}, fired[lanes] = {};
        for (npy_intp i = begin; i < end; i += few) {
            sums some;
            for (npy_intp j = i; j < end && j < i + few; ++j) some.add(at(j, unit));
            some.add_to(total, fired);
        }
        std::copy(total, total + lanes, totals + unit);
        std::copy(fired, fired + lanes, counts + unit);
    }

    void one(npy_intp begin, npy_intp end, npy_intp unit, double *totals, double *counts) const {
        double total[lanes] = {}, fired[lanes] = {};
        sums some;
        npy_intp room = few;
        for (npy_intp i = begin; i < end; ++i) {
            const float *numbers = at(i, unit), *const stop = numbers + after_;
            while (const npy_intp now = std::min(room, (stop - numbers) / lanes)) {
                for (const float *const last = numbers + now * lanes; numbers != last; numbers += lanes) some.add(numbers);
                if (!(room -= now)) {
                    some.add_to(total, fired);
                    some = {};
                    room = few;
                }
            }
            for (; numbers != stop; ++numbers) {
                total[0] += *numbers;
                fired[0] += *numbers > 0;
            }
        }
        some.add_to(total, fired);
        totals[unit] = std::accumulate(total, total + lanes, 0.0);
        counts[unit] = std::accumulate(fired, fired + lanes, 0.0);
    }

    const npy_intp units_, after_;
    const float *const y_;
};

// Counts batches, each with its own place for the sums of its units.
class positive_counters {
  public:
    positive_counters(npy_intp batches, const npy_intp *shape, float *total, float *fired)
        : batches_(batches), shape_(shape), out_{total, fired} {}

    // numbers(batch) points to one. All the threads that there are count a part of each.
    template <class Numbers>
    void run(const Numbers &numbers, const openmp *shared = nullptr) const {
        const int threads = shared ? shared->most() : 1;
        std::vector<double> sums(2 * threads * size());
        const auto count = [&](npy_intp part, npy_intp parts) {
            double *const total = &sums[2 * part * size()], *const fired = total + size();
            const npy_intp begin = shape_[0] * part / parts, end = shape_[0] * (part + 1) / parts;
            for (npy_intp batch = 0; batch < batches_; ++batch)
                positive_counter(shape_, numbers(batch))
                    .run(begin, end, total + batch * shape_[1], fired + batch * shape_[1]);
        };
        if (shared)
            shared->run(threads, count);
        else
            count(0, 1);
        for (int kind = 0; kind < 2; ++kind)
            for (npy_intp k = 0; k < size(); ++k) {
                double sum = 0;
                for (int part = 0; part < threads; ++part) sum += sums[(2 * part + kind) * size() + k];
                out_[kind][k] = static_cast<float>(sum);
            }
    }

  private:
    npy_intp size() const { return batches_ * shape_[1]; }

    const npy_intp batches_;
    const npy_intp *const shape_;
    float *const out_[2];
};

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

// What is C-contiguous and of float32, and may be written if it is an output.
inline bool is_of_floats(PyObject *object, int axes, int flags) {
    const auto array = reinterpret_cast<PyArrayObject *>(object);
    return PyArray_Check(object) && PyArray_TYPE(array) == NPY_FLOAT && PyArray_CHKFLAGS(array, flags) &&
           PyArray_ISNOTSWAPPED(array) && PyArray_NDIM(array) == axes;
}

// count_positive(y, total, fired): y is C-contiguous float32 of (batches, before, units, after), the others of (batches,
// units).
inline PyObject *count_positive(PyObject *, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 3) return PyErr_Format(PyExc_TypeError, "count_positive takes 3 arguments, not %zd", count);
    PyArrayObject *arrays[3];
    for (int k = 0; k < 3; ++k) {
        arrays[k] = reinterpret_cast<PyArrayObject *>(arguments[k]);
        if (!is_of_floats(arguments[k], k ? 2 : 4, k ? NPY_ARRAY_CARRAY : NPY_ARRAY_CARRAY_RO))
            return PyErr_Format(PyExc_TypeError, "count_positive takes C-contiguous float32 of 4, 2 and 2 axes");
    }
    const npy_intp *const shape = PyArray_DIMS(arrays[0]);
    for (int k = 1; k < 3; ++k)
        if (PyArray_DIM(arrays[k], 0) != shape[0] || PyArray_DIM(arrays[k], 1) != shape[2])
            return PyErr_Format(PyExc_ValueError, "count_positive puts out one number for each unit of each batch");
    const auto data = [&](int k) { return static_cast<float *>(PyArray_DATA(arrays[k])); };
    Py_BEGIN_ALLOW_THREADS;
    positive_counters(shape[0], shape + 1, data(1), data(2)).run([&](npy_intp batch) {
        return data(0) + batch * (shape[1] * shape[2] * shape[3]);
    });
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

constexpr npy_intp alone = 1 << 15;  // numbers, for which PyTorch takes one thread, too

// count_positive_each(library, batches, axis, total, fired): the same for the tensors in a list, each a batch, of a class
// whose units are on an axis. Whether they could be read as they are: float32 on the CPU, side by side, all of one shape,
// with these units.
inline PyObject *count_positive_each(PyObject *, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 5 || !PyType_Check(arguments[0]) || !PyList_Check(arguments[1]) || !PyLong_Check(arguments[2]) ||
        !is_of_floats(arguments[3], 2, NPY_ARRAY_CARRAY) || !is_of_floats(arguments[4], 2, NPY_ARRAY_CARRAY))
        return PyErr_Format(PyExc_TypeError,
                            "count_positive_each takes a class, a list, an axis, and C-contiguous float32 of 2 axes");
    const tensor_exchange *const exchange = tensor_exchange::of(arguments[0]);
    if (!exchange) return nullptr;
    const auto total = reinterpret_cast<PyArrayObject *>(arguments[3]),
               fired = reinterpret_cast<PyArrayObject *>(arguments[4]);
    const npy_intp batches = PyList_GET_SIZE(arguments[1]), units = PyArray_DIM(total, 1);
    const long axis = PyLong_AsLong(arguments[2]);
    if (axis == -1 && PyErr_Occurred()) return nullptr;
    if (PyArray_DIM(total, 0) != batches || PyArray_DIM(fired, 0) != batches || PyArray_DIM(fired, 1) != units)
        return PyErr_Format(PyExc_ValueError, "count_positive_each puts out one number for each unit of each batch");
    std::vector<tensor> found(batches);
    std::int64_t before = 1, after = 1;
    for (npy_intp k = 0; k < batches; ++k) {
        PyObject *const object = PyList_GET_ITEM(arguments[1], k);
        if (!PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject *>(arguments[0])))
            return PyErr_Format(PyExc_TypeError, "count_positive_each takes tensors of the class, not %R", object);
        if (exchange->borrow(object, &found[k])) {  // one of no memory, for instance
            PyErr_Clear();
            Py_RETURN_FALSE;
        }
        const tensor &one = found[k];
        const std::int64_t before_first = before, after_first = after;
        if (!one.is_of_floats_on_cpu() || !one.has_shape_of(found[0]) || !one.is_dense_around(axis, before, after) ||
            one.shape[axis] != units || (k && (before != before_first || after != after_first)))
            Py_RETURN_FALSE;
    }
    if (!batches) Py_RETURN_TRUE;
    const npy_intp shape[] = {before, units, after};
    const bool is_large = shape[0] * shape[1] * shape[2] > alone;
    const openmp *const shared = is_large ? threads_of(exchange) : nullptr;
    const auto data = [](PyArrayObject *array) { return static_cast<float *>(PyArray_DATA(array)); };
    Py_BEGIN_ALLOW_THREADS;
    positive_counters(batches, shape, data(total), data(fired)).run([&](npy_intp k) { return found[k].floats(); }, shared);
    Py_END_ALLOW_THREADS;
    Py_RETURN_TRUE;
}

}  // namespace rectified
