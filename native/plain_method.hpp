// Methods of Python's activations whose plain calls reach their loop without a Python function on the way.
#pragma once

#include <Python.h>
#include <structmember.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "plain_call.hpp"

namespace rectified {

inline bool are_same(PyObject *one, PyObject *other) {
    return PyFloat_CheckExact(one) && PyFloat_CheckExact(other) && PyFloat_AS_DOUBLE(one) == PyFloat_AS_DOUBLE(other);
}

// Takes a road: a ufunc; the parameters that follow its operands, a dict of defaults, in whose place others may be given,
// or a tuple of numbers, in whose place only the same may; and for a ufunc of halves the layout of its arrays, and the
// numbers between these and the parameters. Null where the call is not plain, or with an exception set.
inline PyObject *call_plainly(PyObject *road, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
    static PyObject *const out_name = PyUnicode_InternFromString("out");
    if (!PyTuple_Check(road)) return nullptr;
    const Py_ssize_t pieces = PyTuple_GET_SIZE(road);
    PyObject *const ufunc = pieces >= 2 ? PyTuple_GET_ITEM(road, 0) : nullptr;
    if (!ufunc || !PyObject_TypeCheck(ufunc, &PyUFunc_Type)) return nullptr;
    PyObject *const parameters = PyTuple_GET_ITEM(road, 1);
    PyObject *const numbers = pieces == 4 ? PyTuple_GET_ITEM(road, 3) : nullptr;
    const char *const layout = numbers ? PyUnicode_AsUTF8(PyTuple_GET_ITEM(road, 2)) : "";
    if (!layout || (numbers && !PyTuple_Check(numbers))) return nullptr;

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
    plain_call call(reinterpret_cast<PyUFuncObject *>(ufunc), layout);
    const Py_ssize_t arrays = numbers ? std::min(count, static_cast<Py_ssize_t>(std::strlen(layout)) - 1) : count;
    for (Py_ssize_t i = 0; i < arrays; ++i)
        if (!call.add(arguments[i])) return nullptr;
    for (Py_ssize_t i = 0; numbers && i < PyTuple_GET_SIZE(numbers); ++i)
        if (!call.add(PyTuple_GET_ITEM(numbers, i))) return nullptr;
    for (Py_ssize_t i = arrays; i < count; ++i)
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

// Calls what an activation has in an attribute. While a loop runs Python may end, and then this thread is unwound: so no
// destructor here gives a reference back.
inline PyObject *call_plainly(PyObject *activation, PyObject *attribute, PyObject *const *arguments, Py_ssize_t count,
                              PyObject *names) {
    PyObject *const road = PyObject_GetAttr(activation, attribute);
    if (!road) return nullptr;
    PyObject *const result = call_plainly(road, arguments, count, names);
    Py_DECREF(road);
    return result;
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
        PyObject *const road = PyObject_GetAttr(object, of(self)->attribute);
        if (!road) return nullptr;
        const bool lacks = road == Py_None;
        Py_DECREF(road);
        if (!lacks) return PyMethod_New(self, object);
        PyObject *const name = PyObject_GetAttrString(self, "__name__");
        PyObject *const result = name ? PyObject_CallMethod(object, "_refuse_absent", "O", name) : nullptr;
        Py_XDECREF(name);
        return result;
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
