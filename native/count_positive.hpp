// What the units of a rectifier's output add up to, and how often they fired, in one pass over memory.
#pragma once

#include <Python.h>
#include <numpy/arrayobject.h>

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
    static constexpr npy_intp lanes = 16, few = 64;  // so few are added up in float32 that its rounding does not add up

    // Several lanes of numbers, each on its own.
    struct sums {
        typedef float floats __attribute__((vector_size(16)));
        typedef int integers __attribute__((vector_size(16)));
        static constexpr int parts = lanes / 4;
        floats total[parts] = {};
        integers fired[parts] = {};

        void add(const float *numbers) {
            for (int k = 0; k < parts; ++k) {
                floats some;
                __builtin_memcpy(&some, numbers + 4 * k, sizeof(some));
                total[k] += some;
                fired[k] -= some > 0;
            }
        }
        void add_to(double *totals, double *counts, npy_intp step) const {
            for (int lane = 0; lane < lanes; ++lane) {
                totals[lane * step] += total[lane / 4][lane % 4];
                counts[lane * step] += fired[lane / 4][lane % 4];
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
            some.add_to(total, fired, 1);
        }
        for (npy_intp lane = 0; lane < lanes; ++lane) put(batch, unit + lane, total[lane], fired[lane]);
    }

    void one(npy_intp batch, npy_intp unit) const {
        double total = 0, fired = 0;
        for (npy_intp i = 0; i < before_; ++i) {
            const float *const numbers = at(batch, i, unit);
            npy_intp j = 0;
            while (j + lanes <= after_) {
                sums some;
                for (npy_intp end = j + few * lanes; j + lanes <= after_ && j < end; j += lanes) some.add(numbers + j);
                some.add_to(&total, &fired, 0);
            }
            for (; j < after_; ++j) {
                total += numbers[j];
                fired += numbers[j] > 0;
            }
        }
        put(batch, unit, total, fired);
    }

    void put(npy_intp batch, npy_intp unit, double total, double fired) const {
        total_[batch * units_ + unit] = static_cast<float>(total);
        fired_[batch * units_ + unit] = static_cast<float>(fired);
    }

    const npy_intp batches_, before_, units_, after_;
    const float *const y_;
    float *const total_, *const fired_;
};

// count_positive(y, total, fired): y is C-contiguous float32 of (batches, before, units, after), the others of (batches,
// units).
inline PyObject *count_positive(PyObject *, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 3) return PyErr_Format(PyExc_TypeError, "count_positive takes 3 arguments, not %zd", count);
    PyArrayObject *arrays[3];
    for (int k = 0; k < 3; ++k) {
        arrays[k] = reinterpret_cast<PyArrayObject *>(arguments[k]);
        if (!PyArray_Check(arguments[k]) || PyArray_TYPE(arrays[k]) != NPY_FLOAT ||
            !PyArray_CHKFLAGS(arrays[k], k ? NPY_ARRAY_CARRAY : NPY_ARRAY_CARRAY_RO) || !PyArray_ISNOTSWAPPED(arrays[k]) ||
            PyArray_NDIM(arrays[k]) != (k ? 2 : 4))
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

}  // namespace rectified
