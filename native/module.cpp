// The Python module: picks the instruction set and hands the ufuncs to NumPy.
#define PY_SSIZE_T_CLEAN
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <Python.h>
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "families.hpp"
#include "follow.hpp"
#include "instruction_sets.hpp"
#include "measure.hpp"
#include "plain_method.hpp"
#include "registry.hpp"
#include "threads.hpp"

namespace rectified {

// One `fill` for each instruction set, which calls those of the families.
#define RECTIFIED_DECLARE(family) void fill_##family(registry &);
#define RECTIFIED_CALL(family) fill_##family(to);
#define RECTIFIED_DEFINE_FILL(space, name)                                                          \
    namespace space {                                                                               \
    RECTIFIED_FAMILIES(RECTIFIED_DECLARE)                                                           \
    static void fill(registry &to) { RECTIFIED_FAMILIES(RECTIFIED_CALL) }                           \
    void measure(const measured &, npy_intp, const float *, const float *, const found_of_units &); \
    }
RECTIFIED_INSTRUCTION_SETS(RECTIFIED_DEFINE_FILL)

namespace {

struct instruction_set {
    const char *name;
    bool present;
    void (*fill)(registry &);
    measure_t *measure;
};

// Worst first.
std::vector<instruction_set> instruction_sets() {
#if defined(__x86_64__)
    __builtin_cpu_init();
#define RECTIFIED_IS_PRESENT(name) (__builtin_cpu_supports(name) != 0)
#else
#define RECTIFIED_IS_PRESENT(name) true
#endif
#define RECTIFIED_ENTRY(space, name) {name, RECTIFIED_IS_PRESENT(name), space::fill, space::measure},
    return {RECTIFIED_INSTRUCTION_SETS(RECTIFIED_ENTRY)};
}

std::string name_of(const ufunc_entry &entry) {
    std::string name = entry.function;
    if (*entry.kind) name += std::string("_") + entry.kind;
    return name + entry.detail + entry.parameter;
}

// A loop for bfloat16, a dtype that NumPy does not know before ml_dtypes has been loaded.
struct later_loop {
    PyObject *ufunc;
    int operands, bits;
    typed_loop loop;

    int add(int number) const {
        std::vector<int> types(operands, number);
        if (bits >= 0) types[bits] = NPY_UBYTE;
        return PyUFunc_RegisterLoopForType(reinterpret_cast<PyUFuncObject *>(ufunc), number, loop.run, types.data(),
                                           const_cast<void *>(loop.work));
    }
};
std::vector<later_loop> later_loops;
int bfloat16_number = -1;

// NumPy keeps pointers into what it is given: it lives as long as the process.
PyObject *make_ufunc(const ufunc_entry &entry) {
    const int operands = entry.inputs + entry.outputs;
    auto *const loops = new PyUFuncGenericFunction[entry.loop_count];
    auto *const data = new void *[entry.loop_count];
    auto *const types = new char[entry.loop_count * operands];
    int count = 0;
    for (int i = 0; i < entry.loop_count; ++i) {
        if (entry.loops[i].type < 0) continue;
        loops[count] = entry.loops[i].run;
        data[count] = const_cast<void *>(entry.loops[i].work);
        std::memset(types + count * operands, entry.loops[i].type, operands);
        if (entry.bits >= 0) types[count * operands + entry.bits] = NPY_UBYTE;
        ++count;
    }
    const char *const name = (new std::string(name_of(entry)))->c_str();
    PyObject *const ufunc = PyUFunc_FromFuncAndDataAndSignature(loops, data, types, count, entry.inputs, entry.outputs,
                                                                PyUFunc_None, name, "", 0, entry.signature);
    // Unless it is told, NumPy takes all ufuncs for elementwise ones, and lets a result stand where an input does.
    for (int k = entry.inputs; ufunc && entry.apart && k < operands; ++k)
        reinterpret_cast<PyUFuncObject *>(ufunc)->op_flags[k] = NPY_ITER_WRITEONLY | NPY_ITER_UPDATEIFCOPY |
                                                                NPY_ITER_ALIGNED | NPY_ITER_ALLOCATE |
                                                                NPY_ITER_NO_BROADCAST | NPY_ITER_NO_SUBTYPE;
    for (int i = 0; ufunc && i < entry.loop_count; ++i) {
        if (entry.loops[i].type >= 0) continue;
        const later_loop later = {ufunc, operands, entry.bits, entry.loops[i]};
        if (bfloat16_number < 0) {
            Py_INCREF(ufunc);
            later_loops.push_back(later);
        } else if (later.add(bfloat16_number) < 0) {
            return nullptr;
        }
    }
    return ufunc;
}

// add_bfloat16(dtype): give the ufuncs made so far their loops for it, and those to come.
PyObject *add_bfloat16(PyObject *, PyObject *argument) {
    PyArray_Descr *dtype = nullptr;
    if (!PyArray_DescrConverter(argument, &dtype)) return nullptr;
    bfloat16_number = dtype->type_num;
    Py_DECREF(dtype);
    for (const later_loop &each : later_loops)
        if (each.add(bfloat16_number) < 0) return nullptr;
    for (const later_loop &each : later_loops) Py_DECREF(each.ufunc);
    later_loops.clear();
    Py_RETURN_NONE;
}

struct ufunc_dict final : registry {
    PyObject *dict = PyDict_New();  // null after an error

    void add(const ufunc_entry &entry) override {
        if (!dict) return;
        PyObject *const ufunc = make_ufunc(entry);
        if (!ufunc || PyDict_SetItemString(dict, name_of(entry).c_str(), ufunc) < 0) Py_CLEAR(dict);
        Py_XDECREF(ufunc);
    }
};

// The instruction set of this name; null with an error where this machine has none.
const instruction_set *present_set(PyObject *name) {
    static const std::vector<instruction_set> sets = instruction_sets();
    const char *const wanted = PyUnicode_AsUTF8(name);
    if (!wanted) return nullptr;
    std::string present;
    for (const instruction_set &set : sets) {
        if (!set.present) continue;
        if (!std::strcmp(set.name, wanted)) return &set;
        present += (present.empty() ? "" : ", ") + std::string(set.name);
    }
    PyErr_Format(PyExc_ValueError, "unknown instruction set %R; this machine has %s", name, present.c_str());
    return nullptr;
}

// ufuncs_of(isa) -> {name: ufunc}
PyObject *ufuncs_of(PyObject *, PyObject *argument) {
    const instruction_set *const set = present_set(argument);
    if (!set) return nullptr;
    ufunc_dict made;
    set->fill(made);
    return made.dict;
}

// measure(isa, library, x, y, axis, turns, firing, out[, shape])
PyObject *measure(PyObject *, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 8 && count != 9) return PyErr_Format(PyExc_TypeError, "measure takes 8 or 9 arguments, not %zd", count);
    const instruction_set *const set = present_set(arguments[0]);
    return set ? measure_with(set->measure, arguments + 1, count == 9 ? arguments[8] : nullptr) : nullptr;
}

PyObject *instruction_sets_present(PyObject *, PyObject *) {
    PyObject *names = PyList_New(0);
    for (const instruction_set &set : instruction_sets()) {
        PyObject *const name = names && set.present ? PyUnicode_FromString(set.name) : nullptr;
        if (name && PyList_Append(names, name) < 0) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

// document(ufunc, text): its docstring, under the line that NumPy makes of its operands.
PyObject *document(PyObject *, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2 || !PyObject_TypeCheck(arguments[0], &PyUFunc_Type))
        return PyErr_Format(PyExc_TypeError, "document takes a ufunc and its text");
    const char *const text = PyUnicode_AsUTF8(arguments[1]);
    if (!text) return nullptr;
    reinterpret_cast<PyUFuncObject *>(arguments[0])->doc = (new std::string(text))->c_str();  // read as long as it lives
    Py_RETURN_NONE;
}

PyObject *get_num_threads(PyObject *, PyObject *) { return PyLong_FromLong(threads()); }

PyObject *set_num_threads(PyObject *, PyObject *argument) {
    int overflow = 0;
    const long count = PyLong_AsLongAndOverflow(argument, &overflow);
    if (count == -1 && PyErr_Occurred()) return nullptr;
    if (overflow || count < 1 || count > 1024)
        return PyErr_Format(PyExc_ValueError, "the number of threads is 1 to 1024, not %S", argument);
    set_threads(static_cast<int>(count));
    Py_RETURN_NONE;
}

// The lock of Python is kept, which no worker needs: to get it back is impossible where an interpreter ends within another.
PyObject *stop_workers(PyObject *, PyObject *) {
    stop_threads();
    Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"ufuncs_of", ufuncs_of, METH_O, "ufuncs_of(isa): the ufuncs by name, compiled for one instruction set."},
    {"instruction_sets", instruction_sets_present, METH_NOARGS, "The instruction sets that this machine has, worst first."},
    {"add_bfloat16", add_bfloat16, METH_O, "add_bfloat16(dtype): give the ufuncs their loops for this dtype of ml_dtypes."},
    {"document", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(document)), METH_FASTCALL,
     "document(ufunc, text): give a ufunc its docstring, under the line that NumPy makes of its operands."},
    {"measure", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(measure)), METH_FASTCALL,
     "measure(isa, library, x, y, axis, turns, firing, out[, shape]): sums, counts and extremes of each unit of each "
     "batch; whether they could be read, and the outputs are of this shape, if one is given."},
    {"shares_threads", shares_threads, METH_O,
     "shares_threads(library): whether its tensors are counted on all its threads."},
    {"follow", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(follow)), METH_FASTCALL,
     "follow(nodes, looks): add to the nodes what is behind them; whether it is what the looks say."},
    {"get_num_threads", get_num_threads, METH_NOARGS, "How many threads a large array is split over."},
    {"set_num_threads", set_num_threads, METH_O, "Set how many threads a large array is split over."},
    {"stop_threads", stop_workers, METH_NOARGS, "End the worker threads; a later call starts new ones."},
    {}};

PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace
}  // namespace rectified

PyMODINIT_FUNC PyInit__native() {
    if (PyArray_ImportNumPyAPI() < 0 || PyUFunc_ImportUFuncAPI() < 0) return nullptr;
    PyObject *const made = PyModule_Create(&rectified::module);
    for (PyObject *(*const make_type)() : {rectified::plain_method::make_type, rectified::called_plainly::make_type}) {
        PyObject *const type = made ? make_type() : nullptr;
        const bool added = type && PyModule_AddType(made, reinterpret_cast<PyTypeObject *>(type)) == 0;
        Py_XDECREF(type);
        if (!added) {
            Py_XDECREF(made);
            return nullptr;
        }
    }
    return made;
}
