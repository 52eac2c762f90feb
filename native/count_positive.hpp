// What the units of a rectifier's output add up to, and how often they fired, in one pass over memory.
#pragma once

#include <Python.h>
#include <numpy/arrayobject.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "tensor.hpp"

namespace rectified {

// Sums over the second and the last axis of y, of (batches, before, units, after) numbers: of the numbers, and of ones
// where they are positive.
class positive_counter {
  public:
    positive_counter(const npy_intp *shape, const float *y, float *total, float *fired)
        : batches_(shape[0]), before_(shape[1]), units_(shape[2]), after_(shape[3]), y_(y), total_(total), fired_(fired) {}

    void run() const {
        for (npy_intp batch = 0; batch < batches_; ++batch) {
            npy_intp unit = 0;
            if (after_ == 1)
                for (; unit + lanes <= units_; unit += lanes) side_by_side(batch, unit);
            for (; unit < units_; ++unit) one(batch, unit);
        }
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

    const float *at(npy_intp batch, npy_intp before, npy_intp unit) const {
        return y_ + ((batch * before_ + before) * units_ + unit) * after_;
    }

    void side_by_side(npy_intp batch, npy_intp unit) const {
        double total[lanes] = {}, fired[lanes] = {};
        for (npy_intp i = 0; i < before_; i += few) {
            sums some;
            for (npy_intp j = i; j < before_ && j < i + few; ++j) some.add(at(batch, j, unit));
            some.add_to(total, fired);
        }
        for (npy_intp lane = 0; lane < lanes; ++lane) put(batch, unit + lane, total[lane], fired[lane]);
    }

    void one(npy_intp batch, npy_intp unit) const {
        double total[lanes] = {}, fired[lanes] = {};
        sums some;
        npy_intp room = few;
        for (npy_intp i = 0; i < before_; ++i) {
            const float *numbers = at(batch, i, unit), *const end = numbers + after_;
            while (const npy_intp now = std::min(room, (end - numbers) / lanes)) {
                for (const float *const stop = numbers + now * lanes; numbers != stop; numbers += lanes) some.add(numbers);
                if (!(room -= now)) {
                    some.add_to(total, fired);
                    some = {};
                    room = few;
                }
            }
            for (; numbers != end; ++numbers) {
                total[0] += *numbers;
                fired[0] += *numbers > 0;
            }
        }
        some.add_to(total, fired);
        put(batch, unit, std::accumulate(total, total + lanes, 0.0), std::accumulate(fired, fired + lanes, 0.0));
    }

    void put(npy_intp batch, npy_intp unit, double total, double fired) const {
        total_[batch * units_ + unit] = static_cast<float>(total);
        fired_[batch * units_ + unit] = static_cast<float>(fired);
    }

    const npy_intp batches_, before_, units_, after_;
    const float *const y_;
    float *const total_, *const fired_;
};

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
    positive_counter(shape, data(0), data(1), data(2)).run();
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

// count_positive_each(library, batches, axis, total, fired): the same for the tensors in a list, each a batch, of a class
// whose units are on an axis. Whether they could be read as they are: contiguous float32 on the CPU, all of one shape, with
// these units.
inline PyObject *count_positive_each(PyObject *, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 5 || !PyType_Check(arguments[0]) || !PyList_Check(arguments[1]) || !PyLong_Check(arguments[2]) ||
        !is_of_floats(arguments[3], 2, NPY_ARRAY_CARRAY) || !is_of_floats(arguments[4], 2, NPY_ARRAY_CARRAY))
        return PyErr_Format(PyExc_TypeError,
                            "count_positive_each takes a class, a list, an axis, and C-contiguous float32 of 2 axes");
    PyObject *const capsule = PyObject_GetAttrString(arguments[0], "__dlpack_c_exchange_api__");
    if (!capsule) return nullptr;
    const tensor_exchange *const exchange = tensor_exchange::of(capsule);
    Py_DECREF(capsule);  // the class keeps it
    if (!exchange) return nullptr;
    const auto total = reinterpret_cast<PyArrayObject *>(arguments[3]),
               fired = reinterpret_cast<PyArrayObject *>(arguments[4]);
    const npy_intp batches = PyList_GET_SIZE(arguments[1]), units = PyArray_DIM(total, 1);
    const long axis = PyLong_AsLong(arguments[2]);
    if (axis == -1 && PyErr_Occurred()) return nullptr;
    if (PyArray_DIM(total, 0) != batches || PyArray_DIM(fired, 0) != batches || PyArray_DIM(fired, 1) != units)
        return PyErr_Format(PyExc_ValueError, "count_positive_each puts out one number for each unit of each batch");
    std::vector<tensor> found(batches);
    for (npy_intp k = 0; k < batches; ++k) {
        PyObject *const object = PyList_GET_ITEM(arguments[1], k);
        if (!PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject *>(arguments[0])))
            return PyErr_Format(PyExc_TypeError, "count_positive_each takes tensors of the class, not %R", object);
        if (exchange->borrow(object, &found[k])) {  // one of no memory, for instance
            PyErr_Clear();
            Py_RETURN_FALSE;
        }
        const tensor &one = found[k];
        if (!one.is_of_floats_on_cpu() || !one.is_contiguous() || !one.has_shape_of(found[0]) || axis < 0 ||
            axis >= one.axes || one.shape[axis] != units)
            Py_RETURN_FALSE;
    }
    if (!batches) Py_RETURN_TRUE;
    npy_intp shape[4] = {1, 1, units, 1};
    for (long k = 0; k < found[0].axes; ++k)
        if (k != axis) shape[k < axis ? 1 : 3] *= found[0].shape[k];
    const auto row = [&](PyArrayObject *array, npy_intp k) {
        return static_cast<float *>(PyArray_DATA(array)) + k * units;
    };
    Py_BEGIN_ALLOW_THREADS;
    for (npy_intp k = 0; k < batches; ++k) positive_counter(shape, found[k].floats(), row(total, k), row(fired, k)).run();
    Py_END_ALLOW_THREADS;
    Py_RETURN_TRUE;
}

}  // namespace rectified
