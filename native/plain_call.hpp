// Calls of a ufunc with plain arrays, past the machinery that NumPy needs for all others: for a short array that takes
// longer than the loop.
#pragma once

#include <Python.h>
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>
#include <structmember.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace rectified {

// A reference that is let go at the end of its block.
struct letting_go {
    void operator()(PyObject *object) const { Py_DECREF(object); }
};
class owned : public std::unique_ptr<PyObject, letting_go> {
  public:
    using unique_ptr::unique_ptr;
    operator PyObject *() const { return get(); }
};

// Gathers the operands of one call. They are plain if the arrays have one shape, lie in C order, and are of the type of one
// of the ufunc's loops, and if the others are Python's numbers, which take that type by NumPy's rules. A ufunc of rows
// takes no numbers; after its operands comes their axis, which is the last one.
class plain_call {
  public:
    explicit plain_call(PyUFuncObject *ufunc) : ufunc_(ufunc) {}

    bool add(PyObject *operand) {
        if (ufunc_->nin >= most || missing() == 0) return false;
        if (count_ == ufunc_->nin) return add_axis(operand);
        if (PyArray_CheckExact(operand)) {
            auto *const array = reinterpret_cast<PyArrayObject *>(operand);
            if (!is_plain(array, NPY_ARRAY_CARRAY_RO)) return false;
            like_ = array;
            data_[count_] = PyArray_BYTES(array);
            steps_[count_++] = PyArray_ITEMSIZE(array);
            return true;
        }
        if (works_on_rows()) return false;
        if (PyFloat_CheckExact(operand)) return add(PyFloat_AS_DOUBLE(operand));
        int overflow = 0;
        const long whole = PyLong_CheckExact(operand) ? PyLong_AsLongAndOverflow(operand, &overflow) : exact + 1;
        return !overflow && whole >= -exact && whole <= exact && add(static_cast<double>(whole));
    }

    // How many operands have yet to come, the axis among them.
    int missing() const { return ufunc_->nin + works_on_rows() - count_ - has_axis_; }

    // The result, in `out` or, if that is null, in a new array. Null where the call is not plain, or with an exception set.
    PyObject *run(PyObject *out) {
        const int loop = missing() == 0 && ufunc_->nout == 1 && like_ ? find_loop() : -1;
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
        npy_intp sizes[] = {size, 1};
        if (works_on_rows()) {
            const npy_intp length = PyArray_DIM(like_, PyArray_NDIM(like_) - 1);
            sizes[0] = size / length, sizes[1] = length;
            for (int k = 0; k <= count_; ++k) steps_[count_ + 1 + k] = steps_[k], steps_[k] *= length;
        }
        NPY_BEGIN_THREADS_DEF;
        NPY_BEGIN_THREADS_THRESHOLDED(size);
        ufunc_->functions[loop](data_, sizes, steps_, const_cast<void *>(ufunc_->data[loop]));
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

    bool works_on_rows() const { return ufunc_->core_enabled; }

    bool add_axis(PyObject *object) {
        int overflow = 0;
        const long axis = PyLong_CheckExact(object) && like_ ? PyLong_AsLongAndOverflow(object, &overflow) : exact;
        if (overflow) return false;
        for (int k = 0; k < ufunc_->nargs; ++k)
            if (ufunc_->core_num_dims[k] != 1) return false;
        return has_axis_ = ufunc_->core_num_dim_ix == 1 && (axis == -1 || axis == PyArray_NDIM(like_) - 1);
    }

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

    // Either it takes the place of an input, which rows don't bear, or it has nothing in common with it.
    bool may_hold_result(PyObject *object) const {
        if (!PyArray_CheckExact(object)) return false;
        auto *const array = reinterpret_cast<PyArrayObject *>(object);
        if (!is_plain(array, NPY_ARRAY_CARRAY)) return false;
        const auto begin = reinterpret_cast<std::uintptr_t>(PyArray_BYTES(array));
        const std::uintptr_t size = PyArray_NBYTES(array);
        for (int k = 0; k < count_; ++k) {
            const auto other = reinterpret_cast<std::uintptr_t>(data_[k]);
            if (steps_[k] && (works_on_rows() || other != begin) && other < begin + size && begin < other + size)
                return false;
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
    bool has_axis_ = false;
    number numbers_[most];
    char *data_[most + 1];
    npy_intp steps_[2 * (most + 1)];
};

inline bool are_same(PyObject *one, PyObject *other) {
    return PyFloat_CheckExact(one) && PyFloat_CheckExact(other) && PyFloat_AS_DOUBLE(one) == PyFloat_AS_DOUBLE(other);
}

// Calls what an activation has in an attribute, a ufunc and the parameters that follow its operands: a dict of defaults, in
// whose place others may be given, or a tuple of numbers, in whose place only the same may. Null where the call is not
// plain, or with an exception set.
inline PyObject *call_plainly(PyObject *activation, PyObject *attribute, PyObject *const *arguments, Py_ssize_t count,
                              PyObject *names) {
    static PyObject *const out_name = PyUnicode_InternFromString("out");
    const owned road(PyObject_GetAttr(activation, attribute));
    if (!road || !PyTuple_CheckExact(road) || PyTuple_GET_SIZE(road.get()) != 2) return nullptr;
    PyObject *const ufunc = PyTuple_GET_ITEM(road.get(), 0), *const parameters = PyTuple_GET_ITEM(road.get(), 1);
    if (!PyObject_TypeCheck(ufunc, &PyUFunc_Type)) return nullptr;

    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    const auto take = [&](PyObject *name) -> PyObject * {
        for (Py_ssize_t i = 0; named && i < PyTuple_GET_SIZE(names); ++i) {
            if (PyUnicode_Compare(PyTuple_GET_ITEM(names, i), name)) continue;
            --named;
            return arguments[count + i];
        }
        return nullptr;
    };
    PyObject *const out = take(out_name);
    plain_call call(reinterpret_cast<PyUFuncObject *>(ufunc));
    for (Py_ssize_t i = 0; i < count; ++i)
        if (!call.add(arguments[i])) return nullptr;
    if (PyTuple_Check(parameters)) {
        const Py_ssize_t size = PyTuple_GET_SIZE(parameters), given = size - call.missing();
        for (Py_ssize_t i = 0; i < size; ++i) {
            PyObject *const fixed = PyTuple_GET_ITEM(parameters, i);
            if (i < given ? !are_same(fixed, arguments[count - given + i]) : !call.add(fixed)) return nullptr;
        }
    } else if (PyDict_Check(parameters)) {
        Py_ssize_t given = PyDict_GET_SIZE(parameters) - call.missing();
        PyObject *name, *value;
        for (Py_ssize_t position = 0; PyDict_Next(parameters, &position, &name, &value);) {
            if (given-- > 0) continue;
            PyObject *const other = take(name);
            if (!call.add(other ? other : value)) return nullptr;
        }
    }
    return named ? nullptr : call.run(out);
}

// A method of an activation that a Python function defines: a plain call goes to the ufunc at once, any other to the
// function. `plain_method(attribute, function)` takes the name of the attribute that holds the ufunc and its parameters; it
// is None where the activation has no such method.
struct plain_method {
    PyObject_HEAD;
    PyObject *dict;  // what functools.update_wrapper writes
    PyObject *attribute, *function;
    vectorcallfunc vectorcall;

    static plain_method *of(PyObject *self) { return reinterpret_cast<plain_method *>(self); }

    static PyObject *call(PyObject *self, PyObject *const *arguments, size_t count, PyObject *names) {
        const Py_ssize_t given = PyVectorcall_NARGS(count);
        if (given) {
            PyObject *const result = call_plainly(arguments[0], of(self)->attribute, arguments + 1, given - 1, names);
            if (result || PyErr_Occurred()) return result;
        }
        return PyObject_Vectorcall(of(self)->function, arguments, count, names);
    }

    static PyObject *create(PyTypeObject *type, PyObject *arguments, PyObject *) {
        PyObject *attribute, *function;
        if (!PyArg_ParseTuple(arguments, "UO", &attribute, &function)) return nullptr;
        PyObject *const self = type->tp_alloc(type, 0);
        if (!self) return nullptr;
        of(self)->vectorcall = call;
        of(self)->attribute = Py_NewRef(attribute);
        of(self)->function = Py_NewRef(function);
        return self;
    }

    static PyObject *bind(PyObject *self, PyObject *object, PyObject *) {
        if (!object) return Py_NewRef(self);
        const owned road(PyObject_GetAttr(object, of(self)->attribute));
        if (!road) return nullptr;
        if (road.get() != Py_None) return PyMethod_New(self, object);
        const owned name(PyObject_GetAttrString(self, "__name__"));
        return name ? PyObject_CallMethod(object, "_lacks", "O", name.get()) : nullptr;
    }

    static int traverse(PyObject *self, visitproc visit, void *arg) {
        Py_VISIT(Py_TYPE(self));
        Py_VISIT(of(self)->dict);
        Py_VISIT(of(self)->function);
        return 0;
    }

    static int clear(PyObject *self) {
        Py_CLEAR(of(self)->dict);
        Py_CLEAR(of(self)->function);
        return 0;
    }

    static void destroy(PyObject *self) {
        PyObject_GC_UnTrack(self);
        clear(self);
        Py_CLEAR(of(self)->attribute);
        PyTypeObject *const type = Py_TYPE(self);
        type->tp_free(self);
        Py_DECREF(type);
    }

    static PyObject *make_type() {
        static PyMemberDef members[] = {
            {"__dictoffset__", T_PYSSIZET, offsetof(plain_method, dict), READONLY, nullptr},
            {"__vectorcalloffset__", T_PYSSIZET, offsetof(plain_method, vectorcall), READONLY, nullptr},
            {}};
        static PyGetSetDef attributes[] = {{"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
                                           {}};
        static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void *>(create)},
                                      {Py_tp_dealloc, reinterpret_cast<void *>(destroy)},
                                      {Py_tp_traverse, reinterpret_cast<void *>(traverse)},
                                      {Py_tp_clear, reinterpret_cast<void *>(clear)},
                                      {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
                                      {Py_tp_descr_get, reinterpret_cast<void *>(bind)},
                                      {Py_tp_members, members},
                                      {Py_tp_getset, attributes},
                                      {0, nullptr}};
        static PyType_Spec spec = {
            "rectified._native.plain_method", sizeof(plain_method), 0,
            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR, slots};
        return PyType_FromSpec(&spec);
    }
};

// The base of activations: a plain call of one goes to the ufunc in its `_plain_value` at once, any other to its method
// `_evaluate`. A class's own `__call__` would take as long again as a short array does.
struct called_plainly {
    PyObject_HEAD;
    vectorcallfunc vectorcall;

    static PyObject *call(PyObject *self, PyObject *const *arguments, size_t count, PyObject *names) {
        static PyObject *const value_name = PyUnicode_InternFromString("_plain_value");
        static PyObject *const method_name = PyUnicode_InternFromString("_evaluate");
        const Py_ssize_t given = PyVectorcall_NARGS(count);
        PyObject *const result = call_plainly(self, value_name, arguments, given, names);
        if (result || PyErr_Occurred()) return result;
        std::vector<PyObject *> all(1, self);
        all.insert(all.end(), arguments, arguments + given + (names ? PyTuple_GET_SIZE(names) : 0));
        return PyObject_VectorcallMethod(method_name, all.data(), 1 + given, names);
    }

    static PyObject *create(PyTypeObject *type, PyObject *, PyObject *) {
        if (type->tp_call == PyVectorcall_Call) type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;  // no heritage in Python 3.11
        PyObject *const self = type->tp_alloc(type, 0);
        if (self) reinterpret_cast<called_plainly *>(self)->vectorcall = call;
        return self;
    }

    static PyObject *make_type() {
        static PyMemberDef members[] = {
            {"__vectorcalloffset__", T_PYSSIZET, offsetof(called_plainly, vectorcall), READONLY, nullptr}, {}};
        static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void *>(create)},
                                      {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
                                      {Py_tp_members, members},
                                      {0, nullptr}};
        static PyType_Spec spec = {"rectified._native.called_plainly", sizeof(called_plainly), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL, slots};
        return PyType_FromSpec(&spec);
    }
};

}  // namespace rectified
