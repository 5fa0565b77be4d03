/* The Python class Kernel: a Network, the examples it trains on, and checks of all that comes in.
 *
 * Tensors come as objects with the buffer protocol (NumPy arrays, memoryviews): C-contiguous, of
 * exactly the type and shape that is asked for. Nothing is converted here, and nothing is read that
 * does not fit. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernel.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static const char *const PARAMETER_NAMES[TENSORS] = {"C",  "W1",     "b1",    "W2",
                                                     "b2", "bngain", "bnbias"};
static const char *const GRADIENT_NAMES[TENSORS + ACTIVATIONS] = {
    "dC",       "dW1",     "db1", "dW2",      "db2",     "dbngain",
    "dbnbias",  "dlogits", "dh",  "dhpreact", "dhprebn",
};
static const char *const INSTRUCTION_SET_NAMES[INSTRUCTION_SETS] = {"baseline", "avx2", "avx512"};

enum { MOST_THREADS = 1024 };

typedef struct {
    PyObject_HEAD
    Network *network;
    Py_buffer stream, positions;
    Examples examples;
    run_steps *run;
    int instruction_set;
    int threads;
    int busy; /* a thread is inside, without the interpreter's lock */
} Kernel;

/* ------------------------------------------------------------------------------------- buffers */

/* Whether a buffer's items are numbers of this kind ('f' float, 'i' signed, 'u' unsigned). */
static int is_kind(const Py_buffer *buffer, char kind)
{
    const char *format = buffer->format != NULL ? buffer->format : "B";
    if (*format == '@' || *format == '=') format++;
    if (strlen(format) != 1) return 0;
    const char *codes = kind == 'f' ? "f" : kind == 'i' ? "hilq" : "B";
    return strchr(codes, *format) != NULL;
}

/* Takes a C-contiguous buffer; `what` names it in a message. Returns 0, or -1 with an exception. */
static int take(Py_buffer *buffer, PyObject *object, int writable, const char *what)
{
    const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, buffer, flags) == 0) return 0;
    const int is_buffer = PyErr_ExceptionMatches(PyExc_BufferError)
                          || PyErr_ExceptionMatches(PyExc_ValueError);
    PyErr_Clear();
    if (is_buffer)
        PyErr_Format(PyExc_ValueError, "%s must be C-contiguous%s", what,
                     writable ? " and writable" : "");
    else
        PyErr_Format(PyExc_TypeError, "%s must be an array (an object with the buffer protocol)",
                     what);
    return -1;
}

/* The same for float32 or int64 (kind 'f' or 'i') of shape (rows, columns), or (columns) where rows
 * is 0. */
static int take_shaped(Py_buffer *buffer, PyObject *object, int writable, char kind, extent rows,
                       extent columns, const char *what)
{
    const Py_ssize_t itemsize = kind == 'f' ? 4 : 8;
    if (take(buffer, object, writable, what) < 0) return -1;
    if (!is_kind(buffer, kind) || buffer->itemsize != itemsize)
        PyErr_Format(PyExc_TypeError, "%s must be %s", what, kind == 'f' ? "float32" : "int64");
    else if (rows == 0 && (buffer->ndim != 1 || buffer->shape[0] != columns))
        PyErr_Format(PyExc_ValueError, "%s must have the shape (%zd,)", what, columns);
    else if (rows != 0
             && (buffer->ndim != 2 || buffer->shape[0] != rows || buffer->shape[1] != columns))
        PyErr_Format(PyExc_ValueError, "%s must have the shape (%zd, %zd)", what, rows, columns);
    else
        return 0;
    PyBuffer_Release(buffer);
    return -1;
}

static void release(Py_buffer *buffers, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) PyBuffer_Release(&buffers[i]);
}

/* Whether the network's tensor has one dimension in Python: the biases have. */
static int is_flat(int tensor)
{
    return tensor == 2 || tensor == 4; /* b1, b2 */
}

/* Takes `count` buffers out of a sequence, laid out as `layouts` say. */
static int take_tensors(Py_buffer *buffers, PyObject *sequence, int writable, int count,
                        const Layout *layouts, const char *const *names, int first)
{
    if (!PySequence_Check(sequence) || PySequence_Size(sequence) < first + count) {
        PyErr_Clear();
        PyErr_Format(PyExc_TypeError, "expected a sequence of arrays, %s to %s", names[0],
                     names[count - 1]);
        return -1;
    }
    for (int t = 0; t < count; t++) {
        PyObject *object = PySequence_GetItem(sequence, first + t);
        if (object == NULL) {
            release(buffers, t);
            return -1;
        }
        const int flat = first == 0 && is_flat(t);
        const int failed = take_shaped(&buffers[t], object, writable, 'f',
                                       flat ? 0 : layouts[t].rows, layouts[t].columns, names[t]);
        Py_DECREF(object); /* the buffer holds it */
        if (failed) {
            release(buffers, t);
            return -1;
        }
    }
    return 0;
}

static void point(float **pointers, const Py_buffer *buffers, int count)
{
    for (int t = 0; t < count; t++) pointers[t] = buffers[t].buf;
}

/* Refuses a second thread while one is inside. */
static int enter(Kernel *self)
{
    if (self->network == NULL || self->busy) {
        PyErr_SetString(PyExc_RuntimeError, self->busy ? "this kernel is running in another thread"
                                                       : "this kernel was not initialised");
        return -1;
    }
    return 0;
}

/* -------------------------------------------------------------------------------- construction */

/* The network's sizes, from the shapes of C and W1 and W2; the rest is checked against them. */
static int sizes_of(Sizes *sizes, PyObject *parameters)
{
    enum { C, W1, W2, NEEDED };
    static const int at[NEEDED] = {0, 1, 3};
    Py_ssize_t shapes[NEEDED][2];
    if (!PySequence_Check(parameters) || PySequence_Size(parameters) != TENSORS) {
        PyErr_Clear();
        PyErr_SetString(PyExc_TypeError,
                        "parameters must be the seven arrays C, W1, b1, W2, b2, bngain, bnbias");
        return -1;
    }
    for (int i = 0; i < NEEDED; i++) {
        Py_buffer buffer;
        PyObject *object = PySequence_GetItem(parameters, at[i]);
        if (object == NULL) return -1;
        const int failed = take(&buffer, object, 0, PARAMETER_NAMES[at[i]]);
        Py_DECREF(object);
        if (failed) return -1;
        const int usable = buffer.ndim == 2 && buffer.shape[0] > 0 && buffer.shape[1] > 0;
        if (usable) memcpy(shapes[i], buffer.shape, sizeof shapes[i]);
        PyBuffer_Release(&buffer);
        if (!usable) {
            PyErr_Format(PyExc_ValueError, "%s must have two dimensions, neither of them 0",
                         PARAMETER_NAMES[at[i]]);
            return -1;
        }
    }
    if (shapes[W1][0] % shapes[C][1] != 0) {
        PyErr_Format(PyExc_ValueError,
                     "W1 has %zd rows, which is no multiple of the %zd columns of C",
                     shapes[W1][0], shapes[C][1]);
        return -1;
    }
    if (shapes[C][0] > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the vocabulary is too large for 32-bit ids");
        return -1;
    }
    sizes->vocabulary = shapes[C][0];
    sizes->n_embd = shapes[C][1];
    sizes->block_size = shapes[W1][0] / shapes[C][1];
    sizes->n_hidden = shapes[W1][1];
    return 0;
}

static int load_parameters(Kernel *self, PyObject *sequence)
{
    Py_buffer buffers[TENSORS];
    Parameters from;
    if (take_tensors(buffers, sequence, 0, TENSORS, self->network->parameter_layouts,
                     PARAMETER_NAMES, 0)
        < 0)
        return -1;
    point(from.each, buffers, TENSORS);
    network_load(self->network, &from);
    release(buffers, TENSORS);
    return 0;
}

static int take_examples(Kernel *self, PyObject *stream, PyObject *positions)
{
    Examples *examples = &self->examples;
    if (take(&self->stream, stream, 0, "stream") < 0) return -1;
    if (take(&self->positions, positions, 0, "positions") < 0) return -1;
    examples->stream = self->stream.buf;
    examples->stream_width = (int)self->stream.itemsize;
    examples->positions = self->positions.buf;
    examples->positions_width = (int)self->positions.itemsize;

    const int stream_fits = examples->stream_width == 1 ? is_kind(&self->stream, 'u')
                                                        : is_kind(&self->stream, 'i')
                                                              && examples->stream_width <= 4;
    if (!stream_fits || self->stream.ndim != 1) {
        PyErr_SetString(PyExc_TypeError, "stream must be uint8, int16 or int32, of one dimension");
        return -1;
    }
    if (!is_kind(&self->positions, 'i') || examples->positions_width < 4
        || self->positions.ndim != 1) {
        PyErr_SetString(PyExc_TypeError, "positions must be int32 or int64, of one dimension");
        return -1;
    }
    examples->stream_length = self->stream.shape[0];
    examples->examples = self->positions.shape[0];

    int64_t at = first_bad_id(examples, self->network->sizes.vocabulary);
    if (at >= 0) {
        PyErr_Format(PyExc_ValueError, "stream[%lld] is no id of a vocabulary of %zd",
                     (long long)at, self->network->sizes.vocabulary);
        return -1;
    }
    at = first_bad_position(examples, self->network->sizes.block_size);
    if (at >= 0) {
        PyErr_Format(PyExc_ValueError,
                     "positions[%lld] leaves no room for a context of %zd and its target in a "
                     "stream of %lld",
                     (long long)at, self->network->sizes.block_size,
                     (long long)examples->stream_length);
        return -1;
    }
    return 0;
}

static int choose_instruction_set(Kernel *self)
{
    const char *wanted = getenv("MAKEMORE_BP_ISA");
    const int any = wanted == NULL || *wanted == '\0';
    for (int set = INSTRUCTION_SETS - 1; set >= 0; set--) {
        if (!any && strcmp(wanted, INSTRUCTION_SET_NAMES[set]) != 0) continue;
        self->run = steps_for(set);
        self->instruction_set = set;
        if (self->run != NULL) return 0;
    }
    PyErr_SetString(PyExc_ValueError, "MAKEMORE_BP_ISA must be baseline, avx2 or avx512, and one "
                                      "that this machine has");
    return -1;
}

static void dealloc(PyObject *object)
{
    Kernel *self = (Kernel *)object;
    PyTypeObject *type = Py_TYPE(object);
    network_destroy(self->network);
    PyBuffer_Release(&self->stream);
    PyBuffer_Release(&self->positions);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(object);
    Py_DECREF(type);
}

/* The options and the first step; what is out of range is refused. */
static int options_of(Options *options, double dropout, double weight_decay)
{
    if (!(dropout >= 0 && dropout < 1)) {
        PyErr_SetString(PyExc_ValueError, "dropout must be 0 or more, and less than 1");
        return -1;
    }
    if (!(weight_decay >= 0 && weight_decay <= FLT_MAX)) {
        PyErr_SetString(PyExc_ValueError, "weight_decay must be 0 or more, and finite");
        return -1;
    }
    options->dropout = dropout;
    options->weight_decay = (float)weight_decay;
    return 0;
}

static PyObject *new_kernel(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"parameters",   "stream", "positions", "batch_size", "dropout",
                               "weight_decay", "seed",   "step",      "threads",    NULL};
    PyObject *parameters, *stream, *positions;
    Py_ssize_t batch_size;
    double dropout = 0, weight_decay = 0;
    unsigned long long seed = 0, step = 0;
    int threads = 1;
    Sizes sizes;
    Options options;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOn|ddKKi:Kernel", keywords, &parameters,
                                     &stream, &positions, &batch_size, &dropout, &weight_decay,
                                     &seed, &step, &threads)
        || sizes_of(&sizes, parameters) < 0 || options_of(&options, dropout, weight_decay) < 0)
        return NULL;
    options.seed = seed;
    if (batch_size < 2) {
        PyErr_SetString(PyExc_ValueError,
                        "batch_size must be at least 2: batchnorm divides by batch_size - 1");
        return NULL;
    }
    if (threads < 1 || threads > MOST_THREADS) {
        PyErr_Format(PyExc_ValueError, "threads must be between 1 and %d", MOST_THREADS);
        return NULL;
    }
    sizes.batch = batch_size;

    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *object = allocate(type, 0); /* all zeros, which dealloc can take apart */
    if (object == NULL) return NULL;
    Kernel *self = (Kernel *)object;
    self->threads = threads;
    if ((self->network = network_create(sizes, options, step)) == NULL) {
        PyErr_NoMemory();
    } else if (choose_instruction_set(self) == 0 && load_parameters(self, parameters) == 0
               && take_examples(self, stream, positions) == 0) {
        return object;
    }
    Py_DECREF(object);
    return NULL;
}

/* ------------------------------------------------------------------------------------- methods */

/* Checks indices, then runs the steps without the interpreter's lock. */
static int run_checked(Kernel *self, const Py_buffer *indices, const float *lrs, int64_t steps,
                       float *losses)
{
    const int64_t length = steps * self->network->sizes.batch;
    const int64_t bad = first_bad_index(indices->buf, length, self->examples.examples);
    if (bad >= 0) {
        PyErr_Format(PyExc_ValueError, "index %lld is no example: there are %lld",
                     (long long)((const int64_t *)indices->buf)[bad],
                     (long long)self->examples.examples);
        return -1;
    }
    int64_t done;
    self->busy = 1;
    Py_BEGIN_ALLOW_THREADS
    done = run_in_team(self->threads, self->run, self->network, &self->examples, indices->buf, lrs,
                       steps, losses);
    Py_END_ALLOW_THREADS
    self->busy = 0;
    if (done < steps) {
        PyErr_SetString(PyExc_RuntimeError, "the examples were changed while the kernel used them");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(run_doc,
             "run(indices, lrs, losses)\n--\n\n"
             "Trains k steps: step s on the examples indices[s] (k, n) int64, at the learning\n"
             "rate lrs[s] (k,) float32; writes each step's loss to losses (k,) float32.");

static PyObject *kernel_run(PyObject *object, PyObject *args)
{
    Kernel *self = (Kernel *)object;
    PyObject *given[3];
    Py_buffer indices, lrs, losses;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "OOO:run", &given[0], &given[1], &given[2]) || enter(self) < 0)
        return NULL;
    if (take(&lrs, given[1], 0, "lrs") < 0) return NULL;
    const extent steps = lrs.ndim == 1 ? lrs.shape[0] : -1;
    PyBuffer_Release(&lrs);
    if (steps < 1) {
        PyErr_SetString(PyExc_ValueError, "lrs must have one dimension, and at least one step");
        return NULL;
    }
    if (take_shaped(&lrs, given[1], 0, 'f', 0, steps, "lrs") < 0) return NULL;
    const extent n = self->network->sizes.batch;
    if (take_shaped(&indices, given[0], 0, 'i', steps, n, "indices") == 0) {
        if (take_shaped(&losses, given[2], 1, 'f', 0, steps, "losses") == 0) {
            if (run_checked(self, &indices, lrs.buf, steps, losses.buf) == 0)
                result = Py_NewRef(Py_None);
            PyBuffer_Release(&losses);
        }
        PyBuffer_Release(&indices);
    }
    PyBuffer_Release(&lrs);
    return result;
}

PyDoc_STRVAR(gradients_doc,
             "gradients(indices, tensors) -> float\n--\n\n"
             "Runs the batch indices (n,) int64 forward and backward, updates nothing, writes dC,\n"
             "dW1, db1, dW2, db2, dbngain, dbnbias, dlogits, dh, dhpreact and dhprebn to the\n"
             "eleven float32 arrays of tensors, and returns the loss.");

static PyObject *kernel_gradients(PyObject *object, PyObject *args)
{
    Kernel *self = (Kernel *)object;
    PyObject *given, *tensors, *result = NULL;
    Py_buffer indices, of_parameters[TENSORS], of_activations[ACTIVATIONS];
    if (!PyArg_ParseTuple(args, "OO:gradients", &given, &tensors) || enter(self) < 0) return NULL;
    Network *net = self->network;
    if (take_shaped(&indices, given, 0, 'i', 0, net->sizes.batch, "indices") < 0) return NULL;
    if (take_tensors(of_parameters, tensors, 1, TENSORS, net->parameter_layouts, GRADIENT_NAMES, 0)
        == 0) {
        if (take_tensors(of_activations, tensors, 1, ACTIVATIONS, net->activation_layouts,
                         GRADIENT_NAMES + TENSORS, TENSORS)
            == 0) {
            Parameters parameters;
            Activations activations;
            float loss;
            point(parameters.each, of_parameters, TENSORS);
            point(activations.each, of_activations, ACTIVATIONS);
            if (run_checked(self, &indices, NULL, 1, &loss) == 0) {
                network_store_gradients(net, &parameters, &activations);
                result = PyFloat_FromDouble(loss);
            }
            release(of_activations, ACTIVATIONS);
        }
        release(of_parameters, TENSORS);
    }
    PyBuffer_Release(&indices);
    return result;
}

PyDoc_STRVAR(load_doc,
             "load(parameters)\n--\n\n"
             "Takes over new values from seven float32 arrays: C, W1, b1, W2, b2, bngain, bnbias.");

static PyObject *kernel_load(PyObject *object, PyObject *parameters)
{
    Kernel *self = (Kernel *)object;
    if (enter(self) < 0 || load_parameters(self, parameters) < 0) return NULL;
    return Py_NewRef(Py_None);
}

PyDoc_STRVAR(store_doc,
             "store(parameters)\n--\n\n"
             "Writes the current values to seven float32 arrays, C to bnbias as in load.");

static PyObject *kernel_store(PyObject *object, PyObject *parameters)
{
    Kernel *self = (Kernel *)object;
    Py_buffer buffers[TENSORS];
    Parameters to;
    if (enter(self) < 0
        || take_tensors(buffers, parameters, 1, TENSORS, self->network->parameter_layouts,
                        PARAMETER_NAMES, 0)
               < 0)
        return NULL;
    point(to.each, buffers, TENSORS);
    network_store(self->network, &to);
    release(buffers, TENSORS);
    return Py_NewRef(Py_None);
}

PyDoc_STRVAR(instruction_set_doc,
             "instruction_set() -> str\n--\n\n"
             "The instruction set this kernel runs on: baseline, avx2 or avx512.");

static PyObject *kernel_instruction_set(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    return PyUnicode_FromString(INSTRUCTION_SET_NAMES[((Kernel *)object)->instruction_set]);
}

static PyMethodDef kernel_methods[] = {
    {"run", kernel_run, METH_VARARGS, run_doc},
    {"gradients", kernel_gradients, METH_VARARGS, gradients_doc},
    {"load", kernel_load, METH_O, load_doc},
    {"store", kernel_store, METH_O, store_doc},
    {"instruction_set", kernel_instruction_set, METH_NOARGS, instruction_set_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(kernel_doc,
             "Kernel(parameters, stream, positions, batch_size, dropout=0.0, weight_decay=0.0,\n"
             "       seed=0, step=0, threads=1)\n--\n\n"
             "A network that trains itself. parameters: seven float32 arrays, which are copied.\n"
             "stream (uint8, int16 or int32) and positions (int32 or int64) are read in place.\n"
             "dropout's masks are a function of seed and of each step's number, from step on.\n"
             "Up to so many threads share the work; their number changes no bit.\n\n"
             "Raises TypeError or ValueError for what does not fit, MemoryError if too large.\n"
             "The environment variable MAKEMORE_BP_ISA (baseline, avx2, avx512) picks the\n"
             "instruction set; without it the widest that the machine has is taken.");

static PyType_Slot kernel_slots[] = {
    {Py_tp_doc, (void *)kernel_doc}, {Py_tp_new, new_kernel},           {Py_tp_dealloc, dealloc},
    {Py_tp_methods, kernel_methods}, {0, NULL},
};

static PyType_Spec kernel_spec = {
    .name = "makemore_bp.engines.native._kernel.Kernel",
    .basicsize = sizeof(Kernel),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = kernel_slots,
};

/* -------------------------------------------------------------------------------------- module */

PyDoc_STRVAR(instruction_sets_doc,
             "instruction_sets() -> tuple\n--\n\n"
             "The instruction sets that this machine and this build have, narrowest first.");

static PyObject *instruction_sets(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *names = PyList_New(0);
    for (int set = 0; names != NULL && set < INSTRUCTION_SETS; set++) {
        if (steps_for(set) == NULL) continue;
        PyObject *name = PyUnicode_FromString(INSTRUCTION_SET_NAMES[set]);
        if (name == NULL || PyList_Append(names, name) < 0) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    if (names == NULL) return NULL;
    PyObject *result = PyList_AsTuple(names);
    Py_DECREF(names);
    return result;
}

static PyMethodDef module_methods[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS, instruction_sets_doc},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&kernel_spec);
    if (type == NULL) return -1;
    const int result = PyModule_AddObjectRef(module, "Kernel", type);
    Py_DECREF(type);
    return result;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_kernel",
    .m_doc = "The training step in C.",
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    return PyModuleDef_Init(&module);
}
